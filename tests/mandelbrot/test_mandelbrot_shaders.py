"""Each kernel against its NumPy twin."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import webgpu_widget as wg
from webgpu_widget import shaders
from webgpu_widget.mandelbrot import View, kernels, make_view, work
from webgpu_widget.mandelbrot.bla import Scaled
from webgpu_widget.reference import mandelbrot as twin

Run = Any
SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")


def points(view: View) -> NDArray[np.complex128]:
    width, height = view.size
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    re, im = (float(part) for part in view.point)
    step = float(view.spacing)
    return (re + (column + 0.5 - width / 2) * step + 1j * (im + (height / 2 - 0.5 - row) * step)).ravel()


def distances(view: View, prepared: work.Prepared) -> Scaled:
    width, height = view.size
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    re, im = (work.scaled(part, prepared.scale) for part in prepared.offset)
    step = work.scaled(view.spacing, prepared.scale)
    values = re + (column + 0.5 - width / 2) * step + 1j * (im + (height / 2 - 0.5 - row) * step)
    return Scaled.of(values.ravel(), np.int64(prepared.scale))


def kernel(gpu: wg.GPU, view: View, method: str = "auto", **options: Any) -> kernels.Kernel:
    return kernels.make_kernel(gpu._device.queue, view, work.prepare(view, method), **options)


def agree(got: NDArray[np.uint32], iterations: NDArray[np.int64], smooth: NDArray[np.float64], least: float) -> None:
    same = got[0] == iterations
    assert same.mean() >= least, f"{same.mean():.4f} of the counts are equal"
    inside = np.isnan(smooth)
    assert np.array_equal(np.isnan(got[1].view(np.float32))[same], inside[same])
    both = same & ~inside
    off = np.abs(got[1].view(np.float32)[both] - smooth[both])
    assert (off < 0.01).sum() >= (least - 0.02) * len(off), "the continuous counts differ"


@pytest.mark.parametrize("size", [(1, 1), (63, 1), (64, 1), (65, 1), (1, 67), (97, 61)])
def test_direct_at_awkward_sizes(gpu: wg.GPU, run: Run, size: tuple[int, int]) -> None:
    view = make_view("-0.7", 3, size, 300)
    iterations, smooth, _ = twin.direct(points(view), 300)
    agree(run(kernel(gpu, view)), iterations, smooth, 0.99 if size == (97, 61) else 0.98)


@pytest.mark.parametrize(
    "change",
    [
        {"power": 3},
        {"power": 4},
        {"power": 5},
        {"julia": -0.8 + 0.156j},
        {"julia": 0.3, "power": 3},
        {"formula": "burning_ship"},
        {"julia": 2.5},
    ],
)
def test_direct_of_other_maps(gpu: wg.GPU, run: Run, change: dict[str, Any]) -> None:
    view = make_view(0, 3.2, (80, 60), 200, **change)
    constant = None if view.constant is None else complex(*(float(part) for part in view.constant))
    iterations, smooth, _ = twin.direct(
        points(view), 200, power=view.power, julia=constant, ship=view.formula == "burning_ship"
    )
    agree(run(kernel(gpu, view)), iterations, smooth, 0.965)


def test_direct_does_not_depend_on_slices_blocks_or_shortcuts(gpu: wg.GPU, run: Run) -> None:
    view = make_view("-0.6", 3, (64, 48), 1000)
    whole = run(kernel(gpu, view))
    assert np.array_equal(run(kernel(gpu, view), steps=1), whole), "slices of 64 steps"
    made = kernel(gpu, view)
    for constants in ({"INTERIOR": 0}, {"LADDER": 0}):
        pipeline = gpu._device.queue.pipeline(
            shaders.load("mandelbrot/direct"), "variant", None, {"POWER": 2, **constants}
        )
        variant = kernels.Kernel(gpu._device.queue, view, made.prepared, pipeline, [], derivative=False, listed=False)
        assert np.array_equal(run(variant), whole), constants
    # The derivative is taken step by step, so this is the loop without blocks and pairs.
    stepwise = run(kernel(gpu, view, derivative=True))[:2]
    assert np.array_equal(stepwise, whole), "no blocks"


def test_direct_finds_cycles_over_short_dispatches(gpu: wg.GPU, run: Run) -> None:
    """In the disc of period 3 an orbit that is looked at every 64 steps closes after 192 or a multiple, and a dispatch has 64 steps here."""
    view = make_view(-0.1226 + 0.7449j, "0.02", (16, 12), 100_000)
    dispatches: list[float] = []
    counts = run(kernel(gpu, view), steps=1, progress=dispatches.append)[0]
    assert (counts == 100_000).all()
    assert len(dispatches) < 100, "1,563 without a memory of what came before"


@pytest.mark.parametrize("method", ["direct", "bla"])
def test_distance_estimates(gpu: wg.GPU, run: Run, method: str) -> None:
    view = make_view("-0.7", 3, (60, 45), 300)
    _, _, wanted = twin.direct(points(view), 300, dtype=np.float64)
    got = run(kernel(gpu, view, method, derivative=True))[2].view(np.float32) * float(view.spacing)
    known = np.isfinite(got) & np.isfinite(wanted)
    assert known.sum() > 1000
    assert np.median(np.abs(got[known] / wanted[known] - 1)) < 1e-5
    assert np.mean(np.abs(got[known] / wanted[known] - 1) < 0.01) > 0.98


@pytest.mark.parametrize(
    "change",
    [
        {"width": "3", "center": "-0.7"},
        {"width": "1e-12"},
        {"width": "1e-31", "center": ("0", "1")},
        {"width": "1e-45", "center": ("0", "1")},
        {"width": "1e-120", "center": ("-2", "0")},
        {"width": "1e-3", "center": ("0.4", "0.4"), "power": 3},
        {"width": "1e-5", "center": ("-1", "0.3"), "power": 4},
        {"width": "0.5", "center": ("0.2", "0.1"), "julia": ("-0.8", "0.156")},
        {"width": "1e-9", "center": ("0.2", "0.1"), "julia": ("-0.8", "0.156")},
    ],
)
@pytest.mark.parametrize("method", ["perturbation", "bla"])
def test_perturbation_of_many_kinds(gpu: wg.GPU, run: Run, change: dict[str, Any], method: str) -> None:
    view = make_view(**{"center": SEAHORSE, "size": (40, 30), "max_iter": 700, **change})
    prepared = work.prepare(view, method)
    assert prepared.reference is not None
    constant = None if view.constant is None else complex(*(float(part) for part in view.constant))
    iterations, smooth = twin.perturb(
        prepared.reference, distances(view, prepared), 700, power=view.power, julia=constant
    )
    agree(run(kernels.make_kernel(gpu._device.queue, view, prepared)), iterations, smooth, 0.9)
    every = np.arange(40 * 30, dtype=np.uint32)
    agree(run(kernels.make_refiner(gpu._device.queue, view, prepared), every), iterations, smooth, 0.995)


def test_perturbation_does_not_depend_on_slices(gpu: wg.GPU, run: Run) -> None:
    view = make_view(SEAHORSE, "1e-12", (40, 30), 2500)
    for method, derivative in itertools.product(("perturbation", "bla"), (False, True)):
        prepared = work.prepare(view, method)
        made = kernels.make_kernel(gpu._device.queue, view, prepared, derivative=derivative, fallback=True)
        dispatches: list[float] = []
        sliced = run(made, steps=1, progress=dispatches.append)
        assert len(dispatches) > 3
        assert np.array_equal(sliced, run(made)), (method, derivative)
    some = np.arange(0, 1200, 7, dtype=np.uint32)
    refiner = kernels.make_refiner(gpu._device.queue, view, prepared)
    assert np.array_equal(run(refiner, some, steps=1), run(refiner, some))


def test_listed_pixels_are_those_of_the_whole(gpu: wg.GPU, run: Run) -> None:
    for view in (make_view("-0.7", 3, (50, 40), 300), make_view(SEAHORSE, "1e-12", (50, 40), 2000)):
        whole = run(kernel(gpu, view))
        some = np.random.default_rng(1).permutation(2000)[:333].astype(np.uint32)
        assert np.array_equal(run(kernel(gpu, view, listed=True), some), whole[:, some])


def test_a_pixel_that_escapes_with_the_last_step_counts_as_inside(gpu: wg.GPU, run: Run) -> None:
    view = make_view("-0.7", 3, (64, 48), 500)
    counts = run(kernel(gpu, view))[0]
    limit = int(np.median(counts[counts < 500]))
    for method in ("direct", "perturbation"):
        got = run(kernel(gpu, view.replace(max_iter=limit), method))
        assert np.array_equal(got[0] == limit, np.isnan(got[1].view(np.float32)))
