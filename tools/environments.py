"""Install a wheel in clean environments and compute there: ``python tools/environments.py WHEEL [PYTHON ...]``.

Each interpreter (those of 3.11 to 3.14 on the PATH and of pyenv by default) gets an environment with nothing but the wheel and the newest versions of what it
needs, and the oldest too where they can be had for it. In each, outside of the source tree, a kernel runs in a headless browser and is
compared, views draw what a notebook's file keeps, and the doctor's selftest runs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

MINORS = range(11, 15)
SCRIPT = """
import json, sys
import numpy as np
import webgpu_widget as wg
assert "site-packages" in wg.__file__, wg.__file__
gpu = wg.GPU(transport="headless")
x = np.random.default_rng().standard_normal(1000).astype(np.float32)
assert np.array_equal((gpu.array(x) * 2).numpy(), 2 * x)
made = wg.mandelbrot.render(size=(64, 48), max_iter=100, gpu=gpu)
assert made.iterations.shape == (48, 64)
view = wg.ShaderView("fn image(p: vec2f) -> vec3f { return vec3f(0.5); }", (8, 8), gpu)
for one in (gpu, view, wg.MandelbrotExplorer(gpu=gpu)):
    assert {"image/png", "text/plain"} <= set(one._repr_mimebundle_()[0]), one
print(json.dumps([gpu.info.name, np.__version__, __import__("anywidget").__version__]))
gpu.close()
"""


def interpreters() -> list[str]:
    """Find them, one for each minor version."""
    found = []
    for minor in MINORS:
        pyenv = sorted(Path("~/.pyenv/versions").expanduser().glob(f"3.{minor}.*/bin/python"))
        for name in (f"python3.{minor}", *map(str, pyenv)):
            program = shutil.which(name)
            if program and _is(program, minor):
                found.append(program)
                break
    return found


def _is(program: str, minor: int) -> bool:
    """Whether a program is that Python: pyenv has a stand-in for each, which may find none."""
    told = subprocess.run(
        [program, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True, check=False
    )
    return told.stdout.strip() == str(minor)


def oldest(wheel: Path) -> list[str]:
    """Return what a wheel needs, at the oldest versions that it allows."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        needs = metadata.PathDistribution(zipfile.Path(archive, name.removesuffix("METADATA"))).requires or []
    return [re.sub(r">=", "==", need) for need in needs if "extra ==" not in need]


def tried(python: str, wheel: Path, pins: list[str]) -> str:
    """Say how it went in a new environment."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    with tempfile.TemporaryDirectory(prefix="environment-") as folder:
        own = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "venv", folder], check=True, env=kept)
        install = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
        done = subprocess.run([*install, str(wheel), *pins], capture_output=True, text=True, check=False, env=kept)
        if done.returncode:
            return "cannot be installed: " + done.stderr.strip().splitlines()[-1]
        for command in ([own, "-c", SCRIPT], [str(Path(folder) / "bin" / "webgpu-widget"), "doctor", "--json"]):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=kept, cwd=folder)
            if done.returncode:
                return "FAILED: " + (done.stderr or done.stdout).strip()[-2000:]
            if command[1] == "-c":
                adapter, numpy, anywidget = json.loads(done.stdout)
        return (
            f"right on {adapter}, NumPy {numpy}, anywidget {anywidget}; doctor: {json.loads(done.stdout)['selftest']}"
        )


def main() -> int:
    """Try all; returns how many failed."""
    wheel = Path(sys.argv[1]).resolve()
    failed = 0
    for python in sys.argv[2:] or interpreters():
        for name, pins in (("newest", []), ("oldest", oldest(wheel))):
            said = tried(python, wheel, pins)
            failed += said.startswith("FAILED")
            print(f"{python}, {name} versions: {said}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
