"""The selftest as a whole: what it says, and what becomes of it when the GPU goes."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import threading
import time

import numpy as np
import pytest
from losing import lose_device

import webgpu_widget as wg
from webgpu_widget import __main__ as command_line
from webgpu_widget import _selftest
from webgpu_widget._selftest.case import Area, Case
from webgpu_widget._selftest.hazards import PROBES
from webgpu_widget._selftest.probe import Probe
from webgpu_widget._selftest.runner import MOST_LOSSES, Runner
from webgpu_widget.device.queue import Queue
from webgpu_widget.link.transports._chromium import Browser

SPIN = """
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var v = id.x;
  for (var i = 0u; i < 40000000u; i++) { v = v * 1664525u + 1013904223u; }
  y[id.x] = v;
}"""
FINE = Case("array/fine", "fine", lambda _bench: 0.5, "ulp", 1.0)


def area_of(*cases):
    return Area("arrays", list(cases))


def failing(error):
    def run(_bench):
        raise error

    return Case("array/failing", "failing", run, "ulp", 1.0)


@pytest.fixture
def own():
    """A GPU that a test may lose."""
    made = wg.GPU(transport="headless")
    made.ready(60)
    yield made
    made.close()


def run(gpu, *cases):
    runner = Runner(gpu, gpu.info, 1, lambda _name: None)
    return {row.name: row for row in runner.rows([area_of(*cases)])}


def test_a_report_by_every_way(gpu):
    report = wg.selftest(gpu, areas=["weights", "hazards"], seed=5)
    assert report.ok, report.text
    assert report.seed == 5
    assert {row.area for row in report.rows} == {"weights"}
    assert all(row.verdict == "right" and row.cases > 0 and row.worst_error is not None for row in report.rows)
    assert [found.name for found in report.hazards] == [probe.name for probe in PROBES]
    assert not [found for found in report.hazards if found.verdict.startswith(("failed", "not run"))], report.text
    for part in (gpu.info.name, gpu.info.user_agent, "weights", "seed 5", wg.__version__, PROBES[0].name):
        assert part in report.text
        assert part in report._repr_html_() or part == wg.__version__ or part in json.dumps(report.as_dict())
    assert repr(report) == str(report) == report.text
    content = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert content["ok"] is True
    assert content["rows"]["weights/decode_bf16"]["verdict"] == "right"
    assert set(content["hazards"]) == {probe.name for probe in PROBES}


def test_the_same_seed_gives_the_same_errors(gpu):
    first, second = (wg.selftest(gpu, areas="arrays", seed=77).rows for _ in range(2))
    assert first == second


def test_an_unknown_area_is_named(gpu):
    with pytest.raises(ValueError, match=r"no areas \['shaders'\]; it has arrays, library"):
        wg.selftest(gpu, areas=["shaders", "t5"])


def test_the_coroutine_lets_the_loop_go_on(gpu):
    async def both():
        beats = 0

        async def beat():
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0.005)

        task = asyncio.ensure_future(beat())
        report = await wg.selftest_async(gpu, areas="weights")
        task.cancel()
        return report, beats

    report, beats = asyncio.run(both())
    assert report.ok
    assert beats > 5


def test_a_broken_kernel_is_named_and_the_command_fails(monkeypatch, capsys):
    pipeline = Queue.pipeline

    def broken(self, source, label="", *rest, **options):
        changed = source.replace("<< 16u", "<< 15u") if label == "decode_bf16" else source
        assert label != "decode_bf16" or changed != source
        return pipeline(self, changed, label, *rest, **options)

    monkeypatch.setattr(Queue, "pipeline", broken)
    assert command_line.main(["selftest", "--json", "--area", "weights"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] is False
    assert [name for name, row in content["rows"].items() if row["verdict"] != "right"] == ["weights/decode_bf16"]
    assert command_line.main(["selftest", "--area", "weights", "--seed", "3"]) == 1
    text = capsys.readouterr().out
    assert "WRONG: weights/decode_bf16" in text
    assert "seed 3" in text


def test_the_command_ends_well(capsys):
    assert command_line.main(["selftest", "--area", "weights"]) == 0
    assert "everything that this adapter runs is right" in capsys.readouterr().out


def test_a_shader_that_does_not_compile_is_told_in_its_row(gpu, monkeypatch):
    pipeline = Queue.pipeline

    def broken(self, source, label="", *rest, **options):
        return pipeline(self, "not WGSL" if label == "decode_i8" else source, label, *rest, **options)

    monkeypatch.setattr(Queue, "pipeline", broken)
    report = wg.selftest(gpu, areas="weights")
    (row,) = report.wrong
    assert (row.name, row.verdict) == ("weights/decode_i8", "failed")
    assert "ShaderError" in row.note
    assert "FAILED: weights/decode_i8" in report.text


def test_a_device_lost_in_the_middle_fails_one_row(own):
    def lost(bench):
        buffer = bench.put(np.zeros(4))
        lose_device(own)
        return float(bench.get(buffer, (4,)).sum())

    real = next(case for case in _selftest.areas_of(["weights"])[0] if case.name == "weights/decode_f16")
    rows = run(own, FINE, Case("array/lost", "lost", lost, "ulp", 1.0), real)
    assert [row.verdict for row in rows.values()] == ["right", "failed", "right"]
    assert "LostError" in rows["array/lost"].note


def test_a_page_that_falls_silent_fails_one_row(own):
    def silent(bench):
        many = 1 << (16 if bench.gpu.info.is_fallback else 21)  # most of a second of work, on a GPU too
        y = bench.gpu.zeros(many, dtype=np.uint32)
        bench.gpu.kernel(SPIN)(y=y, threads=many)
        return float(y.numpy(timeout=0.3)[0])

    real = next(case for case in _selftest.areas_of(["weights"])[0] if case.name == "weights/decode_f16")
    rows = run(own, Case("array/silent", "silent", silent, "ulp", 1.0), real, FINE)
    assert [row.verdict for row in rows.values()] == ["failed", "right", "right"]
    assert "TimeoutError" in rows["array/silent"].note


def test_a_gpu_that_goes_again_and_again_is_given_up(gpu):
    lost = [failing(wg.DeviceLostError("the GPU was reset"))] * (MOST_LOSSES + 3)
    cases = [dataclasses.replace(case, name=f"array/lost{i}") for i, case in enumerate(lost)]
    verdicts = [row.verdict for row in run(gpu, *cases, FINE).values()]
    assert verdicts == ["failed"] * MOST_LOSSES + ["not run"] * 4


def test_a_gpu_that_does_not_come_back_ends_it(own):
    gone = failing(wg.FrontendLostError("the page was closed"))
    closing = Case("array/closing", "closing", lambda _bench: own.close() or gone.run(_bench), "ulp", 1.0)
    runner = Runner(own, own.info, 1, lambda _name: None)
    rows = {row.name: row for row in runner.rows([area_of(closing, FINE)])}
    assert [row.verdict for row in rows.values()] == ["failed", "not run"]
    assert "did not come back" in rows["array/fine"].note
    (found,) = runner.hazards([Probe("probe", 1, lambda _gpu: None)])
    assert found.verdict.startswith("not run")


def test_what_the_adapter_lacks_is_not_wrong(gpu):
    info = dataclasses.replace(gpu.info, features=frozenset())
    runner = Runner(gpu, info, 1, lambda _name: None)
    wants = Case("nn/wants", "wants", lambda _bench: np.nan, "ulp", 1.0, ("subgroups", "shader-f16"))
    (row,) = runner.rows([area_of(wants)])
    assert row.ok
    assert (row.verdict, row.cases, row.note) == ("not on this adapter", 0, "no subgroups, shader-f16")
    (found,) = runner.hazards([Probe("timestamps", 11, lambda _gpu: None, ("timestamp-query",))])
    assert found.verdict == "not on this adapter: no timestamp-query"


@pytest.mark.parametrize("error", [np.nan, np.inf, 1.01])
def test_an_error_beyond_what_is_allowed_is_wrong(gpu, error):
    off = Case("array/off", "off", lambda _bench: error, "ulp", 1.0)
    rows = run(gpu, dataclasses.replace(FINE, name="array/off"), off)
    assert rows["array/off"].verdict == "wrong"
    assert rows["array/off"].note == "off"
    report = _selftest.Report(tuple(rows.values()), (), gpu.info, 1, 0.0)
    assert not report.ok
    assert "SOMETHING IS WRONG" in report.text
    json.dumps(report.as_dict(), allow_nan=False)


def test_ctrl_c_ends_it(gpu):
    with pytest.raises(KeyboardInterrupt):
        run(gpu, failing(KeyboardInterrupt()), FINE)


def test_a_quick_one_takes_one_input_a_shader(gpu):
    report = wg.selftest(gpu, areas=["weights", "arrays"], quick=True)
    assert report.ok
    assert {row.cases for row in report.rows} == {1}


def test_another_browser_is_tested_by_its_page(capfd):
    opened = []

    def open_it():
        deadline, said = time.monotonic() + 30, ""
        while time.monotonic() < deadline and not opened:
            said += capfd.readouterr().err
            if re.search(r"Open http\S+\s", said):
                opened.append(Browser(said.split()[said.split().index("Open") + 1]))
            time.sleep(0.05)

    thread = threading.Thread(target=open_it)
    thread.start()
    try:
        assert command_line.main(["selftest", "--page", "--quick", "--area", "weights"]) == 0
    finally:
        thread.join()
        for browser in opened:
            browser.close()
    assert "transport   page" in capfd.readouterr().out


def test_hazards_alone_say_nothing_of_right_or_wrong(gpu):
    report = _selftest.Report((), (_selftest.Finding("x != x", 3, "differs: a | b"),), gpu.info, 1, 0.0)
    assert "only the hazards were asked for" in report.text
    assert "is right" not in report.text
    assert "differs: a | b" in report._repr_html_()
