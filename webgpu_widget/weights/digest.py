"""The digest by which a chunk is known, in the page and here.

A tree of one level: SHA-256 (FIPS 180-4) of the SHA-256 sums of its blocks of 256 KiB. A browser's ``crypto.subtle.digest`` takes its input whole and
copies it; of a chunk of megabytes that costs fresh pages each time, and twice the time that the same bytes take in blocks.
"""

from __future__ import annotations

import hashlib

__all__ = ["BLOCK_BYTES", "chunk_digest"]

BLOCK_BYTES = 256 * 1024
"""Bytes of a block; js/src/weights/store.ts has the same."""


def chunk_digest(data: bytes) -> str:
    """Digest a chunk.

    Parameters
    ----------
    data : bytes-like

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> chunk_digest(b"abc")
    '4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358'
    """
    whole = memoryview(data)
    tree = hashlib.sha256()
    for begin in range(0, max(1, whole.nbytes), BLOCK_BYTES):
        tree.update(hashlib.sha256(whole[begin : begin + BLOCK_BYTES]).digest())
    return tree.hexdigest()
