"""Pages that are reloaded, closed, doubled or late; kernels that are restarted or interrupted."""

from __future__ import annotations

import json
import time

from lab_harness import Lab, Notebook
from test_first_cell import SETUP

REPORT = '''
import pathlib
def report(name, value):
    """For cells whose page goes away while they run."""
    pathlib.Path(name + ".part").write_text(json.dumps(value)); pathlib.Path(name + ".part").rename(name)
# Some milliseconds a dispatch on a CPU adapter.
slow = """
@group(0) @binding(0) var<storage, read_write> n: array<u32>;
@compute @workgroup_size(1) fn main() { for (var i = 0u; i < 200000u; i++) { n[0] = n[0] * 1664525u + 1013904223u; } }"""
'''


def prepared(notebook: Notebook) -> Notebook:
    notebook.run(SETUP + REPORT).ok()
    return notebook


def report_of(notebook: Notebook, name: str, timeout: float = 60.0) -> object:
    path = notebook.path.with_name(name)
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if path.exists():
            return json.loads(path.read_text())
        time.sleep(0.05)
    raise AssertionError(f"the kernel wrote no {name} in {timeout} s")


def test_reload_while_a_cell_waits(notebook: Notebook) -> None:
    prepared(notebook)
    index = notebook.start("""
gpu = wg.GPU()
work = gpu.kernel(slow)
n = gpu.zeros(1, np.uint32)
print("begun")
t = time.time()
try:
    for _ in range(800):
        work(n=n, threads=1)
    n.numpy(timeout=120)
    outcome = "nothing"
except wg.WebGPUWidgetError as error:
    outcome = f"{type(error).__name__}: {error}"
report("reloaded.json", [outcome, time.time()])
""")
    notebook.wait_for_text(index, "begun")
    notebook.page.wait_for_timeout(700)
    notebook.save()
    reloaded_at = time.time()
    notebook.page.reload()
    outcome, at = report_of(notebook, "reloaded.json")
    print(f"told {at - reloaded_at:.2f} s after the reload: {outcome}")
    assert outcome.startswith("FrontendLostError")
    assert "reload" in outcome
    assert at - reloaded_at < 15
    notebook.wait_for_kernel()
    cell = notebook.run("""
try:
    n.numpy()
except wg.FrontendLostError as error:
    print("gone:", error)
print(json.dumps(bool(np.array_equal(gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size), a * a))))
""")
    assert cell.text.startswith("gone:")
    assert cell.value is True


def test_reload_between_cells(notebook: Notebook) -> None:
    prepared(notebook)
    notebook.run("gpu = wg.GPU(); k = gpu.array(a); print(k.numpy()[:3])").ok()
    notebook.reload()
    cell = notebook.run("k.numpy()")
    print(cell.error)
    assert cell.error is not None
    assert cell.error.startswith("FrontendLostError")
    cell = notebook.run("""
t = time.perf_counter()
y = gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size)
print(json.dumps([bool(np.array_equal(y, a * a)), time.perf_counter() - t]))
""")
    right, seconds = cell.value
    print(f"{seconds:.2f} s for the first call after a reload")
    assert right


def test_two_tabs_then_one(lab: Lab, notebook: Notebook) -> None:
    prepared(notebook)
    notebook.run("gpu = wg.GPU(); k = gpu.array(a); gpu.ready()").ok()
    second = lab.open(notebook.path)
    second.page.wait_for_timeout(2000)
    for page in (notebook, second):
        right = page.run(
            "print(json.dumps(all(np.array_equal(gpu.run(SQUARE, x=a + i, y=wg.out(a.shape), threads=a.size), (a + i) ** 2) for i in range(20))))",
        ).value
        assert right
    kept = second.run("print(json.dumps(bool(np.array_equal(k.numpy(), a))))").value
    assert kept, "a second tab takes nothing away from the first"
    notebook.page.close()
    second.page.wait_for_timeout(500)
    outcome, right = second.run("""
try:
    k.numpy()
    outcome = "nothing"
except wg.WebGPUWidgetError as error:
    outcome = type(error).__name__
y = gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size)
print(json.dumps([outcome, bool(np.array_equal(y, a * a))]))
""").value
    assert outcome == "FrontendLostError"
    assert right
    second.close()


