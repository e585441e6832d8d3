"""The bias that T5's self-attention adds by the distance of a key from its query."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bias_table"]


def bias_table(table: NDArray[Any], *, bidirectional: bool, max_distance: int) -> NDArray[Any]:
    """Lay a checkpoint's bias out by distance.

    Parameters
    ----------
    table : ndarray, (buckets, heads)
        ``relative_attention_bias.weight``.
    bidirectional : bool
        Whether keys after the query have buckets of their own (the encoder); else they share the nearest one.
    max_distance : int
        Distances from here on share a bucket, so that the result serves any length.

    Returns
    -------
    ndarray, (heads, 2 * max_distance + 1)
        Column ``key - query + max_distance``.

    Notes
    -----
    Half of a side's buckets hold one distance each; the other half grow with the logarithm, taken in float32 as in the frameworks that
    train such models: where buckets end depends on it (Raffel et al., 2020).
    """
    buckets = len(table) // 2 if bidirectional else len(table)
    single = buckets // 2
    before = np.arange(max_distance + 1)
    growth = np.log(before[single:].clip(1).astype(np.float32) / np.float32(single))
    shared = growth / np.float32(math.log(max_distance / single)) * np.float32(buckets - single)
    before[single:] = np.minimum(single + shared.astype(np.int64), buckets - 1)
    after = before[1:] + buckets if bidirectional else np.zeros(max_distance, np.int64)
    return np.ascontiguousarray(table[np.concatenate([before[::-1], after])].T)
