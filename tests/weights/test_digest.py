"""The digest of a chunk: the same three are in js/test/weights.test.ts."""

from __future__ import annotations

import pytest

from webgpu_widget.weights.digest import chunk_digest

pytestmark = pytest.mark.no_adapter


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"),
        (b"abc", "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"),
        (bytes(i % 251 for i in range(600_000)), "2fccce4d3eaa739463240bf77394ebd00f6cf31a815c31cbac084c029ab6edfd"),
    ],
)
def test_the_page_and_python_digest_alike(data: bytes, digest: str) -> None:
    assert chunk_digest(data) == digest
