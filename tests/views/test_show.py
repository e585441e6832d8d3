"""Arrays as pictures: the page's colours beside NumPy's, and what is no picture."""

from __future__ import annotations

import io
import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

import webgpu_widget as wg
from webgpu_widget.views.shader_view import ShaderView
from webgpu_widget.views.show import Picture, colored


def live(array: wg.GPUArray, **options: object) -> ShaderView:
    view = wg.show(array, live=True, **options)  # type: ignore[arg-type]
    assert isinstance(view, ShaderView)
    return view


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint32, bool])
def test_a_live_picture_has_numpys_colours(gpu: wg.GPU, rng: np.random.Generator, dtype: type) -> None:
    values = (rng.random((23, 31)) * 9 - (4 if dtype in (np.float32, np.int32) else 0)).astype(dtype)
    if dtype is np.float32:
        values[2, 3], values[4, 5], values[6, 7] = np.nan, np.inf, -np.inf
    x = gpu.array(values)
    view = live(x, cmap="viridis")
    zoom = view.size[0] // 31
    assert view.size == [31 * zoom, 23 * zoom]
    # One step: unorm may round either way at a half, and a GPU's division within 2.5 ulp.
    assert np.abs(view.frame()[::zoom, ::zoom].astype(int) - colored(values, "viridis")).max() <= 1
    if dtype is np.float32:
        assert view.frame()[2 * zoom, 3 * zoom].tolist() == [128, 128, 128, 255]
        x[...] = 2 * x
        expected = colored(2 * values, "viridis", view.u_vmin, view.u_vmax)
        assert np.abs(view.frame()[::zoom, ::zoom].astype(int) - expected).max() <= 1


def test_colours_are_shown_as_they_are(gpu: wg.GPU, rng: np.random.Generator) -> None:
    values = rng.random((400, 500, 3)).astype(np.float32)
    assert np.abs(live(gpu.array(values)).frame().astype(int) - colored(values)).max() <= 1
    whole = rng.integers(0, 256, (400, 500, 1)).astype(np.int32)
    picture = live(gpu.array(whole)).frame()
    assert np.abs(picture[..., :3].astype(int) - whole).max() <= 1


def test_a_picture_of_a_large_array_is_shown_by_means_and_saved_whole(
    rng: np.random.Generator, tmp_path: pathlib.Path
) -> None:
    picture = wg.show(rng.random((8, 3072)).astype(np.float32), cmap="gray", vmin=0, vmax=1)
    assert isinstance(picture, Picture)
    bundle = picture._repr_mimebundle_()
    shown = np.asarray(Image.open(io.BytesIO(bundle["image/png"]))).astype(int)
    means = picture.rgba[..., :3].reshape(4, 2, 1536, 2, 3).mean(axis=(1, 3))
    assert np.abs(shown - means).max() <= 1
    assert bundle["text/plain"] == "Picture(3072 x 8, shown by means over blocks of 2 x 2)"
    with Image.open(picture.save(tmp_path / "whole.png")) as whole:
        assert whole.size == (3072, 8)
    tall = wg.show(np.zeros((100_000, 3), np.float32))
    assert isinstance(tall, Picture)
    assert Image.open(io.BytesIO(tall._repr_mimebundle_()["image/png"])).size == (1, 1516)


def test_large_arrays_are_drawn_by_means(gpu: wg.GPU, rng: np.random.Generator) -> None:
    values = rng.random((9, 3001)).astype(np.float32)
    view = live(gpu.array(values), cmap="gray", vmin=0, vmax=1)
    assert view.size == [1501, 5]
    padded = np.full((10, 3002), np.nan)
    padded[:9, :3001] = values
    means = np.nanmean(padded.reshape(5, 2, 1501, 2), axis=(1, 3))
    assert np.abs(view.frame().astype(int) - colored(means, "gray", 0, 1)).max() <= 1


def test_a_picture_of_now_needs_no_gpu_and_can_be_saved(tmp_path: object) -> None:
    picture = wg.show([[0, 1], [2, 3]], cmap=["#000000", "#ffffff"], vmin=0, vmax=3)
    assert isinstance(picture, Picture)
    assert picture.rgba[..., 0].tolist() == [[0, 85], [170, 255]]
    saved = np.asarray(Image.open(picture.save(f"{tmp_path}/a.png")))
    np.testing.assert_array_equal(saved, picture.rgba[..., :3])
    bundle = picture._repr_mimebundle_()
    assert bundle["text/plain"] == "Picture(2 x 2)"
    assert Image.open(io.BytesIO(bundle["image/png"])).size == (384, 384)


def test_ends_that_the_array_leaves_no_room_for() -> None:
    """One end given beyond all numbers, or numbers that are all alike and large: the colours neither turn around nor become those of NaN."""
    values = np.float32([[0, 1], [2, 3]])

    def reds(values: Any, **ends: Any) -> list[int]:
        return colored(np.asarray(values), ["#000000", "#ffffff"], **ends)[..., 0].ravel().tolist()

    assert reds(values, vmin=3) == reds(values, vmin=100) == [0, 0, 0, 0]
    assert reds(values, vmax=0) == reds(values, vmax=-1e20) == [255, 255, 255, 255]
    assert reds(values, vmin=-2) == [102, 153, 204, 255]
    assert reds(np.full((2, 2), 1e20)) == reds(np.full((2, 2), -1e30)) == [0, 0, 0, 0]
    for wrong in ("low", np.nan, np.inf, [1, 2], 1j):
        with pytest.raises(wg.BindingError, match=r"vmax is .*; it is a finite number, or left out"):
            wg.show(values, vmax=wrong)  # type: ignore[arg-type]


def test_what_is_masked_is_grey() -> None:
    values = np.ma.masked_greater(np.arange(6).reshape(2, 3), 3)
    picture = wg.show(values, cmap=["#000000", "#ffffff"])
    assert isinstance(picture, Picture)
    assert picture.rgba[..., 0].tolist() == [[0, 85, 170], [255, 128, 128]]
    with pytest.raises(wg.DTypeError, match="masked"):
        wg.show(np.ma.masked_greater(np.ones((2, 2, 3)), 0))


def test_what_is_no_picture_is_refused(gpu: wg.GPU) -> None:
    for shape in [(4,), (2, 3, 5), (0, 3)]:
        with pytest.raises(wg.ShapeError, match="no picture"):
            wg.show(np.zeros(shape))
    with pytest.raises(wg.DTypeError, match="real part"):
        wg.show(np.zeros((2, 2), complex))
    with pytest.raises(wg.BindingError, match="vmin is below vmax"):
        wg.show(np.zeros((2, 2)), vmin=1, vmax=1)
    with pytest.raises(wg.BindingError, match=r"gpu\.array"):
        wg.show(np.zeros((2, 2)), live=True)
    flat = live(gpu.zeros((3, 3)))
    assert (flat.u_vmin, flat.u_vmax) == (0, 1)
