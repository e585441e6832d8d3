"""What repr, str and format show of an array: its values, or its shape and dtype, never an error and never a long wait."""

from __future__ import annotations

import time

import numpy as np

import webgpu_widget as wg
from webgpu_widget.arrays import shown


def _settled(make):
    """Return a text that shows values, once what makes them is compiled."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        text = make()
        if "GPUArray(shape" not in text:
            return text
    raise AssertionError(text)


def test_values_are_shown(gpu):
    x = gpu.array(np.float32([[1, 2.5], [-3, np.nan]]))
    assert _settled(lambda: repr(x)) == "GPUArray([[ 1. ,  2.5],\n          [-3. ,  nan]], shape=(2, 2), dtype=float32)"
    assert str(x) == str(x.numpy())
    assert repr(gpu.array([True, False])) == "GPUArray([ True, False], shape=(2,), dtype=bool)"
    assert repr(gpu.zeros((0, 3))) == "GPUArray([], shape=(0, 3), dtype=float32)"


def test_a_0d_array_is_shown_as_a_number(gpu):
    m = gpu.array(np.float32([1, 2, 4])).mean()
    assert _settled(lambda: f"{m:.3f}") == "2.333"
    assert str(m) == str(np.float32(7 / 3))
    assert f"{gpu.array(np.int32(255)):x}" == "ff"
    assert f"{gpu.array(np.float32([1, 2])):.2f}" == "[1.00 2.00]"


def test_a_large_array_is_shown_by_its_edges(gpu, rng):
    for shape in ((5000,), (3, 900), (40, 50), (8, 8, 30)):
        a = rng.integers(0, 1000, shape).astype(np.int32)
        x = gpu.array(a)
        with np.printoptions(threshold=1000, edgeitems=3):
            want = np.array2string(a)
        assert _settled(lambda x=x: str(x)).split() == want.split()


def test_what_is_freed_recorded_or_closed_shows_shape_and_dtype(gpu):
    x = gpu.ones(4)
    with gpu.record():
        y = x + 1
        assert repr(y) == str(y) == f"{y:.2f}" == "GPUArray(shape=(4,), dtype=float32)"
    x.free()
    assert repr(x) == "GPUArray(freed, shape=(4,), dtype=float32)"
    with wg.GPU(transport="headless") as other:
        other.ready(timeout=60)
        z = other.ones(3)
        assert "1., 1., 1." in _settled(lambda: repr(z))
    assert repr(z) == str(z) == "GPUArray(shape=(3,), dtype=float32)"


def test_a_busy_gpu_is_not_waited_for(gpu, monkeypatch):
    x = gpu.ones(4)
    x.numpy()
    # A page that reports and never answers: the silence that a read waits for never comes.
    connection = gpu._device.queue.connection
    monkeypatch.setattr(connection, "wait", lambda request, _timeout: request.future.result(30))
    monkeypatch.setattr(gpu._device.queue, "start", lambda *_, **__: wg.link.connection.Request("never", "a read"))
    start = time.monotonic()
    assert repr(x) == "GPUArray(shape=(4,), dtype=float32)"
    assert time.monotonic() - start < shown.MOMENT_S + 2
