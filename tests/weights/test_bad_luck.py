"""What goes wrong on the way: nothing lost, nothing wrong ever served, no memory left behind."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest
from losing import lose_device
from safetensors.numpy import save, save_file

import webgpu_widget as wg
from webgpu_widget.weights import driver, opening, readers

from .conftest import layers, same

CHUNK = 16 * 1024
QUICK = {"progress": False, "chunk_bytes": CHUNK}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(readers, "RETRY_WAIT_S", 0.01)


@pytest.fixture
def through(monkeypatch, server, path):
    """The local model, fetched by the page from the misbehaving server, with Python's hashes to compare with."""
    server.files["model.safetensors"] = path.read_bytes()
    monkeypatch.setattr(opening, "_serve", lambda *_: server.url("model.safetensors"))
    return path


# ---------------------------------------------------------------- the file


def test_a_truncated_file_is_refused(clean, path, server):
    data = path.read_bytes()
    for size in (0, 4, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        server.files["short.safetensors"] = data[:size]
        with pytest.raises((wg.FormatError, wg.WeightsError)):
            wg.load_weights(path, clean, **QUICK)
        with pytest.raises((wg.FormatError, wg.WeightsError)):
            wg.load_weights(server.url("short.safetensors"), clean, **QUICK)


def test_a_local_file_written_to_while_it_loads(clean, through, server):
    server.faults.bytes_per_second = 200_000
    server.faults.cut_at = {200_000}
    with wg.load_weights(through, clean, **QUICK) as weights:
        weights.wait(0, timeout=30)
        data = bytearray(through.read_bytes())
        data[-20_000:] = bytes(20_000)
        server.files["model.safetensors"] = bytes(data)
        server.faults.bytes_per_second = 0
        with pytest.raises(wg.IntegrityError):
            weights.wait(timeout=30)
        with pytest.raises(wg.IntegrityError):
            weights["head.weight"]
        assert weights.progress.state == "failed"


def test_a_local_file_changed_before_python_hashes_it(clean, path):
    with wg.load_weights(path, clean, route="comm", **QUICK) as weights:
        weights.pause()
        data = path.read_bytes()
        time.sleep(0.02)
        path.write_bytes(data[:-4] + b"abcd")
        weights.resume()
        try:
            weights.wait(timeout=30)
        except wg.IntegrityError as error:
            assert "written to" in str(error)
        else:
            assert weights.report.bytes_moved == len(data), "all had been read before the change"


def test_a_url_replaced_while_it_loads(clean, server, served):
    url, data = served
    server.faults.bytes_per_second = 200_000
    server.faults.cut_at = {200_000}
    with wg.load_weights(url, clean, **QUICK) as weights:
        weights.wait(0, timeout=30)
        server.files["model.safetensors"] = data[:-8] + b"replaced"
        server.faults.etag = '"two"'
        server.faults.bytes_per_second = 0
        with pytest.raises(wg.IntegrityError, match="replaced"):
            weights.wait(timeout=30)


def test_a_url_replaced_whose_tag_the_page_cannot_see(clean, server, served, monkeypatch):
    url, data = served
    server.faults.bytes_per_second = 400_000
    original = opening.route_from
    monkeypatch.setattr(
        opening, "route_from", lambda *args: __import__("dataclasses").replace(original(*args), validator="")
    )
    with wg.load_weights(url, clean, **QUICK) as weights:
        server.files["model.safetensors"] = data[:-8] + b"replaced"
        server.faults.etag = '"two"'
        server.faults.bytes_per_second = 0
        deadline = time.monotonic() + 20
        while weights.progress.state != "failed":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(wg.IntegrityError, match="replaced"):
            weights["head.weight"]


# ---------------------------------------------------------------- the way


def test_a_flipped_byte_is_fetched_again(clean, through, server, model):
    places = [100, 5000, CHUNK, 3 * CHUNK - 1, through.stat().st_size - 1]
    for place in places:
        wg.cache.clear(gpu=clean)
        server.faults.flip_at, server.faults.flip_times = {place}, 2 if place == 100 else 1
        with wg.load_weights(through, clean, **QUICK) as weights:
            same(weights, model)
            assert server.faults.flip_times == 0, "the byte was never sent"


def test_a_byte_that_stays_flipped_is_an_error(clean, through, server):
    server.faults.flip_at = {3 * CHUNK + 5}
    with wg.load_weights(through, clean, **QUICK) as weights:
        with pytest.raises(wg.IntegrityError, match="SHA-256"):
            weights.wait(timeout=30)
        with pytest.raises(wg.IntegrityError):
            weights["layers.0.w"]


@pytest.mark.parametrize("etag", ['"one"', None])
def test_a_server_that_ignores_range(clean, server, served, model, etag):
    url, data = served
    server.faults.ranges = False
    server.faults.etag = etag
    with wg.load_weights(url, clean, **QUICK) as weights:
        same(weights, model)
    server.faults.bytes_per_second = 600_000
    wg.cache.clear(gpu=clean)
    with wg.load_weights(url, clean, **QUICK) as weights:
        server.faults.cut_at = {300_000}
        same(weights, model)
        weights.wait(timeout=30)
        assert weights.report.bytes_moved > len(data), "it had to begin again"


@pytest.mark.parametrize("fault", [{"extra_length": 8}, {"extra_length": -8}, {"shift": 64}])
def test_a_server_that_lies_about_length(clean, server, served, fault):
    url, _ = served
    for name, value in fault.items():
        setattr(server.faults, name, value)
    with pytest.raises(wg.WeightsError):
        wg.load_weights(url, clean, **QUICK).wait(timeout=30)


@pytest.mark.parametrize("fault", [{"extra_length": 8}, {"shift": 64}])
def test_a_server_that_begins_to_lie(clean, server, served, fault):
    url, _ = served
    server.faults.bytes_per_second = 200_000
    server.faults.cut_at = {150_000}
    with wg.load_weights(url, clean, **QUICK) as weights:
        weights.wait(0, timeout=30)
        for name, value in fault.items():
            setattr(server.faults, name, value)
        server.faults.bytes_per_second = 0
        with pytest.raises(wg.IntegrityError):
            weights.wait(timeout=30)


@pytest.mark.parametrize("status", [403, 404])
def test_refusals_are_final(clean, server, served, status):
    url, _ = served
    server.faults.statuses = [status]
    with pytest.raises(wg.WeightsError, match=str(status)):
        wg.load_weights(url, clean, **QUICK)
    server.faults.bytes_per_second = 200_000
    server.faults.cut_at = {150_000}
    with wg.load_weights(url, clean, **QUICK) as weights:
        weights.wait(0, timeout=30)
        server.faults.statuses = [status] * 3
        server.faults.bytes_per_second = 0
        with pytest.raises(wg.WeightsError, match=str(status)):
            weights.wait(timeout=30)


def test_busy_servers_are_asked_again(clean, server, served, model):
    url, _ = served
    server.faults.retry_after = "0"
    server.faults.statuses = [429, 503]
    server.faults.cut_at = {100_000, 250_000}
    with wg.load_weights(url, clean, **QUICK) as weights:
        server.faults.statuses = [500, 429, 503]
        same(weights, model)


def test_cut_at_every_chunk_boundary(clean, server, served, model):
    url, data = served
    with wg.load_weights(url, clean, cache=False, **QUICK):
        pass
    server.faults.cut_at = set(range(CHUNK, len(data), CHUNK))
    server.log.clear()
    original = len(server.faults.cut_at)
    with wg.load_weights(url, clean, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=60)
        assert not server.faults.cut_at
        assert len(server.log) > original
        assert weights.report.bytes_moved == len(data), "each byte once"


def test_a_page_without_cors_gets_the_bytes_by_python(clean, server, served, model):
    url, _ = served
    server.faults.cors = False
    with wg.load_weights(url, clean, **QUICK) as weights:
        same(weights, model)
        assert weights.report.route == "comm"


def test_redirects(clean, server, served, model):
    url, _ = served
    server.faults.redirect = url
    with wg.load_weights(server.url("there.safetensors"), clean, **QUICK) as weights:
        same(weights, model)
    server.faults.redirect = "file:///etc/passwd"
    with pytest.raises(wg.WeightsError, match="redirects"):
        wg.load_weights(server.url("there.safetensors"), clean, **QUICK)


# ---------------------------------------------------------------- the device, and others


def test_device_lost_while_loading(clean, server, served, model):
    url, data = served
    server.faults.bytes_per_second = 300_000
    with wg.load_weights(url, clean, **QUICK) as weights:
        weights.wait(0, timeout=30)
        lose_device(clean)
        server.faults.bytes_per_second = 0
        same(weights, model)
        weights.wait(timeout=30)
        assert weights.report.bytes_from_cache >= 4 * CHUNK, weights.report
        assert weights.report.bytes_moved < 1.5 * len(data)


def test_device_lost_after_loading(clean, path, model):
    with wg.load_weights(path, clean, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
        held = weights["layers.0.w"]
        lose_device(clean)
        deadline = time.monotonic() + 20
        while True:  # the array that is held comes back by itself
            try:
                values = held.numpy()
                break
            except (wg.DeviceLostError, wg.FrontendLostError):
                assert time.monotonic() < deadline
                time.sleep(0.02)
        np.testing.assert_array_equal(values, model["layers.0.w"])
        same(weights, model)
        # A second time from the cache, as far as the page had written it when the device went.
        report, size = weights.report, path.stat().st_size
        assert report.bytes_moved >= size
        assert report.bytes_moved + report.bytes_from_cache == 2 * size, report


def test_two_loads_at_once_move_the_bytes_once(clean, server, served, model):
    url, data = served
    server.faults.bytes_per_second = 500_000
    first = wg.load_weights(url, clean, **QUICK)
    second = wg.load_weights(url, clean, dtype="f16", **QUICK)
    first.wait(timeout=30)
    second.wait(timeout=30)
    same(first, model)
    for name, value in model.items():
        np.testing.assert_array_equal(second[name].numpy(), value.astype(np.float16))
    assert first.report.bytes_moved + second.report.bytes_moved <= len(data) + 2 * CHUNK
    first.cancel()
    second.cancel()


def test_python_hashes_only_what_the_page_fetches(clean, through, model, monkeypatch):
    hashed = []
    sent = driver.Driver._send_digests

    def note(self):
        before = set(self._digests)
        sent(self)
        hashed.extend(sorted(set(self._digests) - before))

    monkeypatch.setattr(driver.Driver, "_send_digests", note)
    count = -(-through.stat().st_size // CHUNK)
    with wg.load_weights(through, clean, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
    assert sorted(hashed) == [(0, index) for index in range(count)]
    hashed.clear()
    with wg.load_weights(through, clean, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
        assert weights.report.route == "cache"
    assert not hashed


def test_a_load_after_one_that_was_cut_while_its_chunks_waited_for_hashes(clean, through, server, model, monkeypatch):
    monkeypatch.setattr(driver, "_STALL_S", 10.0)
    with monkeypatch.context() as mute:
        mute.setattr(driver.Driver, "_send_digests", lambda self: self._digest_work.clear())
        first = wg.load_weights(through, clean, **QUICK)
        deadline = time.monotonic() + 20
        while server.sent < 8 * CHUNK:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        second = wg.load_weights(through, clean, **QUICK)  # shares what the first is fetching
        time.sleep(0.1)
        first.cancel()
    second.cancel()
    with wg.load_weights(through, clean, **QUICK) as third:
        same(third, model)


def test_hashes_of_one_load_outlive_the_end_of_another(clean, through, server, model, monkeypatch):
    monkeypatch.setattr(driver, "_STALL_S", 10.0)
    send = driver.Driver._send_digests
    quick: list[driver.Driver] = []
    ended = threading.Event()

    def hold(self):
        """Have all but the first load's hashes come late: one before the first load ends, the rest after."""
        quick[:] = quick or [self]
        send(self)
        if self is not quick[0]:
            ended.wait(20)

    monkeypatch.setattr(driver.Driver, "_send_digests", hold)
    monkeypatch.setattr(driver, "_DIGESTS_AT_ONCE", 60)
    server.faults.bytes_per_second = 500_000
    with wg.load_weights(through, clean, cache=False, **QUICK) as first:
        first.wait(0, timeout=30)
        with wg.load_weights(through, clean, cache=False, **QUICK) as second:
            first.wait(timeout=30)
            ended.set()
            server.faults.bytes_per_second = 0
            same(second, model)


def test_a_load_that_stands_still_is_given_up(clean, through, monkeypatch):
    monkeypatch.setattr(driver, "_STALL_S", 1.0)
    monkeypatch.setattr(driver.Driver, "_send_digests", lambda self: self._digest_work.clear())
    weights = wg.load_weights(through, clean, **QUICK)
    with pytest.raises(wg.WeightsError, match=r"nothing has come for 1 s .*load again"):
        weights["head.weight"]
    weights.cancel()


def test_a_second_load_goes_on_when_the_first_is_cancelled(clean, server, served, model):
    url, _ = served
    server.faults.bytes_per_second = 500_000
    first = wg.load_weights(url, clean, cache=False, **QUICK)
    second = wg.load_weights(url, clean, cache=False, **QUICK)
    first.wait(0, timeout=30)
    first.cancel()
    server.faults.bytes_per_second = 0
    same(second, model)
    second.cancel()


@pytest.mark.parametrize("route", [None, "comm"])
def test_cancel_at_any_time(clean, tmp_path, route, rng):
    tensors = layers(6, rows=256, columns=512)
    path = tmp_path / "model.safetensors"
    save_file(tensors, path)
    before = clean.memory()
    for _ in range(8):
        weights = wg.load_weights(
            path, clean, route=route, quantize=rng.choice([None, "int8"]), cache=bool(rng.integers(2)), **QUICK
        )
        time.sleep(float(rng.uniform(0, 0.12)))
        began = time.monotonic()
        weights.cancel()
        after = clean.memory()
        assert time.monotonic() - began < 10, "well before any wait's own end"
        assert (after.buffers, after.bytes) == (before.buffers, before.bytes)
        with pytest.raises(wg.CancelledError):
            weights.wait(timeout=5)
        with pytest.raises(wg.CancelledError):
            weights["embed.weight"]
        assert weights.progress.state == "cancelled"


def test_letting_go_ends_the_load(clean, server, served):
    import gc

    url, data = served
    server.faults.bytes_per_second = 100_000
    weights = wg.load_weights(url, clean, cache=False, **QUICK)
    alive = weakref.ref(weights)
    del weights
    gc.collect()
    assert alive() is None
    time.sleep(0.5)
    clean.synchronize()
    assert server.sent < len(data)


def test_an_unreadable_header_never_reaches_the_page(clean, tmp_path):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(wg.FormatError, match="claims"):
        wg.load_weights(path, clean, **QUICK)
    path.write_bytes(save({"x": np.ones(3, np.float32)})[:-1])
    with pytest.raises(wg.FormatError, match="cut short"):
        wg.load_weights(path, clean, **QUICK)
