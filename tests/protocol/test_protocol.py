"""The protocol is written once: generated TypeScript, error classes and golden frames follow it."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import typing

import pytest
from make_vectors import CASES, VECTORS

from webgpu_widget import errors
from webgpu_widget.link import codec, protocol

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in VECTORS.glob("*.json"))


def test_the_generated_typescript_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "js" / "gen_protocol.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_error_code_has_its_class() -> None:
    codes = set(typing.get_args(protocol.ErrorCode))
    assert codes == set(errors._BY_CODE)
    for code in codes:
        made = errors.from_wire(code, "what happened", {}, "source", "name")
        assert isinstance(made, errors.WebGPUWidgetError)
        assert "what happened" in str(made)


def test_an_unknown_code_is_still_an_error_of_ours() -> None:
    assert type(errors.from_wire("from the future", "text", {})) is errors.WebGPUWidgetError


def kinds(union: object) -> set[str]:
    found = set()
    for member in typing.get_args(union):
        hints = typing.get_type_hints(member)
        found.add(typing.get_args(hints["kind"])[0])
    return found


def test_there_is_a_vector_of_every_message() -> None:
    there = {json.loads((VECTORS / f"{name}.json").read_text())["message"]["kind"] for name in NAMES}
    assert there == kinds(protocol.ToBrowser) | kinds(protocol.ToPython)


def test_the_vectors_are_those_that_the_script_makes() -> None:
    assert sorted(CASES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_frame_is_read_and_written_alike(name: str) -> None:
    golden = json.loads((VECTORS / f"{name}.json").read_text())
    frame = bytes.fromhex(golden["frame"])
    message, buffers = codec.decode(frame)
    assert message == golden["message"]
    assert [bytes(item).hex() for item in buffers] == golden["buffers"]
    assert codec.encode(message, buffers) == frame


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_message_has_the_fields_that_its_type_says(name: str) -> None:
    message = json.loads((VECTORS / f"{name}.json").read_text())["message"]
    types = [
        member
        for union in (protocol.ToBrowser, protocol.ToPython)
        for member in typing.get_args(union)
        if typing.get_args(typing.get_type_hints(member)["kind"])[0] == message["kind"]
    ]
    fits = [
        member.__name__
        for member in types
        if member.__required_keys__ <= set(message) <= member.__required_keys__ | member.__optional_keys__
    ]
    assert fits, f"{sorted(message)} fits none of {[member.__name__ for member in types]}"


def test_the_docstring_names_every_kind_of_message() -> None:
    text = protocol.__doc__ or ""
    both_ways = kinds(protocol.ToBrowser) | kinds(protocol.ToPython)
    explained = set(re.findall(r"``([a-z-]+)``", text))
    assert {
        "hello",
        "welcome",
        "standby",
        "refuse",
        "roll-call",
        "batch",
        "ack",
        "resume",
        "cancel",
        "result",
        "error",
        "chunk",
    } <= explained & both_ways
