"""Every WGSL file of the package begins with a header in one dialect: what it does, then labelled lines in one order."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from webgpu_widget.shaders.source import read

pytestmark = pytest.mark.no_adapter

FILES = sorted(
    f"{folder.name}/{file.name.removesuffix('.wgsl')}"
    for folder in resources.files("webgpu_widget").joinpath("shaders").iterdir()
    if folder.is_dir()
    for file in folder.iterdir()
    if file.name.endswith(".wgsl")
)
ORDER = ("Importer", "Entry", "Shapes", "Params", "Result", "Variants", "Dispatch", "Accuracy", "Source")
LABEL = re.compile(r"([A-Z][a-z]+)(?: ([a-z_]+(?:, [a-z_]+)*))?: (.*)")
ENTRY = re.compile(r"@compute\b[^{;]*?\bfn (\w+)", re.DOTALL)


def header(text: str) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Return the lines that say what a file does, and the labels, each with the entry points that it is about and its first line's text."""
    lines = [line.removeprefix("//").removeprefix(" ") for line in text.split("\n\n", 1)[0].split("\n")]
    found = [LABEL.fullmatch(line) for line in lines]
    first = next((i for i, match in enumerate(found) if match), len(lines))
    return lines[:first], [(m[1], m[2] or "", m[3]) for m in found if m]


def faults(text: str) -> list[str]:
    """Return what is wrong with a file's header."""
    head, _, rest = text.partition("\n\n")
    if not rest or not all(line.startswith("// ") for line in head.split("\n")):
        return ["the file does not begin with lines of // and a blank line after them"]
    what, labels = header(text)
    names = [label for label, _, _ in labels]
    entries = set(ENTRY.findall(rest))
    wanted = ("Shapes", "Dispatch", "Accuracy", "Source") if entries else ("Accuracy", "Source")
    told = {name for label, of, _ in labels if label == "Entry" for name in of.split(", ")}
    return [
        *([] if what and len(what[0].split()) > 1 else ["its first line does not say what it does"]),
        *(f"{name}: is none of {', '.join(ORDER)}" for name in names if name not in ORDER),
        *(f"{name}: is missing" for name in wanted if name not in names),
        *(f"{name}: is there twice" for name in ORDER if name != "Entry" and names.count(name) > 1),
        *(
            []
            if names == sorted(names, key=lambda n: ORDER.index(n) if n in ORDER else -1)
            else [f"the order is {names}"]
        ),
        *(f"Entry {name}: is no entry point" for name in told - entries),
        *(f"Entry {name}: is missing" for name in entries - told if len(entries) > 1),
    ]


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_its_header(name: str) -> None:
    text = read(name)
    assert faults(text) == []
    for label, _, about in header(text)[1]:
        if label == "Importer":
            for word in re.findall(r"\w+", about.split(" as ")[0]):
                assert re.search(rf"\b{word}\b", text.split("\n\n", 1)[1]), f"{word} is not used"


RIGHT = """// Doubles numbers.
// Entry main: all of them.
// Entry some: those that a mask names,
// in order.
// Shapes: x (count).
// Dispatch: one invocation an element.
// Accuracy: exact.
// Source: own.

@compute @workgroup_size(64) fn main() {}
@compute
@workgroup_size(64)
fn some() {}
"""


def test_the_dialect_is_as_it_is_read_here() -> None:
    assert faults(RIGHT) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("// Doubles numbers.\n", "", "its first line does not say what it does"),
        ("// Accuracy: exact.\n", "", "Accuracy: is missing"),
        ("// Dispatch: one invocation an element.\n", "", "Dispatch: is missing"),
        ("// Source: own.\n", "// Source: own.\n// Twin: double.\n", "Twin: is none of"),
        ("// Accuracy: exact.\n// Source: own.\n", "// Source: own.\n// Accuracy: exact.\n", "the order is"),
        ("// Source: own.\n", "// Source: own.\n// Source: own.\n", "Source: is there twice"),
        ("// Entry some:", "// Entry any:", "Entry any: is no entry point"),
        ("// Entry main: all of them.\n", "", "Entry main: is missing"),
        ("// Doubles", "Doubles", "the file does not begin with"),
        ("own.\n\n", "own.\n", "the file does not begin with"),
    ],
)
def test_what_is_not_the_dialect_is_found(old: str, new: str, fault: str) -> None:
    assert old in RIGHT
    assert any(found.startswith(fault) for found in faults(RIGHT.replace(old, new, 1)))
