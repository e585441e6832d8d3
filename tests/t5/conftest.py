from __future__ import annotations

import shutil

import pytest
from safetensors.numpy import save_file
from t5_common import DATA, TINY

from webgpu_widget.t5 import T5


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A folder in the hub's layout for a variant: its own files, and a tokenizer as small as its vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    root = tmp_path_factory.mktemp("t5")
    pieces = {name: i for i, name in enumerate(["<pad>", "</s>", "<unk>", *(f"w{i}" for i in range(3, 96))])}
    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()

    def make(name, weights=None):
        folder = root / f"{name}{'' if weights is None else '_other'}"
        if not folder.exists() or weights is not None:
            folder.mkdir(exist_ok=True)
            shutil.copy(DATA / name / "config.json", folder)
            if weights is None:
                shutil.copy(DATA / name / "model.safetensors", folder)
            else:
                save_file(weights, folder / "model.safetensors")
            tokenizer.save(str(folder / "tokenizer.json"))
        return folder

    return make


@pytest.fixture(scope="session")
def tiny(gpu):
    with T5.from_pretrained(TINY, gpu, progress=False) as model:
        yield model
