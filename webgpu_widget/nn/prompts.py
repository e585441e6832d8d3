"""What models are given: text that can be a prompt, and rows of ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from webgpu_widget.errors import DTypeError, PromptError, ShapeError

__all__ = ["check_text", "rows_of_ids"]


def check_text(prompt: object) -> None:
    """Raise PromptError for what is no str, or none that can be written as UTF-8: tokenizers take no other."""
    if not isinstance(prompt, str):
        raise PromptError(f"a prompt is a str, not {type(prompt).__name__}; pass a str, or a list of them")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise PromptError(f"the prompt is no text: {error}. Take the lone surrogates out of it.") from error


def rows_of_ids(ids: Any, what: str, vocab: int) -> np.ndarray[Any, Any]:
    """Return ids of tokens as (batch, tokens); one row may be 1-D.

    Parameters
    ----------
    ids
        Whole numbers of at least 0 and below ``vocab``.
    what
        What to call them in errors.
    vocab
        How many tokens the model has.

    Raises
    ------
    ShapeError, DTypeError
        For what are no such rows.
    """
    try:
        values: np.ndarray[Any, Any] = np.asarray(ids)
    except ValueError as error:
        raise ShapeError(
            f"{what} have rows of different lengths ({error}); pad them to one, or pass one row at a time"
        ) from error
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"{what} have shape {np.shape(ids)}, but must be (batch, tokens), both at least 1")
    if values.dtype.kind not in "iu":
        raise DTypeError(f"{what} are {values.dtype}, but must be whole numbers")
    if values.min() < 0 or values.max() >= vocab:
        raise ShapeError(
            f"{what} are from {values.min()} to {values.max()}, but the model has those from 0 to {vocab - 1}"
        )
    return values