def test_the_only_tab_is_closed_while_a_cell_waits(lab: Lab, notebook: Notebook) -> None:
    prepared(notebook)
    index = notebook.start("""
gpu = wg.GPU()
gpu.ready()
print("begun")
work = gpu.kernel(slow)
n = gpu.zeros(1, np.uint32)
try:
    for _ in range(800):
        work(n=n, threads=1)
    n.numpy(timeout=120)
    outcome = "nothing"
except wg.WebGPUWidgetError as error:
    outcome = f"{type(error).__name__}: {error}"
report("closed.json", [outcome, time.time()])
try:
    gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size, timeout=3)
    outcome = "nothing"
except wg.WebGPUWidgetError as error:
    outcome = f"{type(error).__name__}: {error}"
report("nobody.json", outcome)
""")
    notebook.wait_for_text(index, "begun")
    notebook.page.wait_for_timeout(500)
    notebook.save()
    closed_at = time.time()
    notebook.page.close()
    outcome, at = report_of(notebook, "closed.json")
    print(f"told {at - closed_at:.2f} s after the page was closed: {outcome}")
    assert outcome.startswith("FrontendLostError")
    assert at - closed_at < 15
    nobody = report_of(notebook, "nobody.json")
    print(nobody)
    assert nobody.startswith("NoFrontendError")
    assert "open the notebook" in nobody
    again = lab.open(notebook.path)
    assert again.run(
        "print(json.dumps(bool(np.array_equal(gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size), a * a))))"
    ).value
    again.close()


def test_a_gpu_made_before_its_page_exists(lab: Lab, notebook: Notebook) -> None:
    prepared(notebook)
    notebook.start("""
time.sleep(2)
gpu = wg.GPU()
k = gpu.array(a)
report("made.json", gpu._device.connection.connected)
""")
    notebook.page.wait_for_timeout(300)
    notebook.save()
    notebook.page.close()
    assert report_of(notebook, "made.json") is False
    later = lab.open(notebook.path)
    assert later.run("print(json.dumps(bool(np.array_equal(k.numpy(), a))))").value
    later.close()


def test_kernel_restart(notebook: Notebook) -> None:
    prepared(notebook)
    story = """
gpu = wg.GPU()
k = gpu.array(a)
print(json.dumps([bool(np.array_equal(gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size), a * a)), gpu.memory().buffers]))
"""
    first = notebook.run(story).value
    assert first[0]
    notebook.restart()
    notebook.run(SETUP).ok()
    assert notebook.run(story).value == first
    engines = notebook.page.evaluate("() => globalThis[Symbol.for('webgpu_widget')].size")
    assert engines == 1, "the engine of the kernel that is gone has left the page"


def test_interrupt_while_a_cell_waits(notebook: Notebook) -> None:
    prepared(notebook)
    notebook.run("gpu = wg.GPU(); work = gpu.kernel(slow); n = gpu.zeros(1, np.uint32); n.numpy()").ok()
    for how in ("n.numpy(timeout=120)", "await n.numpy_async(timeout=120)"):
        index = notebook.start(f"""
for _ in range(300):
    work(n=n, threads=1)
print("begun", flush=True)
try:
    {how}
    print(json.dumps(["nothing", time.time()]))
except BaseException as error:
    print(json.dumps([type(error).__name__, time.time()]))
    raise
""")
        notebook.wait_for_text(index, "begun")
        notebook.page.wait_for_timeout(700)
        at = time.time()
        notebook.interrupt()
        cell = notebook.wait(index, 30)
        assert cell.error is not None
        name, told = json.loads(next(line for line in cell.text.splitlines() if line.startswith("[")))
        print(f"{how}: {name} {told - at:.3f} s after the interrupt")
        assert name in {"KeyboardInterrupt", "CancelledError"}
        assert told - at < 0.5
        right = notebook.run(
            "print(json.dumps(bool(np.array_equal(gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size, timeout=120), a * a))))",
            timeout=150,
        ).value
        assert right


def test_modules_that_come_late_are_heard_all_the_same(notebook: Notebook) -> None:
    """anywidget drops what is said to a model whose module takes more than two seconds to begin; here it waits no longer than a millisecond."""
    notebook.page.add_init_script(
        "{ const wait = AbortSignal.timeout.bind(AbortSignal); AbortSignal.timeout = (ms) => wait(ms === 2000 ? 1 : ms); }"
    )
    notebook.reload()
    notebook.run("import webgpu_widget as wg\ngpu = wg.GPU('comm')\ngpu").ok()
    assert notebook.run("print(int((gpu.arange(5) + 1).sum()))").value == 15
    notebook.page.wait_for_selector(".webgpu-widget-status")
    notebook.run("bar = wg.MandelbrotExplorer(height=200)\nbar").ok()
    notebook.page.wait_for_selector(".wgmb[data-state=idle]")
