"""What the tests of language models share."""

from __future__ import annotations

import numpy as np

import webgpu_widget as wg
from webgpu_widget.link.steps import iterate
from webgpu_widget.nn.sampling import Settings


def error(found, wanted):
    """Length of the difference beside the length of what is wanted."""
    assert found.shape == wanted.shape
    assert np.isfinite(found).all()
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def load(path, gpu, **options):
    return wg.LanguageModel.from_pretrained(path, gpu, progress=False, **options)


def tokens(model, ids, count):
    """Tokens that follow, without the text between."""
    return list(iterate(model._tokens([ids], Settings(count), streaming=False), 60))[-1].tokens[0]


def below_the_likeliest(wanted, chosen):
    """How far the logits of tokens are below the largest, beside the largest of all."""
    return (wanted.max(-1) - wanted[np.arange(len(wanted)), chosen]).max() / np.abs(wanted).max()
