"""Shaders import what they share, take what a caller puts into them, and say where either goes wrong."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from webgpu_widget import shaders
from webgpu_widget.shaders import source

FOLDER = Path(shaders.__file__).parent
FUNCTION = re.compile(r"^fn \w+\([^\n]*\}$|^fn \w+\(.*?^\}$", re.MULTILINE | re.DOTALL)
SHARED = [f"shared/{path.stem}" for path in sorted((FOLDER / "shared").glob("*.wgsl"))]


@pytest.fixture
def files(monkeypatch):
    """Files instead of the package's."""
    given: dict[str, str] = {}

    def read(name):
        try:
            return given[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    monkeypatch.setattr(source, "read", read)
    monkeypatch.setattr(source, "load", source.load.__wrapped__)
    monkeypatch.setattr(source, "_specialised", source._specialised.__wrapped__)
    return given


def test_each_import_stands_once_behind_the_text_and_leaves_its_lines_where_they_are(files):
    files["area/one"] = "// One.\n\n#import shared/a\n#import shared/b\n\nfn main() { a(); }\n"
    files["shared/a"] = "#import shared/b\nfn a() { b(); }\n"
    files["shared/b"] = "fn b() { }\n"
    text = source.load("area/one")
    assert text.splitlines()[5] == "fn main() { a(); }"
    assert [text.count(part) for part in ("fn main", "fn a()", "fn b()")] == [1, 1, 1]
    assert text.index("fn main") < text.index("fn a()") < text.index("fn b()")
    assert not re.search("^#", text, re.MULTILINE)
    assert source.imports("area/one") == {"shared/a", "shared/b"}


def test_directives_of_imports_come_first_and_move_no_line(files):
    files["area/one"] = "// One.\n#import shared/a\nfn main() { }\n"
    files["shared/a"] = "// A.\nenable subgroups;\nfn a() { }\n"
    text = source.load("area/one")
    assert text.startswith("enable subgroups; // One.\n")
    assert text.count("enable") == 1
    assert text.splitlines()[2] == "fn main() { }"
    files["area/one"] = "// One.\nenable subgroups;\n#import shared/a\n"
    assert source.load("area/one").count("enable subgroups;") == 1


def test_a_circle_of_imports_is_refused_by_its_chain(files):
    files["area/one"] = "#import shared/a\n"
    files["shared/a"] = "#import shared/b\n"
    files["shared/b"] = "#import shared/a\n"
    with pytest.raises(ValueError, match=r"circle: area/one -> shared/a -> shared/b -> shared/a$"):
        source.load("area/one")


def test_an_import_that_is_not_there_is_named_with_its_chain(files):
    files["area/one"] = "#import shared/a\n"
    files["shared/a"] = "#import shared/hlaf\n"
    with pytest.raises(ValueError, match=r"no shaders/shared/hlaf.wgsl.*: area/one -> shared/a -> shared/hlaf$"):
        source.load("area/one")


def test_types_constants_and_imports_are_put_in(files):
    files["area/one"] = "#import shared/team\nalias Elem = f32;\nconst COUNT: u32 = 1u;\nconst IS_ON = false;\n"
    files["shared/team"] = "fn sum() { }\n"
    files["shared/b"] = "fn b() { }\n"
    made = source.specialise(
        "area/one",
        alias={"Elem": "vec4<f32>"},
        const={"COUNT": 12, "IS_ON": True},
        instead={"shared/team": "#import shared/b\nfn other_sum() { }\n"},
    )
    for line in ("alias Elem = vec4<f32>;", "const COUNT: u32 = 12u;", "const IS_ON = true;", "fn other_sum() { }"):
        assert f"{line}\n" in made
    assert "fn sum" not in made
    assert "fn b()" in made


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"alias": {"Elme": "i32"}}, "alias Elme.*exactly once, but is there 0 times"),
        ({"const": {"TWICE": 1}}, "const TWICE.*exactly once, but is there 2 times"),
        ({"instead": {"shared/b": ""}}, "does not import shared/b"),
    ],
)
def test_what_cannot_be_put_in_is_an_error(files, wanted, message):
    files["area/one"] = "alias Elem = f32;\nconst TWICE = 1;\nconst TWICE = 1;\n"
    with pytest.raises(ValueError, match=message):
        source.specialise("area/one", **wanted)


def test_texts_are_made_once():
    name = "array/scan"
    assert shaders.load(name) is shaders.load(name)
    assert shaders.specialise(name, alias={"Elem": "i32"}) is shaders.specialise(name, alias={"Elem": "i32"})
    one, true = (shaders.specialise(name, const={"PRODUCT": value}) for value in (1, True))
    assert one != true


@pytest.mark.parametrize("name", shaders.names())
def test_every_shader_has_a_twin(name):
    area, _, stem = name.partition("/")
    twin = getattr(importlib.import_module(f"webgpu_widget.reference.{area}"), stem, None)
    assert twin is not None, f"webgpu_widget.reference.{area} has no {stem}"


@pytest.mark.parametrize("name", SHARED)
def test_what_is_shared_is_imported_and_has_a_header(name):
    used = [other for other in (*shaders.names(), *SHARED) if f"#import {name}\n" in source.read(other)]
    assert used or name in {"shared/blocks", "shared/four_outputs", "shared/four_rows", "shared/workgroup_team"}, (
        "those are put instead of others"
    )
    assert source.read(name).startswith("// ")


def test_no_function_of_three_lines_or_more_stands_in_two_files():
    seen: dict[str, str] = {}
    for name in (*shaders.names(), *SHARED):
        for text in FUNCTION.findall(re.sub(r" *//[^\n]*", "", source.read(name))):
            if text.count("\n") >= 2:
                assert seen.setdefault(text, name) == name, f"{text.partition('(')[0]} is in {seen[text]} too"
