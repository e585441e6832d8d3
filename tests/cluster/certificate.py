"""A certificate that signs itself, made here so that the tests need no program for it: X.509 v3 (RFC 5280), RSA with SHA-256 (RFC 8017, 8.2)."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import pathlib
import secrets

import gmpy2

_BITS = 2048
_EXPONENT = 65537
_SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
_RSA = bytes.fromhex("06092a864886f70d010101")
_COMMON_NAME = bytes.fromhex("0603550403")
_ALTERNATIVE_NAME = bytes.fromhex("0603551d11")
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_NULL = b"\x05\x00"


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 128:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 128 + len(length)]) + length + body


def _number(value: int) -> bytes:
    return _der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _bits(data: bytes) -> bytes:
    return _der(3, b"\0", data)


def _pem(kind: str, data: bytes) -> str:
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n"


def _prime() -> int:
    top = 3 << (_BITS // 2 - 2)
    while True:
        found = int(gmpy2.next_prime(secrets.randbits(_BITS // 2) | top))
        if (found - 1) % _EXPONENT:
            return found


def make_certificate(folder: pathlib.Path, address: str = "127.0.0.1") -> tuple[str, str]:
    """Write a certificate for an address and its key into a folder, and return both paths."""
    p, q = _prime(), _prime()
    n, d = p * q, pow(_EXPONENT, -1, (p - 1) * (q - 1))
    key = _der(0x30, *map(_number, (0, n, _EXPONENT, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))))
    algorithm = _der(0x30, _SHA256_RSA, _NULL)
    name = _der(0x30, _der(0x31, _der(0x30, _COMMON_NAME, _der(12, b"webgpu_widget test"))))
    ip = _der(0x30, _der(0x87, ipaddress.ip_address(address).packed))
    body = _der(
        0x30,
        _der(0xA0, _number(2)),
        _number(secrets.randbits(64)),
        algorithm,
        name,
        _der(0x30, _der(23, b"200101000000Z"), _der(23, b"491231235959Z")),
        name,
        _der(0x30, _der(0x30, _RSA, _NULL), _bits(_der(0x30, _number(n), _number(_EXPONENT)))),
        _der(0xA3, _der(0x30, _der(0x30, _ALTERNATIVE_NAME, _der(4, ip)))),
    )
    digest = _DIGEST_INFO + hashlib.sha256(body).digest()
    padded = b"\x00\x01" + b"\xff" * (_BITS // 8 - 3 - len(digest)) + b"\x00" + digest
    signature = pow(int.from_bytes(padded, "big"), d, n).to_bytes(_BITS // 8, "big")
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_text(_pem("CERTIFICATE", _der(0x30, body, algorithm, _bits(signature))))
    paths[1].write_text(_pem("RSA PRIVATE KEY", key))
    return str(paths[0]), str(paths[1])
