"""Models on a GPU that has no room for them."""

from __future__ import annotations

import asyncio
import contextlib

import numpy as np
import pytest
from llm_common import load, tokens
from scarce import scarce_gpu

import webgpu_widget as wg
from webgpu_widget.llm.decoder import Decoder


@pytest.fixture
def scarce(monkeypatch):
    with scarce_gpu(monkeypatch) as made:
        yield made


# With the last two a message that nobody waits for comes first after the memory is gone: it must neither take the error nor be left undone for it.
@pytest.mark.parametrize("seed", [None, 2575471704, 782320408])
def test_two_models_beyond_memory(scarce, make_file, rng, seed):
    rng = rng if seed is None else np.random.default_rng(seed)
    (first, _), (second, _) = make_file(rng, "F32", layers=8), make_file(rng, "F32", layers=8)
    ids = rng.integers(2, 64, 9).tolist()
    gpu, one = scarce.gpu, load(first, scarce.gpu)
    wanted, alone = tokens(one, ids, 6), scarce.used
    for share in rng.uniform(0.05, 0.95, 3):
        scarce.limit(alone + int(share * alone))
        with pytest.raises(wg.OutOfMemoryError):
            load(second, gpu)
        assert tokens(one, ids, 6) == wanted, "the model that was there goes on"
        gpu.synchronize()
        assert scarce.used <= 1.01 * alone, "what there was of the other is gone, while its error is still at hand"
    with pytest.raises(wg.OutOfMemoryError):
        asyncio.run(wg.LanguageModel.from_pretrained_async(second, gpu, progress=False))
    assert tokens(one, ids, 6) == wanted
    later = load(second, gpu, wait=False)
    with pytest.raises(wg.OutOfMemoryError):
        later.logits(ids)
    assert tokens(one, ids, 6) == wanted
    later.free()
    one.free()
    with contextlib.suppress(wg.OutOfMemoryError):  # loading takes more, for a while, than the model does
        load(second, gpu).free()
    scarce.wait_for(int(0.3 * alone))
    scarce.limit(int(1.6 * alone))
    other = load(second, gpu)  # in the room of the first
    assert scarce.used <= scarce.limit_bytes
    found = tokens(other, ids, 6)
    scarce.limit(None)
    assert tokens(load(second, gpu), ids, 6) == found


def test_an_answer_that_grows_beyond_memory(scarce, make_file, rng, monkeypatch):
    path, _ = make_file(rng, "F32", context=16384)
    model = load(path, scarce.gpu)
    model.tokenizer.ends = (64,)  # no token, so that nothing ends
    ids = rng.integers(2, 64, 9).tolist()
    model._decoder = None
    wanted = tokens(model, ids, 100)
    grow = Decoder._grow
    for positions in (400, 8192):  # buffers of 100 KiB, and of 2 MiB: the page asks WebGPU about those that are large
        with monkeypatch.context() as patch:
            patch.setattr("webgpu_widget.nn.decoder.FIRST", 64)
            patch.setattr(Decoder, "_grow", lambda self, _, positions=positions: grow(self, positions))
            model._decoder = None
            assert tokens(model, ids, 100) == wanted
            model._decoder = None
            scarce.gpu.synchronize()
            scarce.limit(scarce.used + 150_000)
            with pytest.raises(wg.OutOfMemoryError):
                tokens(model, ids, 100)
        assert model.generate("!#%", 5) == model.generate("!#%", 5)
        scarce.limit(None)
        assert tokens(model, ids, 100) == wanted, "the next call begins anew"
