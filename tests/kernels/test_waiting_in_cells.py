"""How cells wait for their page, on real kernels: versions, with subshells and without, from threads and tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from front_end import FrontEnd

RUN = "gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size)"
CHECK = f"print(json.dumps(bool(np.array_equal({RUN}, a * a))))"
LATE_S = 0.15


def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_blocking_in_the_cell_that_made_it(front: FrontEnd) -> None:
    assert front.run("gpu = wg.GPU()\n" + CHECK) == "true"
    front.call(lambda: setattr(front.page, "delay_s", LATE_S))
    assert front.run(CHECK) == "true"


def test_await_in_the_cell_that_made_it(front: FrontEnd) -> None:
    assert (
        front.run(f"gpu = wg.GPU()\ny = await {RUN.replace('run', 'run_async', 1)}\nprint(np.array_equal(y, a * a))")
        == "True"
    )
    front.call(lambda: setattr(front.page, "delay_s", LATE_S))
    assert front.run(f"y = await {RUN.replace('run', 'run_async', 1)}\nprint(np.array_equal(y, a * a))") == "True"


def test_the_event_loop_runs_while_a_cell_awaits(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); gpu.ready()")
    front.call(lambda: setattr(front.page, "delay_s", 0.3))
    beats = front.run(f"""
beats = 0
async def beat():
    global beats
    while True:
        beats += 1
        await asyncio.sleep(0.01)
task = asyncio.ensure_future(beat())
y = await {RUN.replace("run", "run_async", 1)}
task.cancel()
print(beats if np.array_equal(y, a * a) else "wrong")
""")
    assert int(beats) > 10


def test_worker_thread_while_the_cell_joins_it(front: FrontEnd) -> None:
    found = front.run(f"""
gpu = wg.GPU()
found = []
thread = threading.Thread(target=lambda: found.append({RUN}))
thread.start()
thread.join(10)
print(bool(found) and np.array_equal(found[0], a * a))
""")
    assert found == "True"


def test_worker_thread_that_outlives_its_cell(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); gpu.ready()")
    front.call(lambda: setattr(front.page, "delay_s", 0.3))
    front.run(f"found = []\nthread = threading.Thread(target=lambda: found.append({RUN}))\nthread.start()")
    time.sleep(0.6)
    assert front.run("thread.join(5)\nprint(bool(found) and np.array_equal(found[0], a * a))") == "True"


def test_worker_and_main_thread_at_once(front: FrontEnd) -> None:
    found = front.run("""
gpu = wg.GPU()
found = []
def work():
    for i in range(20):
        found.append(np.array_equal(gpu.run(SQUARE, x=a + i, y=wg.out(a.shape), threads=a.size), (a + i) ** 2))
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
work()
[thread.join(10) for thread in threads]
print(len(found), all(found))
""")
    assert found == "80 True"


def test_asyncio_task(front: FrontEnd) -> None:
    call = RUN.replace("run", "run_async", 1)
    found = front.run(f"""
gpu = wg.GPU()
async def work():
    return np.array_equal(await {call}, a * a)
tasks = [asyncio.create_task(work()) for _ in range(5)]
print(all(await asyncio.gather(*tasks)))
""")
    assert found == "True"
    front.run("task = asyncio.create_task(work())")
    time.sleep(0.3)
    assert front.run("print(await asyncio.wait_for(task, 5))") == "True"


def test_blocking_inside_a_coroutine(front: FrontEnd) -> None:
    assert (
        front.run(f"gpu = wg.GPU()\nasync def work():\n    return np.array_equal({RUN}, a * a)\nprint(await work())")
        == "True"
    )


def interrupted(front: FrontEnd, how: str) -> tuple[str, float]:
    front.run("gpu = wg.GPU(); n = gpu.array(a); gpu.ready()")
    front.call(lambda: setattr(front.page, "frozen", True))
    run = front.start(f"""
print("begun", flush=True)
try:
    {how}
    print(json.dumps(["nothing", time.time()]))
except BaseException as error:
    print(json.dumps([type(error).__name__, time.time()]))
    raise
