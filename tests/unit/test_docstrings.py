"""The docstrings of the public names say what their parameters are, in numpydoc's form as Sphinx reads it, and what they raise."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import inspect
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sphinx.ext.napoleon import NumpyDocstring

import webgpu_widget as wg

pytestmark = pytest.mark.no_adapter

_spec = importlib.util.spec_from_file_location("api", pathlib.Path(__file__).parents[2] / "tools" / "api.py")
assert _spec is not None
assert _spec.loader is not None
api = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(api)

PUBLIC = {name: thing for name, thing in api.surface() if callable(thing)}
TWIN = re.compile(r"Coroutine twin of `(\w+)`")
REFERS = re.compile(r"As (in|for|of) `?[\w.]+`?")
"""How a parameter's text begins that another function's docstring explains, type and all."""


def parameters(thing: Callable[..., Any]) -> list[str]:
    """Names of a call's parameters; none for errors, which users do not make."""
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return []
    try:
        found = inspect.signature(thing)
    except TypeError:  # a class whose instances are called by a signature of their own
        found = inspect.signature(thing.__init__)  # type: ignore[misc]
    return [name for name in found.parameters if name not in ("self", "cls")]


def described(doc: str) -> dict[str, tuple[str, str]]:
    """Type and text of each parameter (of a record: each attribute) of a docstring."""
    found: dict[str, tuple[str, str]] = {}
    text = str(NumpyDocstring(doc.replace("Attributes\n----------", "Parameters\n----------")))
    for names, words in re.findall(r"^:param ([^:]+):(.*(?:\n(?!:).*)*)", text, re.MULTILINE):
        kind = re.search(rf"^:type {re.escape(names)}: (.*)$", text, re.MULTILINE)
        for name in names.replace("\\", "").split(","):
            found[name.strip().lstrip("*")] = (kind[1] if kind else "", " ".join(words.split()))
    return found


def blocking(name: str) -> str | None:
    """Name of the function that a coroutine does the same as, by its docstring."""
    twin = TWIN.match(inspect.getdoc(PUBLIC[name]) or "")
    return None if twin is None else f"{name.rpartition('.')[0]}.{twin[1]}"


def faults_of_a_twin(first: str, name: str) -> Iterator[str]:
    """Say where a coroutine takes other parameters than the function whose docstring it points to; **options stands for the rest of them."""
    given, own = inspect.signature(PUBLIC[first]).parameters, inspect.signature(PUBLIC[name]).parameters
    shared = [n for n, p in own.items() if p.kind is not p.VAR_KEYWORD or n in given]
    rest = any(p.kind is p.VAR_KEYWORD for p in own.values())
    if shared != (list(given)[: len(shared)] if rest else list(given)):
        yield f"{name}: takes {shared}, and {first} {list(given)}"
    elif [own[n].default for n in shared] != [given[n].default for n in shared]:
        yield f"{name}: has other defaults than {first}"


def faults(name: str) -> Iterator[str]:
    """Say which parameters a docstring leaves out or invents, and of which it says too little."""
    thing, first = PUBLIC[name], blocking(name)
    if first is not None:
        yield from faults_of_a_twin(first, name)
        return
    doc = inspect.getdoc(thing) or ""
    found, wanted = described(doc), parameters(thing)
    for parameter in wanted:
        kind, text = found.get(parameter, ("", ""))
        if parameter not in found:
            yield f"{name}: {parameter} is not described"
        elif len(text) < 3:
            yield f"{name}: nothing is said of {parameter}"
        elif not kind and not REFERS.match(text):
            yield f"{name}: {parameter} has no type"
    if not (isinstance(thing, type) and issubclass(thing, BaseException)):
        invented = described(doc.partition("Attributes\n----------")[0]).keys() - set(wanted)
        yield from (f"{name}: there is no parameter {parameter}" for parameter in sorted(invented))


def test_every_parameter_is_described_and_no_other() -> None:
    assert not [fault for name in PUBLIC for fault in faults(name)]


def raised(doc: str) -> Iterator[str]:
    """The names of a docstring's Raises section."""
    section = re.search(r"^Raises\n-{6}\n((?:.*\n?)*?)(?=^\w+\n-{3,}$|\Z)", doc, re.MULTILINE)
    for line in (section[1] if section else "").splitlines():
        if line and not line.startswith(" "):
            yield from (name.strip() for name in line.split(","))


def is_an_error(name: str) -> bool:
    """Whether a name is that of an exception: the package's or Python's by itself, another package's with its module."""
    module, _, last = name.rpartition(".")
    home = importlib.import_module(module) if module else wg if hasattr(wg, name) else builtins
    found = getattr(home, last, getattr(wg.mandelbrot, last, None))
    return isinstance(found, type) and issubclass(found, BaseException) and module.partition(".")[0] != "webgpu_widget"


def test_errors_are_called_by_their_public_names() -> None:
    wrong = [
        f"{name}: {error}"
        for name, thing in PUBLIC.items()
        for error in raised(inspect.getdoc(thing) or "")
        if not is_an_error(error)
    ]
    assert not wrong


METHODS = [name for name in PUBLIC if name.startswith("wg.GPUArray.")]
FUNCTIONS = [
    name for name, thing in PUBLIC.items() if re.match(r"wg\.(xp|linalg)\.", name) and inspect.isfunction(thing)
]


def test_arrays_have_examples() -> None:
    """tests/unit/test_docs.py runs them."""
    bare = [
        name
        for name in METHODS + FUNCTIONS
        if ">>> " not in (inspect.getdoc(PUBLIC[name]) or "") and blocking(name) is None
    ]
    assert not bare
    assert len(METHODS) > 25
    assert len(FUNCTIONS) > 150


GOOD = """Do.

Parameters
----------
a : int
    One.
b, c : float
    Two.
*rest
    As in `other`.

Raises
------
webgpu_widget.ShapeError, ValueError
    Always.
"""


def test_the_rules_find_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(doc: str, function: Callable[..., Any]) -> list[str]:
        function.__doc__ = doc
        monkeypatch.setitem(PUBLIC, "f", function)
        return list(faults("f"))

    assert told(GOOD, lambda a, b, c, *rest: None) == []
    assert told(GOOD, lambda a, b, c, d, *rest: None) == ["f: d is not described"]
    assert told(GOOD, lambda a, b, *rest: None) == ["f: there is no parameter c"]
    assert told(GOOD.replace("a : int", "a"), lambda a, b, c, *rest: None) == ["f: a has no type"]
    assert told(GOOD.replace("    One.\n", ""), lambda a, b, c, *rest: None) == ["f: nothing is said of a"]
    monkeypatch.setitem(PUBLIC, "g", lambda a, b=1: None)
    assert list(faults_of_a_twin("g", "g")) == []
    monkeypatch.setitem(PUBLIC, "h", lambda a, b=2: None)
    assert list(faults_of_a_twin("g", "h")) == ["h: has other defaults than g"]
    assert list(raised(GOOD)) == ["webgpu_widget.ShapeError", "ValueError"]
    names = ["webgpu_widget.ShapeError", "ShapeError", "ValueError", "numpy.linalg.LinAlgError", "Shape"]
    assert [is_an_error(name) for name in names] == [False, True, True, True, False]
