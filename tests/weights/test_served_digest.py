"""A server that says what a file's SHA-256 is: bytes that are not right are neither handed out nor kept."""

from __future__ import annotations

import base64
import hashlib
import io
import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

import webgpu_widget as wg
from webgpu_widget.weights.readers import HttpReader
from webgpu_widget.weights.served_digest import field_sha256, served_sha256, tag_sha256

from .conftest import layers, same

HEX = hashlib.sha256(b"abc").hexdigest()
BASE64 = base64.b64encode(bytes.fromhex(HEX)).decode()
LONG = hashlib.sha512(b"abc").hexdigest()
LONG_64 = base64.b64encode(bytes.fromhex(LONG)).decode()
QUICK = {"progress": False, "chunk_bytes": 64 * 1024}


def fields(kind, data):
    digest = hashlib.sha256(data)
    text = base64.b64encode(digest.digest()).decode()
    return {
        "etag": {"ETag": f'"{digest.hexdigest()}"'},
        "linked": {"X-Linked-ETag": f'"{digest.hexdigest()}"', "ETag": '"0123456789abcdef"'},
        "repr": {"Repr-Digest": f"sha-512=:AAAA:, sha-256=:{text}:", "ETag": 'W/"5"'},
        "digest": {"Digest": f"SHA-256={text}"},
        "sha-512": {"Repr-Digest": f"md5=:AAAA:, sha-512=:{base64.b64encode(hashlib.sha512(data).digest()).decode()}:"},
    }[kind]


def serve(server, data, kind, **faults):
    server.files["model.safetensors"] = data
    server.faults.etag = None
    server.faults.headers = fields(kind, data)
    for name, value in faults.items():
        setattr(server.faults, name, value)
    return server.url("model.safetensors")


@pytest.mark.no_adapter
@pytest.mark.parametrize(
    ("tag", "found"),
    [
        (f'"{HEX}"', HEX), (HEX.upper(), HEX), (f' "{HEX}" ', HEX), (f'W/"{HEX}"', ""), (f'"{HEX}', ""), (f'"{HEX[:-1]}"', ""),
        (f'"{HEX}0"', ""), (f'"{HEX}-gzip"', ""), ("", ""), ('"' + "g" * 64 + '"', ""), (f'"{HEX}"\n', ""),
    ],
)  # fmt: skip
def test_etags(tag, found):
    assert tag_sha256(tag) == found


@pytest.mark.no_adapter
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f"sha-256=:{BASE64}:", HEX), (f"md5=:AAAA:, sha-256=:{BASE64}:;q=1", HEX), (f"SHA-256={BASE64}", HEX), (f"sha-512=:{BASE64}:", ""), (f"sha-512=:{LONG_64}:", LONG), (f"sha-512=:{LONG_64}:, sha-256=:{BASE64}:", HEX), (f"sha-256=:{LONG_64}:", ""),
        ("sha-256=:AAAA:", ""), ("sha-256=:*:", ""), (f"sha-256=:{BASE64[:-1]}:", ""), ("sha-256", ""), ("", ""), (",,=,;", ""),
        (f"sha-256=::{BASE64}", ""), (f"sha-256=:{'A' * 100_000}:", ""),
    ],
)  # fmt: skip
def test_digest_fields(value, found):
    assert field_sha256(value) == found


@pytest.mark.no_adapter
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ETag", "Repr-Digest", "Digest", "X-Linked-ETag", "x"]),
            st.text(max_size=80) | st.just(BASE64),
        )
    )
)
def test_any_fields(given_fields):
    found = served_sha256(given_fields)
    assert found == "" or (len(found) in (64, 128) and int(found, 16) >= 0)


@pytest.mark.no_adapter
def test_which_of_several():
    other = "0" * 64
    assert served_sha256([("etag", other), ("Repr-Digest", f"sha-256=:{BASE64}:"), ("X-Linked-ETag", other)]) == HEX
    assert served_sha256([("X-Linked-ETag", HEX), ("ETag", other)]) == HEX
    assert served_sha256([("Repr-Digest", f"sha-512=:{LONG_64}:"), ("ETag", '"one"')]) == LONG
    assert served_sha256([("Repr-Digest", f"sha-512=:{LONG_64}:"), ("ETag", HEX)]) == LONG
    assert served_sha256([("ETag", '"one"'), ("Content-MD5", BASE64), ("Content-Digest", f"sha-256=:{BASE64}:")]) == ""


