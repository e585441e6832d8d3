"""The selftest sees what is wrong: each shader's row notices that its kernel has not run, each function's that it is off."""

from __future__ import annotations

import pathlib
import re

import pytest
from selftest_cases import CASES, SHADERS

import webgpu_widget as wg
from webgpu_widget._selftest import library
from webgpu_widget._selftest import runner as runner_module
from webgpu_widget.arrays.lazy import library as definitions_of
from webgpu_widget.device.queue import Queue

FOLDER = pathlib.Path(wg.__file__).parent / "shaders"
COMPLEX = "array/complex_numbers"
LIBRARY = ("array/elementwise", "array/transcendental", COMPLEX)


def first_line(name):
    """The beginning of a shader's text, which its variants keep."""
    return (FOLDER / f"{name}.wgsl").read_text().partition("\n")[0]


def test_every_shader_has_a_case():
    assert {case.name for case in CASES if not case.name.startswith("generated/")} == set(SHADERS)
    assert len({first_line(name) for name in SHADERS}) == len(SHADERS)


def test_a_shader_without_a_case_is_not_right(monkeypatch):
    monkeypatch.setattr(runner_module.shaders, "names", lambda: ["array/scan", "array/new"])
    (row,) = runner_module.untested(["array/scan"])
    assert row.name == "array/new"
    assert not row.ok


@pytest.mark.parametrize("name", [name for name in SHADERS if name not in LIBRARY])
def test_a_kernel_that_does_nothing_is_noticed(runner, monkeypatch, name):
    skipped = []

    def leave_out(way):
        dispatch = getattr(Queue, way)

        def left_out(self, pipeline, *options):
            if first_line(name) in pipeline.source:
                skipped.append(pipeline.entry_point)
            else:
                dispatch(self, pipeline, *options)

        monkeypatch.setattr(Queue, way, left_out)

    leave_out("dispatch")
    leave_out("dispatch_whole")
    cases = [case for case in CASES if case.name == name]
    row = runner._row("shaders", name, cases[:4])
    assert skipped, "the case does not run its shader"
    assert row.verdict in ("wrong", "failed"), row


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            case.label.removeprefix("library function=")
            for case in CASES
            if case.name in LIBRARY and case.name != COMPLEX
        }
    ),
)
def test_a_function_that_is_off_is_noticed(gpu, runner, monkeypatch, name):
    text = definitions_of.definitions()[name]
    head = re.match(r"fn \w+(\([^)]*\)) -> (\w+)", text)
    given = ", ".join(part.split(":")[0].strip() for part in head[1][1:-1].split(","))
    off = {"bool": "!before({})", "f32": "bitcast<f32>(bitcast<u32>(before({})) ^ 16u)"}.get(
        head[2], "(before({}) ^ 1)"
    )
    off = off.replace("1)", "1u)") if head[2] == "u32" else off
    broken = f"{text.replace(f'fn {name}(', 'fn before(', 1)}\nfn {name}{head[1]} -> {head[2]} {{ return {off.format(given)}; }}"
    needed = library.needed
    monkeypatch.setattr(library, "needed", lambda code: needed(code).replace(text, broken))
    cases = [case for case in CASES if case.label == f"library function={name}"]
    row = runner._row("library", cases[0].name, cases)
    assert row.verdict == "wrong", row
    assert name in row.note


@pytest.mark.parametrize("case", [case for case in CASES if case.name == COMPLEX], ids=lambda case: case.label)
def test_a_function_of_complex_numbers_that_is_off_is_noticed(runner, monkeypatch, case):
    """These are run by expressions of arrays, as users run them, so it is the twin that is put off."""
    name = case.label.rpartition("=")[2]
    twin = library.complex_numbers[name]
    monkeypatch.setitem(library.complex_numbers, name, lambda *x: twin(*x) * (1 + 1e-4j))
    assert runner._row("library", case.name, [case]).verdict == "wrong"
