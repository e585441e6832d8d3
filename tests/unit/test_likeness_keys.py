"""The key of an expression tells its kernels: what has one key has one program, whatever it reads."""

from __future__ import annotations

import numpy as np
import pytest
from written import FakeDevice

import webgpu_widget as wg
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.lazy import create
from webgpu_widget.arrays.lazy.likeness import likeness
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.trace import Trace
from webgpu_widget.shaders.uniforms import pack_words

SHAPES = ((4, 4), (4,), (4, 1), (1, 4), (1,), ())
DTYPES = (np.float32, np.float32, np.int32, np.uint32, np.bool_, np.float16)
SCALARS = (0.0, -0.0, 1.0, 2.0, 1, 2, True, 1065353216)


def program(node):
    """Return all that the kernels of an expression are made of."""
    trace = Trace(node.shape)
    result = trace.value(node)
    accesses = tuple((a.binding, a.offset, *a.strides) for a in trace.accesses)
    sizes = tuple(storage.buffer.size_bytes for storage in trace.storages)
    return trace, (node.shape, node.dtype, tuple(trace.code), accesses, tuple(trace.dtypes), result, sizes)


def expression(rng: np.random.Generator, leaves: list[GPUArray], depth: int) -> GPUArray:
    """Draw an expression of few arrays, parts of which may come more than once."""
    made = [leaves[i] for i in rng.integers(0, len(leaves), 2)]
    for _ in range(depth):
        x, y = (made[i] for i in rng.integers(0, len(made), 2))
        scalar = SCALARS[rng.integers(len(SCALARS))]
        draw = rng.integers(9)
        try:
            if draw < 3:
                made.append((x + y, x * y, x - y)[draw])
            elif draw < 5:
                made.append(x + scalar if draw == 3 else x * scalar)
            elif draw == 5 and x.ndim:
                made.append(x[..., ::-1] if rng.integers(2) else x[..., int(rng.integers(x.shape[-1])) :])
            elif draw == 6:
                made.append(x.T)
            elif draw == 7:
                made.append(x.astype(DTYPES[rng.integers(len(DTYPES))]))
            else:
                made.append(wg.xp.where(x > y, x, y))
        except (TypeError, ValueError):  # dtypes or shapes that do not combine
            continue
    return made[-1]


def test_one_key_is_one_program(rng):
    fake = FakeDevice()
    leaves = [create.from_host(fake, np.zeros(shape, dtype)) for shape in SHAPES for dtype in DTYPES for _ in range(2)]
    # Other names of the same memory.
    leaves += [leaf.reshape(-1).reshape(leaf.shape) for leaf in leaves[:12]]
    found = {}
    again = 0
    kept = []
    for _ in range(6000):
        made = expression(rng, leaves, int(rng.integers(1, 6)))
        node = node_of(made)
        kept.append(made)
        alike = likeness(node)
        if alike is None:
            continue
        trace, known = program(node)
        assert alike.agrees(trace)
        again += alike.key in found
        assert found.setdefault(alike.key, known) == known
    # As many that are alike as make the line above say something.
    assert again > 500
    assert len(set(found.values())) > 500


@pytest.mark.parametrize("size", [64, 65])
def test_an_alias_of_another_shape_is_another_expression(size):
    fake = FakeDevice()
    x = create.from_host(fake, np.zeros((size,), np.float32))
    keys = {likeness(node_of(one + 1.0)).key for one in (x, x.reshape(1, size), x.reshape(size, 1), x[1:], x[:-1])}
    assert len(keys) == 5


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_uniforms_are_words_modulo_two_to_the_32_in_whole_vectors(rng, count):
    words = [int(n) for n in rng.integers(-(2**31), 2**32, count)]
    for given in ([abs(w) for w in words], words, [-1] * count, [2**32 + 5] * count):
        packed = np.frombuffer(pack_words(given), "<u4").tolist()
        assert packed == [w % 2**32 for w in given] + [0] * (-count % 4)
