"""Build the site of the documents: ``python tools/docs.py [FOLDER]``, docs/_site by default. It needs no network, and every warning is an error.

The pages are the project's own Markdown and its notebooks as they are saved, at the places where the repository has them, so that their links hold both on the
site and in the repository. Sphinx with myst-nb and furo was chosen because it builds all of that without a network and without a CDN in the pages
(Jupyter Book 2 asks a server for its template, mkdocs-material's pages name a CDN). Links inside the site are checked by the build; addresses are not
opened.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).parents[1]
TREES = ("docs", "notebooks")
FILES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "LICENSE", "bench/NOTES.md")
SUFFIXES = {".md", ".ipynb", ".png", ".svg", ".json"}
VIEW = "application/vnd.jupyter.widget-view+json"
PICTURES = {"image/png", "text/html"}
CONTENTS = """
```{toctree}
:hidden:
:caption: Begin

docs/install
docs/hosts
```

```{toctree}
:hidden:
:caption: Tutorials
:glob:

notebooks/0*
```

```{toctree}
:hidden:
:caption: Gallery
:glob:

notebooks/gallery/*
```

```{toctree}
:hidden:
:caption: Reference

docs/api/index
docs/views
docs/wgsl
docs/weights
docs/fft
docs/adapters
docs/benchmarks
docs/libraries
docs/selftest
docs/cluster
```

```{toctree}
:hidden:
:caption: Inside

docs/architecture
CONTRIBUTING
SECURITY
docs/reliability
docs/fuzzing
bench/NOTES
CHANGELOG
notebooks/tiny_t5/README
```
"""
API = """
```{toctree}
:hidden:
:glob:

*
```
"""
OPTIONS = {
    "project": "webgpu_widget",
    "html_title": "webgpu_widget",
    "root_doc": "README",
    "extensions": "myst_nb",
    "html_theme": "furo",
    "nb_execution_mode": "off",
    "myst_heading_anchors": 3,
    # A live view has its saved picture beside it, which is what a reader without a kernel sees; a traceback is no program.
    "suppress_warnings": "misc.highlighting_failure,myst.header,mystnb.unknown_mime_type",
}


def show_pictures(notebook: Path) -> None:
    """Leave of each live view that has a saved picture the picture: a page without a kernel would choose the view, and show nothing."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if PICTURES & data.keys():
                data.pop(VIEW, None)
    notebook.write_text(json.dumps(content), encoding="utf-8")


def assemble(source: Path) -> None:
    """Copy what the site is made of, and give the pages at the top their tables of contents."""
    for name in FILES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    for tree in TREES:
        for path in (ROOT / tree).rglob("*"):
            inside = path.relative_to(ROOT)
            if (
                path.is_file()
                and path.suffix in SUFFIXES
                and "_site" not in inside.parts
                and ".ipynb_checkpoints" not in inside.parts
            ):
                (source / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, source / inside)
                if path.suffix == ".ipynb":
                    show_pictures(source / inside)
    for page, contents in (("README.md", CONTENTS), ("docs/api/index.md", API)):
        with (source / page).open("a", encoding="utf-8") as file:
            file.write(contents)


def main() -> int:
    """Build; returns Sphinx's exit status."""
    site = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "_site"
    with tempfile.TemporaryDirectory(prefix="site-") as folder:
        source = Path(folder) / "source"
        assemble(source)
        built = Path(folder) / "built" / "site"  # myst-nb leaves a folder of its own beside it
        options = [word for key, value in OPTIONS.items() for word in ("-D", f"{key}={value}")]
        command = [
            "-C",
            "-W",
            "--keep-going",
            "-q",
            "-b",
            "html",
            "-d",
            f"{folder}/trees",
            *options,
            str(source),
            str(built),
        ]
        status = int(sphinx(command))
        if status == 0:
            (built / "index.html").write_text(
                '<!doctype html><meta http-equiv="refresh" content="0; url=README.html"><a href="README.html">webgpu_widget</a>'
            )
            shutil.rmtree(site, ignore_errors=True)
            shutil.move(built, site)
        return status


if __name__ == "__main__":
    sys.exit(main())
