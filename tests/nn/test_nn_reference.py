"""What the NumPy twins of the kernels do, told by hand."""

from __future__ import annotations

import numpy as np
import pytest

from webgpu_widget.reference import nn as reference

pytestmark = pytest.mark.no_adapter


def test_quantised_rows_are_within_half_a_step(rng):
    weight = rng.normal(size=(7, 12)).astype(np.float32)
    weight[3] = 0
    values, scale = reference.quantize_rows(weight)
    assert np.abs(values * scale[:, None].astype(np.float64) - weight).max(axis=1) == pytest.approx(
        0, abs=float(scale[[0, 1, 2, 4, 5, 6]].max()) * 0.501
    )
    assert (values[3] == 0).all()


def test_allowed_tokens_are_the_fewest_that_reach_top_p():
    logits = np.log(np.array([0.1, 0.4, 0.2, 0.3]))
    assert reference.allowed(logits, temperature=1, top_k=0, top_p=0.65).tolist() == [False, True, False, True]
    assert reference.allowed(logits, temperature=1, top_k=0, top_p=0.75).tolist() == [False, True, True, True]
    assert reference.allowed(logits, temperature=1, top_k=1, top_p=1).tolist() == [False, True, False, False]
