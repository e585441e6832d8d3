"""What may be asked of a generation, and what is refused by its name."""

from __future__ import annotations

import math

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.nn.sampling import MOST_SCALE, checked

pytestmark = pytest.mark.no_adapter

USUAL = {
    "max_new_tokens": 5,
    "num_beams": 1,
    "do_sample": True,
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "seed": 3,
}


def test_numbers_of_numpy_are_taken():
    found = checked(
        **{
            **USUAL,
            "max_new_tokens": np.int64(5),
            "top_k": np.uint8(0),
            "seed": np.uint32(3),
            "temperature": np.float32(1),
        }
    )
    assert found == checked(**USUAL)
    assert (type(found.max_new_tokens), type(found.temperature)) == (int, float)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_new_tokens", value) for value in (0, -1, 2.5, "5", None)),
        *(("num_beams", value) for value in (0, 17, 2.0)),
        *(("top_k", value) for value in (-1, 1.0, "all")),
        *(("temperature", value) for value in (0, -1, math.nan, math.inf, 1e-30, 1e30, "1", None, 1j)),
        *(("top_p", value) for value in (0, 1.1, math.nan, "1")),
        *(("min_p", value) for value in (-0.1, 2, math.nan)),
        *(("repetition_penalty", value) for value in (0, math.inf, 1e30, "2")),
        *(("seed", value) for value in (1.5, "x")),
    ],
)
def test_what_is_no_such_number_is_named(name, value):
    with pytest.raises(wg.PromptError, match=f"^{name} is .*, but must be "):
        checked(**{**USUAL, name: value})


def test_the_ends_of_what_is_allowed_can_be_packed():
    for scale in (MOST_SCALE, 1 / MOST_SCALE):
        wide = {"temperature": scale, "repetition_penalty": scale, "top_k": 10**30, "seed": -(10**30), "min_p": 1e-300}
        assert len(checked(**{**USUAL, **wide}).pack()) == len(checked(**USUAL).pack())
