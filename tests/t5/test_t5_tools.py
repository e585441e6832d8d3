"""The tools beside the T5 do what their help says."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from t5_common import TINY

TOOLS = TINY.parents[1] / "tools" / "t5"
LAYERS = 4  # of the shipped model's encoder, and of its decoder


@pytest.mark.long
def test_the_bench_reports_every_figure(tmp_path):
    out = tmp_path / "report.json"
    command = [sys.executable, TOOLS / "bench.py", TINY, "--tokens", "6", "--runs", "1", "--output", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())["models"]
    assert row["dispatches_per_token"] in {
        per_layer * LAYERS + others for per_layer, others in ((6, 2), (8, 2), (11, 3))
    }  # in blocks, where the adapter has room
    assert row["batch_1"]["tokens"] == 6
    for figure in ("load_s", "first_text_s", "bare_step_ms"):
        assert row[figure] > 0
    assert re.search(r"tiny_t5 f32(, fused in workgroups of \d+)?: loaded in", done.stdout)


@pytest.mark.long
def test_the_bench_times_the_encoder_alone(tmp_path):
    out = tmp_path / "report.json"
    command = [sys.executable, TOOLS / "bench.py", TINY, "--encoder-only", "--encoder-tokens", "5", "--profile"]
    done = subprocess.run([*command, "--output", out], capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())["models"]
    assert row["encoder_5_ms"] > 0
    assert row["encoder_5_alone_ms"] > 0
    assert 8 * LAYERS + 2 <= row["encoder_dispatches"] <= 12 * LAYERS + 2
    assert "encoder   4 nn/attention" in done.stdout
    assert "tokens/s" not in done.stdout


def test_readers_see_how_good_the_shipped_model_is():
    right = json.loads((TINY / "report.json").read_text())["exact_match"]["all"]
    assert right >= 0.95
    for path in (TINY / "README.md", TINY.parent / "05_flan_t5.ipynb", TINY.parents[1] / "README.md"):
        assert f"{100 * right:.1f} %" in path.read_text(encoding="utf-8")