""")
    assert run.printed.wait(10)
    time.sleep(0.25)
    at = time.time()
    front.manager.interrupt_kernel()
    run.wait(10)
    name, told = json.loads(run.text.splitlines()[-1])
    assert run.error.startswith(("KeyboardInterrupt", "CancelledError")), run.error
    until(lambda: front.page.cancelled)
    front.call(lambda: setattr(front.page, "frozen", False))
    assert front.run(CHECK) == "true"
    return name, told - at


def test_interrupt_while_blocking(front: FrontEnd) -> None:
    tries = []
    for _ in range(3):
        name, seconds = interrupted(front, "n.numpy()")
        assert name == "KeyboardInterrupt"
        tries.append(seconds)
        if seconds < 0.2:
            break
    assert min(tries) < 0.2, tries


def test_interrupt_while_awaiting(front: FrontEnd) -> None:
    tries = []
    for _ in range(3):
        name, seconds = interrupted(front, "await n.numpy_async()")
        assert name in {"KeyboardInterrupt", "CancelledError"}
        tries.append(seconds)
        if seconds < 0.2:
            break
    assert min(tries) < 0.2, tries


def test_silence_is_a_timeout_and_the_next_call_works(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); n = gpu.array(a); gpu.ready()")
    front.call(lambda: setattr(front.page, "frozen", True))
    run = front.start("n.numpy(timeout=0.5)").wait()
    assert run.error.startswith("FrontendTimeoutError"), run.error
    assert "0.5 s" in run.error
    until(lambda: front.page.resets)
    assert front.run(CHECK) == "true"
    assert front.start("n.numpy()").wait().error.startswith("DeviceLostError")


def test_no_page_is_an_error_that_says_what_to_do(front: FrontEnd) -> None:
    front.make_pages = 0
    run = front.start(f"gpu = wg.GPU()\n{RUN[:-1]}, timeout=0.5)").wait()
    assert run.error.startswith("NoFrontendError"), run.error
    assert "WEBGPU_WIDGET_TRANSPORT=headless" in run.error
    front.call(lambda: front.add_page(front.comm_id))
    assert front.run(CHECK) == "true", "it works as soon as there is a page"


def test_a_page_that_comes_while_a_cell_waits_for_it(front: FrontEnd) -> None:
    front.make_pages = 0
    run = front.start("gpu = wg.GPU()\nprint('made', flush=True)\n" + CHECK)
    assert run.printed.wait(10)
    time.sleep(0.3)
    front.call(lambda: front.add_page(front.comm_id))
    assert run.ok().endswith("true")


def test_bye_while_a_cell_waits(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); n = gpu.array(a); gpu.ready()")
    front.call(lambda: setattr(front.page, "frozen", True))
    run = front.start("print('begun', flush=True)\nn.numpy()")
    assert run.printed.wait(10)
    time.sleep(0.2)
    at = time.monotonic()
    front.call(lambda: front.page.bye(front.page.comm_link))
    run.wait()
    assert run.error.startswith("FrontendLostError"), run.error
    assert time.monotonic() - at < 10, "well before the read's own end"
    front.call(lambda: front.add_page(front.comm_id))
    assert front.run(CHECK) == "true"
    assert front.start("n.numpy()").wait().error.startswith("FrontendLostError")


def test_two_pages_one_leads_and_the_other_takes_over(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); n = gpu.array(a); gpu.ready()")
    second = front.call(lambda: front.add_page(front.comm_id))
    until(lambda: second.role == "standby")
    assert front.run(CHECK) == "true"
    assert second.batches == 0
    front.call(lambda: front.page.bye(front.page.comm_link))
    until(lambda: second.role == "leader")
    assert front.run(CHECK) == "true"
    assert second.batches > 0
    assert front.start("n.numpy()").wait().error.startswith("FrontendLostError")


def test_a_page_that_died_without_a_word_is_replaced_by_the_next_hello(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); n = gpu.array(a); gpu.ready()")
    front.call(lambda: setattr(front.page, "dead", True))
    run = front.start("n.numpy()")
    time.sleep(0.3)
    front.call(lambda: front.add_page(front.comm_id))
    assert run.wait(10).error.startswith("FrontendLostError"), run.error
    assert front.run(CHECK) == "true"


def test_ten_thousand_calls_are_few_messages(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); count = gpu.kernel(COUNT); n = gpu.array(np.zeros(1, np.uint32)); gpu.synchronize()")
    before = front.page.batches, front.comm_messages
    found = front.run("for _ in range(10_000):\n    count(n=n, threads=1)\nprint(int(n.numpy()[0]))", 60)
    assert found == "10000"
    assert front.page.batches - before[0] < 40
    assert front.comm_messages - before[1] < 60


def test_big_arrays_keep_the_window(front: FrontEnd) -> None:
    found = front.run(
        """
gpu = wg.GPU()
data = np.random.default_rng(3).integers(0, 2**32, 5 << 20, dtype=np.uint32)
k = gpu.array(data)
print(np.array_equal(k.numpy(), data))
""",
        60,
    )
    assert found == "True"
    assert front.page.most_kept_bytes <= 8 << 20


def test_the_lane_can_be_turned_off(front: FrontEnd) -> None:
    front.page_options = {"loopback": True}
    front.run("gpu = wg.GPU(); gpu.ready()")
    lane = front.page.lane
    assert lane is not None
    assert lane["url"].startswith("ws://127.0.0.1:")
    assert len(lane["token"]) >= 32
    assert front.run("import os\nos.environ['WEBGPU_WIDGET_LANE'] = '0'\ngpu = wg.GPU()\n" + CHECK) == "true"
    front.run("del os.environ['WEBGPU_WIDGET_LANE']")
    assert front.page.lane is None


def test_cells_run_in_order_and_print_under_themselves(front: FrontEnd) -> None:
    front.run("gpu = wg.GPU(); gpu.ready()")
    front.call(lambda: setattr(front.page, "delay_s", 0.2))
    runs = [front.start(f"y = {RUN}\nprint({i}, y[3])") for i in range(4)]
    assert [run.ok() for run in runs] == [f"{i} 9.0" for i in range(4)]


def test_other_widgets_messages_are_not_lost(front: FrontEnd) -> None:
    front.run("""
import ipywidgets
slider = ipywidgets.IntSlider()
heard = []
slider.on_msg(lambda widget, content, buffers: heard.append(content["n"]))
gpu = wg.GPU(); gpu.ready()
""")
    slider = front.run("print(slider.comm.comm_id)")
    front.call(lambda: setattr(front.page, "delay_s", 0.4))
    run = front.start("print('begun', flush=True)\n" + CHECK)
    assert run.printed.wait(10)
    for n in range(5):
        front.call(lambda n=n: front.comm_send(slider, {"method": "custom", "content": {"n": n}}))
    assert run.ok().endswith("true")
    time.sleep(0.1)
    assert front.run("print(heard)") == "[0, 1, 2, 3, 4]"


def test_each_message_taken_ends_idle(front: FrontEnd) -> None:
    front.statuses.clear()
    assert front.run("gpu = wg.GPU()\n" + CHECK) == "true"
    until(lambda: front.statuses and all(states[-1:] == ["idle"] for states in front.statuses.values()))
