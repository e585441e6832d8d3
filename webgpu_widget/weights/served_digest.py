"""The SHA-256 of a whole file, where a server gives it, or its SHA-512 where it gives that alone: 128 hexadecimal digits instead of 64.

``Repr-Digest`` (RFC 9530, a structured field: ``sha-256=:base64:``) and ``Digest`` (RFC 3230: ``SHA-256=base64``) speak of the whole file even where a
range is sent. The Hugging Face hub gives a file's SHA-256 as ``X-Linked-ETag``, or as ``ETag``: 64 hexadecimal digits. A weak ETag, any other form, and
digests of one message (``Content-Digest``, ``Content-MD5``) say nothing of the file.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["field_sha256", "served_sha256", "tag_sha256"]

_TAG = re.compile(r'"?([0-9a-fA-F]{64})"?')


def tag_sha256(tag: str) -> str:
    """Read an ETag: the SHA-256 that it is, in hexadecimal digits, or nothing.

    Examples
    --------
    >>> tag_sha256('"' + "AB" * 32 + '"') == "ab" * 32
    True
    >>> tag_sha256('W/"' + "ab" * 32 + '"'), tag_sha256('"5f2c-61a"')
    ('', '')
    """
    found = _TAG.fullmatch(tag.strip(" \t"))
    return found[1].lower() if found and tag.count('"') in (0, 2) else ""


def field_sha256(value: str) -> str:
    """Read a ``Repr-Digest`` or ``Digest``: the SHA-256 in it, else the SHA-512, in hexadecimal digits, or nothing.

    Examples
    --------
    >>> field_sha256("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
    >>> field_sha256("sha-512=:AAAA:, md5=:AAAA:")
    ''
    """
    result = {"sha-256": "", "sha-512": ""}
    for member in value.split(","):
        algorithm, _, item = member.strip(" \t").partition("=")
        name = algorithm.lower()
        if name not in result:
            continue
        text = item.partition(";")[0].strip(" \t")
        if text[:1] == ":" and text[-1:] == ":":
            text = text[1:-1]
        try:
            digest = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if 8 * len(digest) == int(name.removeprefix("sha-")):
            result[name] = digest.hex()
    return result["sha-256"] or result["sha-512"]


def served_sha256(fields: Iterable[tuple[str, str]]) -> str:
    """Find the SHA-256 or SHA-512 of a file in the header fields of the answers that led to it, or nothing.

    Parameters
    ----------
    fields : iterable of (name, value)
        Of redirects too, in the order in which they came.
    """
    given: dict[str, str] = {}
    for name, value in fields:
        key = name.lower()
        found = field_sha256(value) if key in ("repr-digest", "digest") else ""
        if key in ("x-linked-etag", "etag"):
            found = tag_sha256(value)
        if found:
            given[key] = found
    return next((given[key] for key in ("repr-digest", "x-linked-etag", "digest", "etag") if key in given), "")
