"""A browser of our own that lost its GPU, its page or itself, and one that nobody needs any more."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from fake_page import SQUARE
from processes import alive, browser, children, family, kill, stopped, until, wait_for_children

import webgpu_widget as wg
from webgpu_widget.link import recovery as _recovery
from webgpu_widget.link.transports import headless


@pytest.fixture
def own() -> Iterator[wg.GPU]:
    made = wg.GPU(transport="headless")
    yield made
    made.close()


def assert_right(gpu: wg.GPU, rng: np.random.Generator) -> None:
    x = rng.integers(-1000, 1000, 1000).astype(np.float32)
    assert np.array_equal(gpu.run(SQUARE, x=x, y=wg.out(1000), threads=1000), x * x)


def test_ten_gpu_processes_killed_in_a_row(own: wg.GPU, rng: np.random.Generator) -> None:
    assert_right(own, rng)
    took = []
    for _ in range(10):
        kill(wait_for_children(browser(own), "gpu-process"))
        begun = time.monotonic()
        assert_right(own, rng)
        took.append(time.monotonic() - begun)
    print("seconds of the calls after:", [round(value, 2) for value in took])
    assert max(took) < 60, "a new GPU process is a matter of seconds, on a busy machine too"


def test_the_call_after_a_renderer_was_killed_gets_a_new_browser(own: wg.GPU, rng: np.random.Generator) -> None:
    assert_right(own, rng)
    left = own.array([1.0, 2.0])
    left.numpy()
    for _ in range(2):
        first = browser(own)
        kill(children(first, "renderer"))
        assert_right(own, rng)
        assert browser(own) != first
        until(lambda first=first: not alive(first), 5, "the end of the browser without a page")
    with pytest.raises(wg.FrontendLostError, match="crashed.*Make it again"):
        left.numpy()


def test_the_call_after_a_browser_was_killed_is_right(own: wg.GPU, rng: np.random.Generator) -> None:
    assert_right(own, rng)
    kill(family(browser(own)))
    assert_right(own, rng)


def test_a_browser_that_is_stopped_is_given_up_and_replaced(own: wg.GPU, rng: np.random.Generator) -> None:
    assert_right(own, rng)
    left = own.array([1.0, 2.0])
    left.numpy()
    with stopped(first := browser(own)):
        with pytest.raises(wg.FrontendLostError, match="has not answered"):
            left.numpy()
        begun = time.monotonic()
        assert_right(own, rng)
        assert time.monotonic() - begun < 60
        assert browser(own) != first


def test_a_browser_that_slept_past_our_patience_is_used_again(own: wg.GPU, rng: np.random.Generator) -> None:
    assert_right(own, rng)
    first, left = browser(own), own.array([1.0, 2.0])
    left.numpy()
    with stopped(first), pytest.raises(wg.FrontendLostError, match="has not answered"):
        left.numpy()
    until(lambda: own._device.connection.connected, 10, "a hello of the page that slept")
    assert_right(own, rng)
    assert browser(own) == first


@pytest.mark.alone
def test_new_browsers_are_tried_until_one_has_a_gpu_again(
    own: wg.GPU, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a card whose driver holds on to work that hung, after its browser was killed."""
    assert_right(own, rng)
    monkeypatch.setattr(_recovery, "_FIRST_PAUSE_S", 0.2)
    without = ["--use-webgpu-adapter=none-such --disable-gpu --disable-software-rasterizer"] * 2
    start = headless.Browser

    def started(url: str) -> headless.Browser:
        with pytest.MonkeyPatch.context() as patch:
            if without:
                patch.setenv("WEBGPU_WIDGET_BROWSER_FLAGS", without.pop())
            return start(url)

    monkeypatch.setattr(headless, "Browser", started)
    endless = "@group(0) @binding(0) var<storage, read_write> y: array<u32>; @compute @workgroup_size(1) fn main() { while (y[0] < 1u) { y[1] += 1u; } }"
    with pytest.raises(wg.FrontendTimeoutError, match="'spin'.*never ends"):
        own.kernel(endless, name="spin")(y=wg.out(2, np.uint32), threads=1).numpy(timeout=2)
    assert_right(own, rng)
    assert not without
    assert "requestAdapter() found no adapter" in caplog.text
    assert "more at most" in caplog.text


def test_a_gpu_that_nothing_holds_ends_its_browser(rng: np.random.Generator) -> None:
    def use(gpu: wg.GPU) -> wg.GPUArray:
        assert_right(gpu, rng)
        with gpu.record() as program:
            gpu.kernel(SQUARE)(x=np.ones(4, np.float32), y=wg.out(4), threads=4)
        program.replay(2)
        return gpu.array([3.0]) + 1

    made = wg.GPU(transport="headless")
    kept = use(made)
    its = family(browser(made))
    del made
    gc.collect()
    assert kept.numpy()[0] == 4, "an array holds its GPU"
    del kept
    gc.collect()
    until(
        lambda: not any(map(alive, its)),
        10,
        "the end of a browser",
    )


def test_a_kernel_and_a_shown_widget_hold_their_gpu(rng: np.random.Generator) -> None:
    kernel = wg.GPU(transport="headless").kernel(SQUARE)
    gc.collect()
    x = rng.integers(0, 9, 4).astype(np.float32)
    assert np.array_equal(kernel(x=x, y=wg.out(4), threads=4).numpy(), x * x)
    shown = wg.GPU(transport="headless")
    its = browser(shown)
    assert shown.comm is None
    shown._repr_mimebundle_()
    known = weakref.ref(shown)
    assert shown.comm is not None
    del shown
    gc.collect()
    time.sleep(0.5)
    assert alive(its)
    known().close()
