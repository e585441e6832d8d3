"""Shader text: files with their imports, and what is put into them for an adapter, a type or a format.

A line ``#import shared/half`` takes in ``shaders/shared/half.wgsl``, and each file once, however many import it. What is imported stands behind the importer's own
text, since WGSL lets module-scope declarations come in any order; so a message of a compiler names the line that the importer's file has. ``enable`` directives,
which must come first, go to the front of the first line.

All of it is made once and kept; where kernels are dispatched there is no work on text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from importlib import resources

__all__ = ["imports", "load", "names", "read", "specialise"]

SHARED = "shared"
"""Folder of the files that are there to be imported."""
_IMPORT = re.compile(r"^#import (\S+)$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^(?:enable|requires|diagnostic)\b[^;]*;\n", re.MULTILINE)
_SUFFIX = {"u32": "u", "i32": "i", "f32": "f"}


def names() -> list[str]:
    """Return the shaders of the package by area and name, as ``"array/scan"``, without what is there to be imported."""
    folders = (folder for folder in resources.files(__package__).iterdir() if folder.is_dir() and folder.name != SHARED)
    return sorted(
        f"{folder.name}/{file.name.removesuffix('.wgsl')}"
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(".wgsl")
    )


@functools.cache
def read(name: str) -> str:
    """Return a file as it is, its imports not resolved."""
    return resources.files(__package__).joinpath(f"{name}.wgsl").read_text(encoding="utf-8")


@functools.cache
def load(name: str) -> str:
    """Return a shader's text with all that it imports.

    Parameters
    ----------
    name : str
        Path below this folder without the ending: ``"array/repack"``.

    Raises
    ------
    ValueError
        An import that is not there, or imports that go in a circle; it names the chain of files.
    """
    return _composed(name, {})


def imports(name: str) -> frozenset[str]:
    """Return the files that a shader imports, itself or through others."""
    return frozenset(other for other, _ in _parts(name, {})) - {name}


def specialise(
    name: str,
    *,
    alias: Mapping[str, str] | None = None,
    const: Mapping[str, bool | float] | None = None,
    instead: Mapping[str, str] | None = None,
) -> str:
    """Return a shader with types, constants or imported files of the caller's choice.

    Constants that a pipeline can set are WGSL's ``override``, and not for this function; ``const`` is for those that sizes of arrays and alike depend on.

    Parameters
    ----------
    name : str
        As `load` takes it.
    alias : mapping of str to str, optional
        The type that ``alias NAME = ...;`` is to name.
    const : mapping of str to bool, int or float, optional
        The value of ``const NAME = ...;``, written in the type that the file gives it.
    instead : mapping of str to str, optional
        For an imported file the text that takes its place, which may import others.

    Raises
    ------
    ValueError
        What is to be replaced is not in the shader exactly once.
    """
    values = {
        key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in (const or {}).items()
    }
    return _specialised(name, *(tuple(sorted((given or {}).items())) for given in (alias, values, instead)))


@functools.lru_cache(maxsize=512)
def _specialised(
    name: str,
    alias: tuple[tuple[str, str], ...],
    const: tuple[tuple[str, str], ...],
    instead: tuple[tuple[str, str], ...],
) -> str:
    for other, _ in instead:
        if other not in imports(name):
            raise ValueError(f"shaders/{name}.wgsl does not import {other}, so that nothing can stand instead of it")
    source = _composed(name, dict(instead))
    for key, kind in alias:
        source = _put_once(source, name, f"alias {key}()", kind)
    for key, value in const:
        source = _put_once(source, name, rf"const {key}(?:: (\w+))?", value)
    return source


def _put_once(source: str, name: str, declared: str, value: str) -> str:
    """Give the one declaration of that kind another value."""
    found = list(re.finditer(f"^{declared} = ([^;]*);", source, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{declared!r} must be in shaders/{name}.wgsl exactly once, but is there {len(found)} times")
    (match,) = found
    return f"{source[: match.start(2)]}{value}{_SUFFIX.get(match[1] or '', '')}{source[match.end(2) :]}"


def _composed(name: str, instead: Mapping[str, str]) -> str:
    (_, own), *others = _parts(name, instead)
    directives = dict.fromkeys(match[0].strip() for _, text in others for match in _DIRECTIVE.finditer(text))
    front = "".join(f"{directive} " for directive in directives if f"{directive}\n" not in own)
    return front + own + "".join(f"\n// ---- {other}.wgsl\n{_DIRECTIVE.sub('', text)}" for other, text in others)


def _parts(name: str, instead: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield a file and those that it imports, each once, their import lines made comments."""
    seen: set[str] = set()

    def walk(name: str, chain: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        here = (*chain, name)
        if name in chain:
            raise ValueError(f"imports of shaders go in a circle: {' -> '.join(here)}")
        if name in seen:
            return
        seen.add(name)
        try:
            text = instead[name] if name in instead else read(name)
        except FileNotFoundError:
            raise ValueError(f"there is no shaders/{name}.wgsl to import: {' -> '.join(here)}") from None
        yield name, _IMPORT.sub(r"// #import \1", text)
        for other in _IMPORT.findall(text):
            yield from walk(other, here)

    yield from walk(name, ())
