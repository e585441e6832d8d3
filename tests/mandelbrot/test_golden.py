"""Twelve views, from the whole set to 1e-1000, against exact iteration of fifty pixels each (golden.json, made by make_golden.py)."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import webgpu_widget as wg
from webgpu_widget.mandelbrot import View, kernels, work
from webgpu_widget.mandelbrot.view import make_view

Run = Any
ENTRIES = {entry["name"]: entry for entry in json.loads(pathlib.Path(__file__).with_name("golden.json").read_text())}
WIDTHS = ["3", "1e-3", "1e-6", "1e-10", "1e-16", "1e-25", "1e-38", "1e-60", "1e-100", "1e-300", "1e-600", "1e-1000"]


def indices(entry: dict[str, Any]) -> NDArray[np.uint32]:
    columns = entry["view"]["size"][0]
    return np.array([row * columns + column for column, row in entry["pixels"]], np.uint32)


def test_the_views_are_the_twelve() -> None:
    assert [entry["view"]["width"] for entry in ENTRIES.values()] == WIDTHS
    assert all(len(entry["counts"]) == 50 for entry in ENTRIES.values())
    assert all(len(set(entry["counts"])) >= 10 for entry in ENTRIES.values())


@pytest.mark.parametrize("name", ENTRIES)
def test_counts_equal_exact_ones(gpu: wg.GPU, run: Run, name: str) -> None:
    entry = ENTRIES[name]
    view = View.from_dict(entry["view"])
    wanted = np.array(entry["counts"])
    pixels = indices(entry)
    prepared = work.prepare(view)
    quick = run(kernels.make_kernel(gpu._device.queue, view, prepared, listed=True), pixels)[0]
    direct = prepared.method == "direct"
    right = quick if direct else run(kernels.make_refiner(gpu._device.queue, view, prepared), pixels)[0]
    assert np.mean(right == wanted) >= 0.99, np.flatnonzero(right != wanted)
    # f32 alone is wrong only where neighbours differ, which is where `render` refines.
    columns = view.size[0]
    for index in pixels[quick != wanted].astype(np.int64):
        near = np.array([index + dx + dy * columns for dx in (-1, 0, 1) for dy in (-1, 0, 1)], np.int64)
        near = near[(near >= 0) & (near < columns * view.size[1])].astype(np.uint32)
        smooth = run(kernels.make_kernel(gpu._device.queue, view, prepared, listed=True), near)[1].view(np.float32)
        assert np.isnan(smooth).any() or np.ptp(smooth) > 2, (name, int(index))


@pytest.mark.parametrize("name", ["copy past f32", "copy at 1e-1000"])
def test_another_reference_gives_the_same_counts(gpu: wg.GPU, run: Run, name: str) -> None:
    entry = ENTRIES[name]
    view = View.from_dict(entry["view"])
    pixels = indices(entry)
    corner = view.pixel(731, 83)
    moved = work.prepare(view, "auto", corner)
    assert moved.offset != (0, 0)
    counts = run(kernels.make_refiner(gpu._device.queue, view, moved), pixels)[0]
    assert np.mean(counts == np.array(entry["counts"])) >= 0.99


def test_direct_agrees_with_complex128_away_from_the_boundary(gpu: wg.GPU, run: Run) -> None:
    view = make_view("-0.75", 3, (200, 150), 500)
    prepared = work.prepare(view)
    assert prepared.method == "direct"
    got = run(kernels.make_kernel(gpu._device.queue, view, prepared))[0].reshape(150, 200)
    column, row = np.meshgrid(np.arange(200), np.arange(150))
    c = -0.75 + ((column + 0.5) / 200 - 0.5) * 3 + 1j * (0.5 - (row + 0.5) / 150) * 2.25
    z, wanted, live = np.zeros_like(c), np.full(c.shape, 500), np.ones(c.shape, bool)
    for n in range(1, 501):
        z[live] = z[live] ** 2 + c[live]
        out = live & (np.abs(z) > 2)
        wanted[out] = n
        live &= ~out
    calm = np.ones(c.shape, bool)
    for axis in (0, 1):
        for way in (-1, 1):
            calm &= np.abs(np.roll(wanted, way, axis) - wanted) <= 2
    assert calm.mean() > 0.5
    assert np.mean((got == wanted)[calm]) >= 0.995
