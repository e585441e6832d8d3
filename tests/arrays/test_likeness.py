"""Expressions that look alike share their kernels, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget import xp
from webgpu_widget.arrays.lazy.likeness import likeness
from webgpu_widget.arrays.lazy.node import node_of
from webgpu_widget.arrays.lazy.runtime import runtime_of

SHAPES = ((7, 5), (5,), (7, 1), ())


def drawn(rng, gpu, shape):
    host = rng.normal(size=shape).astype(np.float32)
    return host, gpu.array(host)


def test_what_looks_alike_takes_its_own_memory_and_scalars(gpu, rng):
    """Random expressions, the same ones over and over with other operands, some of which are one array under two names."""
    operands = [drawn(rng, gpu, shape) for shape in SHAPES * 2]
    makers = {
        "fused": lambda x, y, s: (x + s) * y - s,
        "twice": lambda x, y, s: (x * y + s) * (x * y + s),
        "scalars": lambda x, y, s: (x + s) * (y + 2.0) + 2.0,
        "view": lambda x, y, s: x[..., ::-1] * s + y if x.ndim else x * s + y,
        "cast": lambda x, y, s: (x > y) * s + x,
    }
    for _ in range(60):
        name = rng.choice(list(makers))
        (x, gx), (y, gy) = (operands[i] for i in rng.integers(0, len(operands), 2))
        scalar = float(rng.choice([2.0, -1.5, 0.25, rng.normal()]))
        wanted = makers[name](x, y, np.float32(scalar))
        np.testing.assert_allclose(makers[name](gx, gy, scalar).numpy(), wanted, rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", ["sum", "max", "mean", "prod"])
def test_reductions_that_look_alike_take_their_own_memory(gpu, rng, kind):
    for axis in (None, 0, 1, None, 1, 0):
        x, gx = drawn(rng, gpu, (6, 4))
        scalar = float(rng.normal())
        wanted = getattr(x.astype(np.float64) * scalar + x, kind)(axis=axis)
        found = getattr(gx * scalar + gx, kind)(axis=axis).numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5, err_msg=f"{kind} {axis}")


def test_products_that_look_alike_take_their_own_memory(gpu, rng):
    for _ in range(3):
        (a, ga), (b, gb) = drawn(rng, gpu, (9, 9)), drawn(rng, gpu, (9, 9))
        for left, right, gleft, gright in ((a, b, ga, gb), (a, a, ga, ga), (a.T, b, ga.T, gb), (b[:1], a, gb[:1], ga)):
            np.testing.assert_allclose((gleft @ gright).numpy(), left @ right, rtol=1e-4, atol=1e-4)


def test_a_loop_traces_its_expression_once(gpu, rng, monkeypatch):
    x, y = (drawn(rng, gpu, (33,))[1] for _ in range(2))

    def step():
        return ((x + 1.5) * y)._buffer(), x.sum()._buffer(), (x.reshape(3, 11) @ y.reshape(11, 3))._buffer()

    step()

    def refuse(*_):
        raise AssertionError("traced again")

    monkeypatch.setattr("webgpu_widget.arrays.lazy.runtime.Trace", refuse)
    monkeypatch.setattr("webgpu_widget.arrays.lazy.reduce.Trace", refuse)
    monkeypatch.setattr("webgpu_widget.arrays.matmul.launch", refuse)
    for _ in range(3):
        step()


def test_what_others_wait_for_is_stored_beside(gpu, rng):
    """An inner value that another expression needs is computed with the outer one, so that expression goes the long way."""
    x, gx = drawn(rng, gpu, (50,))
    for _ in range(2):
        inner = xp.exp(gx)
        outer, other = inner + 1, inner * 2
        assert likeness(node_of(outer)) is None
        np.testing.assert_allclose(outer.numpy(), np.exp(x) + 1, rtol=1e-5)
        assert node_of(inner).storage is not None
        np.testing.assert_allclose(other.numpy(), np.exp(x) * 2, rtol=1e-5)


def test_a_smaller_limit_asks_for_other_kernels(gpu, rng):
    x, gx = drawn(rng, gpu, (4096,))
    runtime = runtime_of(gx._device)
    for limit in (None, 4096, None):
        runtime.binding_bytes = limit
        try:
            before = runtime.dispatches
            wanted = x.astype(np.float64) * 3 + 1  # rounded once or twice, and cancelling where x is near -1 / 3
            np.testing.assert_allclose((gx * 3 + 1).numpy(), wanted, rtol=1.2e-7, atol=1.2e-7)
            assert runtime.dispatches - before == (1 if limit is None else 4)
        finally:
            runtime.binding_bytes = None


def test_freed_operands_are_refused_as_ever(gpu):
    x = gpu.ones((12,), np.float32)
    (x * 2 + 1).numpy()
    pending = x * 2 + 1
    x.free()
    assert pending.numpy()[0] == 3
    with pytest.raises(wg.ClosedError):
        x * 2 + 1


def _integers(x):
    return np.frombuffer(x.tobytes(), np.int32).reshape(x.shape) >> 8


def _pairs():
    """Name, and expressions that a careless key would take for one another; each of arrays of one shape, by their names."""
    square = {
        "dtypes": [lambda a: a["x"] + a["y"], lambda a: a["i"] + a["j"], lambda a: a["u"] + a["v"]],
        "halves": [lambda a: a["x"] * 2, lambda a: a["h"] * 2, lambda a: a["h"].astype(np.float32) * 2],
        "bools": [lambda a: a["i"] * 1, lambda a: (a["x"] > 0) * 1, lambda a: (a["x"] > 0) & (a["y"] > 0)],
        "kind of scalar": [lambda a: a["i"] + 1, lambda a: a["x"] + 1, lambda a: a["x"] + 1.0, lambda a: a["x"] + True],
        "bits of scalar": [lambda a: a["i"] + 1065353216, lambda a: a["x"] + np.float32(1.0)],
        "sign of zero": [lambda a: a["x"] * 0.0, lambda a: a["x"] * -0.0],
        "one scalar, two": [lambda a: (a["x"] + 2) * 2, lambda a: (a["x"] + 2) * 3, lambda a: (a["x"] + 3) * 2],
        "one array, two": [lambda a: a["x"] - a["x"], lambda a: a["x"] - a["y"], lambda a: a["y"] - a["x"]],
        "which is shared": [
            lambda a: (a["x"] * a["y"]) - a["x"],
            lambda a: (a["x"] * a["y"]) - a["y"],
            lambda a: (a["x"] * a["x"]) - a["y"],
        ],
        "order": [lambda a: a["x"] / a["y"], lambda a: a["y"] / a["x"], lambda a: 2 / a["x"], lambda a: a["x"] / 2],
        "shape of operand": [
            lambda a: a["x"] + a["row"],
            lambda a: a["x"] + a["column"],
            lambda a: a["x"] + a["row"][0],
            lambda a: a["row"] + a["column"],
        ],
        "axes": [lambda a: a["x"] + a["y"], lambda a: a["x"].T + a["y"], lambda a: a["x"] + a["y"].T],
        "offsets": [
            lambda a: a["x"][4:12] + a["y"][4:12],
            lambda a: a["x"][5:13] + a["y"][4:12],
            lambda a: a["x"][5:13] + a["y"][5:13],
            lambda a: a["x"][:8] + a["y"][4:12],
        ],
        "alignment": [
            lambda a: a["x"].reshape(-1)[4:68] + 1,
            lambda a: a["x"].reshape(-1)[1:65] + 1,
            lambda a: a["x"].reshape(-1)[4:69] + 1,
        ],
        "steps": [
            lambda a: a["x"][::2] + 1,
            lambda a: a["x"][1::2] + 1,
            lambda a: a["x"][::-2] + 1,
            lambda a: a["x"][:, ::2].T + 1,
        ],
        "repeated view": [
            lambda a: a["x"][0] + a["x"][0],
            lambda a: a["x"][0] + a["x"][1],
            lambda a: a["x"][0] + a["y"][0],
        ],
        "reduced": [
            lambda a: a["x"].sum(axis=0),
            lambda a: a["x"].sum(axis=1),
            lambda a: a["x"].sum(),
            lambda a: a["x"].mean(axis=0),
            lambda a: a["x"].max(axis=0),
            lambda a: a["x"].sum(axis=0, keepdims=True),
            lambda a: a["i"].sum(axis=0),
            lambda a: a["x"].T.sum(axis=0),
            lambda a: a["x"][4:].sum(axis=0),
            lambda a: a["x"][1:].sum(axis=0),
            lambda a: (a["x"] * a["x"]).sum(axis=0),
            lambda a: (a["x"] * a["y"]).sum(axis=0),
            lambda a: (a["x"] + a["row"]).sum(axis=0),
            lambda a: (a["x"] + a["column"]).sum(axis=0),
            lambda a: a["x"].argmax(axis=0),
            lambda a: a["x"].argmax(axis=1),
        ],
        "divided by": [lambda a: a["x"].mean(), lambda a: a["x"].mean(axis=0), lambda a: a["x"][:8].mean()],
        "products": [
            lambda a: a["x"] @ a["y"],
            lambda a: a["y"] @ a["x"],
            lambda a: a["x"] @ a["x"],
            lambda a: a["x"].T @ a["y"],
            lambda a: a["x"][1:9] @ a["y"],
            lambda a: a["x"][2:10] @ a["y"],
            lambda a: a["x"] @ a["row"],
            lambda a: a["i"] @ a["j"],
        ],
    }
    return [pytest.param(makers, id=name) for name, makers in square.items()]


@pytest.mark.parametrize("makers", _pairs())
def test_what_differs_in_little_is_never_confused(gpu, rng, makers):
    """Each in turn, twice, with kernels kept from the others: in whatever order they come first."""
    side = 16
    floats = {name: rng.normal(size=(side, side)).astype(np.float32) for name in "xy"}
    host = {
        **floats,
        **dict(zip("ij", map(_integers, floats.values()), strict=True)),
        **{name: rng.integers(0, 2**16, (side, side), dtype=np.uint32) for name in "uv"},
        "h": floats["x"].astype(np.float16),
        "row": rng.normal(size=side).astype(np.float32),
        "column": rng.normal(size=(side, 1)).astype(np.float32),
    }
    there = {name: gpu.array(values) for name, values in host.items()}
    seen = runtime_of(gpu._device).seen
    for _ in range(2):
        seen._found.clear()
        for index in [*rng.permutation(len(makers)), *rng.permutation(len(makers))]:
            wanted = np.asarray(makers[index](host))
            found = makers[index](there).numpy()
            assert found.shape == wanted.shape
            # float32: sums of 256 terms around 1 and quotients of what is near 0; half of the digits tell any two of these apart.
            np.testing.assert_allclose(
                found, wanted.astype(found.dtype), rtol=2e-3, atol=2e-3, err_msg=f"maker {index}"
            )
            if found.dtype.kind == "f" and not wanted.any():
                np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted), err_msg=f"maker {index}")
