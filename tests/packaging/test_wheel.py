"""The wheel, installed in a clean environment with the source tree out of reach."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = """
import json, pathlib, numpy as np
import webgpu_widget as wg
from webgpu_widget import shaders
gpu = wg.GPU(transport="headless")
source = '''
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { if (id.x < 9u) { y[id.x] = 2.0 * x[id.x]; } }'''
x = np.arange(9, dtype=np.float32)
right = bool(np.array_equal(gpu.run(source, x=x, y=wg.out(9), threads=9), 2 * x))
gpu.close()
print(json.dumps([right, wg.__file__, len(shaders.load("array/repack")) > 0]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "SKIP_JUPYTER_BUILDER": "1"}
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return next(folder.glob("*.whl"))


def test_wheel_has_the_bundle_and_every_shader(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "webgpu_widget").rglob("*.wgsl")}
    assert wanted, "there are shaders"
    assert wanted <= names
    for name in ("static/widget.js", "static/explorer.js", "static/panel.js", "static/shader.js", "py.typed"):
        assert f"webgpu_widget/{name}" in names
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]
    assert not [name for name in names if name.startswith(("tests", "js", "notebooks", "bench"))]


@pytest.mark.long
def test_a_source_distribution_installs_without_node(tmp_path):
    here = [sys.executable, "-m"]
    made = subprocess.run(
        [*here, "build", "--sdist", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        env={**os.environ, "SKIP_JUPYTER_BUILDER": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    bare = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SKIP_JUPYTER_BUILDER")}
    bare["PATH"] = str(tmp_path / "nothing")
    command = [*here, "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    built = subprocess.run(
        [*command, str(next(tmp_path.glob("*.tar.gz")))], env=bare, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        sent = archive.read("webgpu_widget/static/widget.js")
    assert sent == (ROOT / "webgpu_widget" / "static" / "widget.js").read_bytes()


def test_bundle_keeps_to_its_size():
    text = (ROOT / "webgpu_widget" / "static" / "widget.js").read_bytes()
    assert len(gzip.compress(text)) < 120_000
    assert b"sourceMappingURL" not in text


def test_bundle_is_newer_than_its_sources():
    built = (ROOT / "webgpu_widget" / "static" / "widget.js").stat().st_mtime
    stale = [str(path) for path in (ROOT / "js" / "src").rglob("*.ts") if path.stat().st_mtime > built + 1]
    assert not stale, f"built before {stale}: run make build"


def test_installed_wheel_computes_without_the_source_tree(wheel, tmp_path):
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    site = next((environment / "lib").glob("python*")) / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The dependencies come from the environment of the tests, after the wheel and without the editable install's path.
    (site / "dependencies.pth").write_text(f"import sys; sys.path.append({sysconfig.get_paths()['purelib']!r})\n")
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    told = subprocess.run(
        [str(python), "-c", SCRIPT], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False, timeout=120
    )
    assert told.returncode == 0, told.stderr
    right, where, shader = json.loads(told.stdout)
    assert right
    assert shader
    assert pathlib.Path(where).is_relative_to(environment), where
    command = [str(python), "-m", "webgpu_widget", "selftest", "--json", "--quick", "--area", "weights"]
    tested = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False, timeout=120)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert json.loads(tested.stdout)["rows"]["weights/decode_bf16"]["verdict"] == "right"
