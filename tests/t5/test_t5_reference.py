"""The NumPy twin of the model equals transformers (tools/t5/golden.py made the vectors)."""

from __future__ import annotations

import numpy as np
import pytest
from t5_common import VARIANTS, error, golden

from webgpu_widget.reference import t5 as reference
from webgpu_widget.t5.positions import bias_table

pytestmark = pytest.mark.no_adapter


@pytest.mark.parametrize("name", VARIANTS)
def test_twin_equals_transformers(name):
    g = golden(name)
    seen = []
    encoded = reference.encode(g["weights"], g["config"], g["input_ids"])
    reference.decode(g["weights"], g["config"], encoded, g["input_ids"] != 0, g["decoder_input_ids"], seen)
    assert error(encoded, g["encoded"]) < 1e-6
    assert (
        error(reference.logits(g["weights"], g["config"], g["input_ids"], g["decoder_input_ids"]), g["logits"]) < 1e-6
    )
    assert error(np.stack(seen), g["cross_attention"]) < 1e-6
    assert error(reference.encode(g["weights"], g["config"], g["long_input_ids"])[0, ::100], g["long_encoded"]) < 1e-6


@pytest.mark.parametrize("name", VARIANTS)
def test_twin_chooses_the_tokens_of_transformers(name):
    g = golden(name)
    assert reference.greedy(g["weights"], g["config"], g["input_ids"], g["limit"]) == g["tokens"][1]
    for beams in (2, 4):
        assert reference.beam_search(g["weights"], g["config"], g["input_ids"], beams, g["limit"]) == g["tokens"][beams]


def test_buckets_saturate_where_the_bias_table_ends():
    for bidirectional in (True, False):
        far = reference.relative_buckets(np.array([-5000, -128, 128, 5000]), bidirectional=bidirectional)
        assert far[0] == far[1]
        assert far[2] == far[3]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("buckets", "distance"), [(32, 128), (8, 20), (12, 7), (5, 64), (64, 1000)])
def test_the_models_biases_are_the_twins(rng, bidirectional, buckets, distance):
    table = rng.normal(size=(buckets, 3)).astype(np.float32)
    found = bias_table(table, bidirectional=bidirectional, max_distance=distance)
    wanted = reference.bias_table(table, bidirectional=bidirectional, max_distance=distance)
    np.testing.assert_array_equal(found, wanted)