@pytest.mark.no_adapter
@pytest.mark.parametrize("kind", ["etag", "linked", "repr", "digest", "sha-512"])
def test_readers_see_it(server, kind):
    data = secrets.token_bytes(1000)
    reader = HttpReader(serve(server, data, kind))
    assert reader.sha256 == (hashlib.sha512 if kind == "sha-512" else hashlib.sha256)(data).hexdigest()


@pytest.mark.no_adapter
def test_a_redirect_says_it(server):
    """As the hub answers: the redirect has the digest, what it leads to has an ETag of another kind."""
    server.files["here"] = b"abc"
    server.faults.redirect = "/here"
    server.faults.redirect_headers = {"X-Linked-ETag": f'"{HEX}"'}
    assert HttpReader(server.url("x")).sha256 == HEX


@pytest.mark.no_adapter
@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000, "-1", "1e3"])
def test_lengths_that_are_none(server, length):
    server.files["x"] = b"abc"
    server.faults.ranges = False
    server.faults.headers = {"Content-Length": length}
    with pytest.raises(wg.WeightsError, match="neither ranges nor a length|attempts"):
        HttpReader(server.url("x"))


@pytest.mark.no_adapter
@pytest.mark.parametrize("kind", ["etag", "sha-512"])
def test_members_that_python_unpacks(server, kind):
    held = io.BytesIO()
    np.savez_compressed(held, x=np.arange(30_000, dtype=np.float32))
    data = held.getvalue()
    url = serve(server, data, kind)
    assert len(wg.inspect_weights(url).tensors) == 1
    server.faults.headers = fields(kind, data + b"1")
    with pytest.raises(wg.IntegrityError, match="its server says"):
        wg.inspect_weights(url)


@pytest.mark.parametrize("kind", ["etag", "linked", "repr", "sha-512"])
def test_a_flipped_bit_is_neither_served_nor_kept(clean, server, kind):
    seed = secrets.randbits(32)
    print("seed", seed)
    model = layers(seed=seed)  # a page that has once seen a file right checks it chunk by chunk
    data = save(model)
    at = int(np.random.default_rng(seed).integers(len(data) - 200_000, len(data)))
    url = serve(server, data, kind, flip_at={at})
    for _ in range(2):
        with wg.load_weights(url, clean, **QUICK) as weights:
            for name in list(model)[::-1]:
                with pytest.raises(wg.IntegrityError, match="has the SHA-(256|512) .* but its server says"):
                    weights.get_tensor(name, 60)
        assert sum(entry.bytes for entry in wg.cache.list(gpu=clean)) == 0
    server.faults.flip_at = set()
    with wg.load_weights(url, clean, **QUICK) as weights:
        same(weights, model)
    sent = server.sent
    with wg.load_weights(url, clean, **QUICK) as weights:
        same(weights, model)
        assert weights.report.route == "cache"
    assert server.sent - sent <= 70_000  # the header


def test_what_was_kept_unchecked_is_replaced(clean, server):
    model = layers(seed=secrets.randbits(32))
    data = save(model)
    url = serve(server, data, "repr", flip_at={len(data) - 7})
    with wg.load_weights(url, clean, verify=False, **QUICK) as weights:
        weights.wait(timeout=60)
    server.faults.flip_at = set()
    with wg.load_weights(url, clean, **QUICK) as weights:
        same(weights, model)


def test_python_sends_what_the_page_cannot_fetch(clean, server):
    model = layers(seed=secrets.randbits(32))
    data = save(model)
    url = serve(server, data, "etag", flip_at={len(data) - 5})
    with wg.load_weights(url, clean, route="comm", **QUICK) as weights, pytest.raises(wg.IntegrityError):
        weights.wait(timeout=60)
    server.faults.flip_at = set()
    with wg.load_weights(url, clean, route="comm", **QUICK) as weights:
        same(weights, model)
