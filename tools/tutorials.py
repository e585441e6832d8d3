"""Run tutorials in a headless browser and save them with what came out: ``python tools/tutorials.py [NOTEBOOK ...]``, all of them by default.

What is shown by ipywidgets' own widgets is left out: without its kernel a notebook that is opened again has an error in their place. Of the package's views
there are pictures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "notebooks"
VIEW = "application/vnd.jupyter.widget-view+json"


def run(path: Path) -> None:
    """Run a notebook and save it."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace"]
    options = ["--ExecutePreprocessor.timeout=600", "--ExecutePreprocessor.record_timing=False"]
    environment = {**os.environ, "WEBGPU_WIDGET_TRANSPORT": "headless"}
    before = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    subprocess.run([*command, *options, str(path)], check=True, env=environment)
    made = {**json.loads(path.read_text(encoding="utf-8")), "metadata": before}
    for cell in made["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [output for output in cell["outputs"] if VIEW not in output.get("data", {})]
    path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Run those that are named."""
    named = [Path(name) for name in sys.argv[1:]]
    for path in named or sorted([*FOLDER.glob("*.ipynb"), *FOLDER.glob("gallery/*.ipynb")]):
        print(path.name, flush=True)
        run(path)


if __name__ == "__main__":
    main()
