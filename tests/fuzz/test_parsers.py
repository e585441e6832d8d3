"""Each parser on its corpus and on fresh changes of it: a value, or one typed error, at a bounded cost; ``make fuzz`` goes on for longer."""

from __future__ import annotations

import secrets
import time

import pytest

import webgpu_widget as wg
from webgpu_widget.mandelbrot.view import View

from .guided import Outcome, attempt, corpus_of, fuzz
from .targets import TARGETS

pytestmark = pytest.mark.no_adapter


@pytest.mark.parametrize("name", TARGETS)
def test_parser(name):
    seed = secrets.randbits(32)
    print("seed", seed)
    found = fuzz(TARGETS[name], seed, inputs=300)
    assert found.refused < found.inputs, "the seeds are not read"


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name):
    outcome = Outcome()
    attempt(TARGETS[name], TARGETS[name].seeds[0], outcome)
    assert outcome.refused == 0


@pytest.mark.parametrize("name", TARGETS)
def test_what_once_failed_ends_with_a_value_or_a_typed_error(name):
    for data in corpus_of(name):
        attempt(TARGETS[name], data, Outcome())


@pytest.mark.parametrize("digits", ["9" * 400, "0_" * 200 + "0", "1" * 49_000, "1." + "1" * 400, "." + "3" * 400])
@pytest.mark.parametrize("end", ["x", "__1", "e", "."])
def test_long_numbers_that_are_none_cost_what_they_are_long(digits, end):
    begin = time.thread_time()
    with pytest.raises(wg.WebGPUWidgetError):
        View.from_link(f"#v=1&re={digits}.{end}&im=0&w=1")
    assert time.thread_time() - begin < 5
