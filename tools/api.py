"""Write the pages of docs/api from the package: every public name with its signature and what it is.

    python tools/api.py            writes them
    python tools/api.py --check    says whether they are up to date

Public is what ``wg.__all__`` and the modules in it list. A name's page has its signature and the first paragraph of its docstring; methods and
attributes of classes stand below it, and all else is in ``help(name)``.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import webgpu_widget as wg

DOCS = Path(__file__).parents[1] / "docs" / "api"
PAGES = {
    "gpu": ("WGSL and the GPU", "GPU default_gpu Kernel Program Profile Out out out_texture texture sampler AdapterInfo MemoryInfo BoundsFault selftest load_ipython_extension"),
    "arrays": ("Arrays and matrices", "GPUArray matmul einsum fft_convolve transpose add subtract multiply softmax layer_norm rms_norm relu silu gelu"),
    "views": ("Pictures", "ShaderView show"),
    "weights": ("Model weights", "load_weights inspect_weights"),
    "models": ("Models", "T5 LanguageModel"),
    "cluster": ("Clusters of browsers", "Cluster"),
}  # fmt: skip
MODULES = {
    "xp": "The array API",
    "xp.fft": "Fourier transforms",
    "linalg": "Linear algebra",
    "mandelbrot": "The Mandelbrot set",
    "cache": "The browser's cache of weights",
}
EXTRA = {"mandelbrot": ["MandelbrotExplorer"]}
_DTYPE = re.compile(r"<class 'numpy\.(\w+)'>")


def first_paragraph(thing: object) -> str:
    """Return the summary of a docstring in one line."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split())


def signature(name: str, thing: Any) -> str:
    """Return a call as one would write it, without annotations, which ``help`` has."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return name
    parameters = [p.replace(annotation=p.empty) for p in found.parameters.values() if p.name not in ("self", "cls")]
    return _DTYPE.sub(r"np.\1", name + str(found.replace(parameters=parameters, return_annotation=found.empty)))


def member_names(kind: type) -> list[str]:
    """Return the names of a class's public members, those that other packages' classes gave it left out."""
    own = {name for base in kind.__mro__ if base.__module__.startswith("webgpu_widget") for name in vars(base)}
    return sorted(name for name in own if not name.startswith("_"))


def members(kind: type) -> list[str]:
    """Return lines for a class's public methods, properties and traits, in the order of their names."""
    lines = []
    for name in member_names(kind):
        raw = inspect.getattr_static(kind, name)
        thing = getattr(kind, name, raw)
        if isinstance(raw, property):
            lines.append(f"- `{name}`: {first_paragraph(raw)}")
        elif callable(thing) and (inspect.isfunction(thing) or inspect.ismethod(thing)):
            lines.append(f"- `{signature(name, thing)}`: {first_paragraph(thing)}")
    return lines


def surface() -> Iterator[tuple[str, Any]]:
    """Yield every public name with what it is, methods included."""
    named = [(f"wg.{name}", getattr(wg, name)) for name in wg.__all__ if name not in MODULES]
    for page in MODULES:
        module = home(page)
        named += [(f"wg.{page}.{name}", getattr(module, name)) for name in module.__all__]
    for name, thing in named:
        yield name, thing
        if isinstance(thing, type):
            yield from ((f"{name}.{member}", getattr(thing, member)) for member in member_names(thing))


def home(page: str) -> types.ModuleType:
    """Return the module of a page."""
    return importlib.import_module(f"webgpu_widget.{page}") if "." in page else getattr(wg, page)


def entry(prefix: str, name: str, thing: Any) -> list[str]:
    """Return the lines of one name."""
    if isinstance(thing, type):
        if issubclass(thing, BaseException):
            bases = ", ".join(base.__name__ for base in thing.__bases__)
            return [f"### `{prefix}{name}({bases})`", "", first_paragraph(thing), ""]
        return [f"### `class {prefix}{signature(name, thing)}`", "", first_paragraph(thing), "", *members(thing), ""]
    if callable(thing):
        return [f"### `{prefix}{signature(name, thing)}`", "", first_paragraph(thing), ""]
    return [
        f"### `{prefix}{name}`",
        "",
        f"`{thing!r}`" if isinstance(thing, float) else f"A {type(thing).__name__}.",
        "",
    ]


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    rest = set(wg.__all__) - set(MODULES) - {name for names in EXTRA.values() for name in names}
    made: dict[str, str] = {}
    for page, (title, listed) in PAGES.items():
        names = [name for name in listed.split() if name in rest]
        names += [f"{name}_async" for name in names if f"{name}_async" in rest]
        rest -= set(names)
        made[page] = _page(title, [line for name in names for line in entry("wg.", name, getattr(wg, name))])
    for page, title in MODULES.items():
        module = home(page)
        lines = [first_paragraph(module), ""]
        for name in EXTRA.get(page, []):
            lines += entry("wg.", name, getattr(wg, name))
        for name in sorted(module.__all__):
            lines += entry(f"wg.{page}.", name, getattr(module, name))
        made[page] = _page(title, lines)
    errors = sorted(name for name in rest if name.endswith("Error"))
    made["errors"] = _page("Errors", [line for name in errors for line in entry("wg.", name, getattr(wg, name))])
    unlisted = sorted(rest - set(errors))
    if unlisted:
        raise SystemExit(f"tools/api.py: no page lists {', '.join(unlisted)}; add each to PAGES")
    titles = {**{page: title for page, (title, _) in PAGES.items()}, **MODULES, "errors": "Errors"}
    index = [f"- [{title}]({page}.md)" for page, title in titles.items()]
    made["index"] = _page(
        "The public names",
        [
            "`import webgpu_widget as wg`; whatever is not here may move. `help(name)` has parameters, errors and an example, in which `xp` is `wg.xp`, `np` is NumPy and `gpu` a `wg.GPU`.",
            "",
            *index,
        ],
    )
    return made


def _page(title: str, lines: list[str]) -> str:
    text = "\n".join([f"# {title}", "", "<!-- made by tools/api.py -->", "", *lines]).rstrip()
    return re.sub(r"\n{3,}", "\n\n", text) + "\n"


def main() -> int:
    """Write the pages, or compare them."""
    made = pages()
    if "--check" in sys.argv[1:]:
        there = {path.stem: path.read_text("utf-8") for path in DOCS.glob("*.md")}
        stale = sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))
        if stale:
            print(f"docs/api: {', '.join(stale)} differ from the package: run python tools/api.py")
        return bool(stale)
    DOCS.mkdir(exist_ok=True)
    for path in DOCS.glob("*.md"):
        if path.stem not in made:
            path.unlink()
    for name, text in made.items():
        (DOCS / f"{name}.md").write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
