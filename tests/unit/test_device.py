"""A device lives for as long as anything holds it; the GPU that users see is made over it when it is asked for."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from direct import Direct

import webgpu_widget as wg
from webgpu_widget.device.default import as_device, use_in_this_thread
from webgpu_widget.device.device import Device


@pytest.fixture
def way() -> Iterator[Direct]:
    made = Direct()
    yield made
    made.close()


def test_arrays_outlive_the_gpu_that_made_them_and_name_one(way: Direct) -> None:
    gpu = wg.GPU(way)
    x = gpu.array([1.0, 2.0])
    device, known = weakref.ref(x._device), weakref.ref(gpu)
    del gpu
    gc.collect()
    assert known() is None, "an array holds the widget"
    assert np.array_equal(x.numpy(), [1, 2])
    again = x.device
    assert isinstance(again, wg.GPU)
    assert again is x.device, "a GPU that is held is made twice"
    assert again.status["state"] == "ready"
    assert np.array_equal(again.array([3.0, 4.0]).numpy(), [3, 4])
    del again
    gc.collect()
    assert np.array_equal(x.numpy(), [1, 2]), "the second GPU took the device along"
    x.device.close()
    assert x.device.status["state"] == "closed"
    with pytest.raises(wg.ClosedError, match="closed"):
        x.numpy()
    del x
    gc.collect()
    assert device() is None


def test_a_closed_gpu_closes_its_device_and_says_so(way: Direct) -> None:
    gpu = wg.GPU(way)
    gpu.ready()
    assert "fake" in repr(gpu)
    gpu.close()
    gpu.close()
    assert repr(gpu).startswith("GPU(closed")
    assert gpu.status["state"] == "closed"
    with pytest.raises(wg.ClosedError):
        gpu.ready()


def test_a_thread_has_a_device_of_its_own_as_default(way: Direct) -> None:
    device = Device(way)
    seen: list[object] = []

    def work() -> None:
        use_in_this_thread(device)
        gpu = wg.default_gpu()
        seen.extend([as_device(None), as_device(gpu), wg.xp.zeros(2).device is gpu])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(30)
    assert seen == [device, device, True]
    device.close()


NO_GPU = {
    "xp.zeros": lambda no_gpu, _: wg.xp.zeros(3, device=no_gpu),
    "matmul": lambda no_gpu, _: wg.matmul(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), gpu=no_gpu),
    "einsum": lambda no_gpu, _: wg.einsum("i->", np.ones(2, np.float32), gpu=no_gpu),
    "to_device": lambda no_gpu, x: x.to_device(no_gpu),
    "render": lambda no_gpu, _: wg.mandelbrot.render(size=(8, 8), gpu=no_gpu),
    "cache": lambda no_gpu, _: wg.cache.list(gpu=no_gpu),
}


@pytest.mark.parametrize("name", NO_GPU)
@pytest.mark.parametrize("no_gpu", ["cpu", 0, object])
def test_what_is_no_gpu_is_refused(way: Direct, name: str, no_gpu: Any) -> None:
    gpu = wg.GPU(way)
    with pytest.raises(wg.BindingError, match="is no GPU: pass a webgpu_widget.GPU"):
        NO_GPU[name](no_gpu, gpu.array([1.0]))
    gpu.close()


def test_a_device_needs_no_widget() -> None:
    script = (
        "import sys, webgpu_widget.device.device, webgpu_widget.arrays.array, webgpu_widget.kernels.kernel\n"
        "print([name for name in ('anywidget', 'ipywidgets', 'traitlets', 'IPython') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.strip() == "[]"
