"""What the doctor says of an adapter whose selftest has failed, and of one that has not been tested."""

from __future__ import annotations

import dataclasses
import json

import pytest

from webgpu_widget import __main__ as command_line
from webgpu_widget._selftest import kept
from webgpu_widget._selftest.report import Row
from webgpu_widget.cli import doctor as _doctor
from webgpu_widget.gpu import AdapterInfo
from webgpu_widget.process import user_cache

RIGHT = Row("array/scan", "arrays", 3, 0.5, 16.0, "roundings", "right", "sums")
OTHER = Row("nn/pick", "nn", 3, 0.0, 0.0, "tokens", "right", "draws")
WRONG = Row("nn/beam", "nn", 2, 4.0, 0.0, "tokens", "wrong", "beams=3")
ABSENT = Row("nn/fused_self", "nn", 0, None, None, "relative", "not on this adapter", "no subgroups")


@pytest.fixture
def doctor(capsys):
    def run():
        status = command_line.main(["doctor", "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


def test_an_adapter_without_a_selftest_gets_a_short_one(doctor, monkeypatch):
    asked = []
    selftest = _doctor.selftest
    monkeypatch.setattr(
        _doctor, "selftest", lambda *given, **options: asked.append(options) or selftest(*given, **options)
    )
    status, report = doctor()
    assert status == 0
    assert report["selftest"].startswith("right in ")
    assert "one input each" in report["selftest"]
    assert asked == [{"quick": True, "progress": False}]
    assert not user_cache.path("selftest.json").exists(), "what was looked at in haste is not kept"


def test_what_is_wrong_is_named_with_what_still_works(gpu, doctor):
    kept.remember(gpu.info, [RIGHT, OTHER, WRONG, ABSENT])
    status, report = doctor()
    assert status == 1
    said = report["selftest"]
    assert "WRONG" in said
    assert "nn/beam (wrong: 4 of 0 tokens; beams=3)" in said
    assert "What still works: arrays, nn but for nn/beam" in said
    assert report["kernel_is_right"], "work goes on"
    kept.remember(gpu.info, [dataclasses.replace(WRONG, verdict="right", worst_error=0.0)])
    status, report = doctor()
    assert (status, report["selftest"].split(" on ")[0]) == (0, "right in 4 kernels"), "rows of another run stay"


def test_other_adapters_browsers_and_versions_are_others(gpu, monkeypatch):
    kept.remember(gpu.info, [WRONG])
    assert kept.recall(gpu.info).wrong == ["nn/beam"]
    assert kept.recall(dataclasses.replace(gpu.info, device="another")) is None
    assert kept.recall(dataclasses.replace(gpu.info, user_agent="another")) is None
    monkeypatch.setattr(kept, "__version__", "another")
    assert kept.recall(gpu.info) is None


ALL = frozenset({"shader-f16", "subgroups", "timestamp-query", "chromium-experimental-subgroup-matrix"})
UNITS = ({"M": 16, "N": 16, "K": 16, "componentType": "f16", "resultComponentType": "f32"},)
CHROME = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:153.0) Gecko/20100101 Firefox/153.0"
SAFARI = "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15"


@pytest.mark.parametrize(
    ("browser", "vendor", "features", "missing"),
    [
        (CHROME, "nvidia", ALL, set()),
        (CHROME + " Edg/156.0.0.0", "nvidia", ALL, set()),
        (CHROME, "intel", ALL, {"chromium-experimental-subgroup-matrix"}),
        (FIREFOX, "nvidia", ALL - {"subgroups"}, {"shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"}),
        (SAFARI, "apple", {"shader-f16"}, ALL - {"shader-f16"}),
    ],
)
def test_what_a_browser_lacks_is_said_with_what_is_done_without(browser, vendor, features, missing):
    info = AdapterInfo(vendor, "", "", "", False, frozenset(features), {}, browser, "page", UNITS)
    told = _doctor.lacks(info)
    assert set(told) == missing
    assert all(len(instead) > 20 for instead in told.values())


def test_the_doctor_says_what_this_adapter_lacks(gpu, doctor):
    _, report = doctor()
    assert report["lacks"] == _doctor.lacks(gpu.info)
    assert not set(report["lacks"]) & (set(report["features"]) - {"chromium-experimental-subgroup-matrix"})


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"format": 0}', '{"format": 1, "adapters": [1]}', '{"format": 1, "adapters": {KEY: 1}}',
     '{"format": 1, "adapters": {KEY: {"day": "x", "rows": {"a": {"area": "b"}}}}}'],
)  # fmt: skip
def test_a_broken_file_is_as_if_it_were_not_there(gpu, content):
    file = user_cache.path("selftest.json")
    file.parent.mkdir(parents=True)
    file.write_text(content.replace("KEY", json.dumps(kept._key(gpu.info))))
    assert kept.recall(gpu.info) is None
    kept.remember(gpu.info, [RIGHT])
    assert kept.recall(gpu.info).rows["array/scan"]["verdict"] == "right"
    assert [item.name for item in file.parent.iterdir()] == ["selftest.json"]


def test_a_folder_that_cannot_be_written_is_no_error(gpu, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept.remember(gpu.info, [RIGHT])
    assert kept.recall(gpu.info) is None
