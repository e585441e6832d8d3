"""Files, a server that misbehaves, and a clean cache for each test."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from safetensors.numpy import save, save_file

import webgpu_widget as wg

from .server import FileServer


@pytest.fixture
def server():
    made = FileServer()
    yield made
    made.close()


@pytest.fixture
def clean(gpu):
    """The session's GPU, with an empty cache, that must hold no more afterwards than before (less, where a test lost the device)."""
    gc.collect()
    wg.cache.clear(gpu=gpu)
    gpu.synchronize()
    before = gpu.memory()
    yield gpu
    gpu.synchronize()
    after = gpu.memory()
    assert after.buffers <= before.buffers, "buffers were left behind"
    assert after.bytes <= before.bytes, "bytes were left behind"


def layers(count=4, rows=64, columns=256, seed=0):
    """A small model: an embedding, layers, a head."""
    rng = np.random.default_rng(seed)
    tensors = {"embed.weight": rng.normal(size=(rows, columns)).astype(np.float32)}
    for number in range(count):
        tensors[f"layers.{number}.w"] = rng.normal(size=(rows, columns)).astype(np.float32)
        tensors[f"layers.{number}.b"] = rng.normal(size=columns).astype(np.float32)
    tensors["head.weight"] = rng.normal(size=(7, columns)).astype(np.float32)
    return tensors


@pytest.fixture
def model():
    return layers()


@pytest.fixture
def path(tmp_path, model):
    target = tmp_path / "model.safetensors"
    save_file(model, target)
    return target


@pytest.fixture
def served(server, model):
    """The model behind the server: (url, bytes)."""
    data = save(model)
    server.files["model.safetensors"] = data
    return server.url("model.safetensors"), data


def same(weights, tensors):
    for name, value in tensors.items():
        np.testing.assert_array_equal(weights[name].numpy(), value, err_msg=name)
