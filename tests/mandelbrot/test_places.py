"""Places that others have posted, against exact iteration of all their pixels (places.json, made by make_golden.py), and small inputs of the kind that they found wrong."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from exactly import copy_by_a_tip, escapes, tip_exactly
from gmpy2 import mpq
from make_golden import PLACES, place_view

import webgpu_widget as wg
from webgpu_widget import mandelbrot
from webgpu_widget.mandelbrot import View, kernels, make_view, work
from webgpu_widget.mandelbrot.bla import Scaled
from webgpu_widget.reference import mandelbrot as twin

Run = Any
ENTRIES = {entry["name"]: entry for entry in json.loads(pathlib.Path(PLACES).read_text())}
STEPS = 4e6
"""Steps of all pixels together that are done again with 56-bit numbers in a test: a processor does a million in some seconds."""
FILAMENT = "-1.999999999999999999999999999999999999999989378359175111699851221199710398512794408690694742128550323"


def mostly_long(values: Iterable[Any], *always: Any) -> list[Any]:
    """Return values of a parameter, of which all but some are left to `make test-more`: one of a kind finds most faults of it."""
    return [value if value in always else pytest.param(value, marks=pytest.mark.long) for value in values]


def test_the_places_are_deep_and_many() -> None:
    assert len(ENTRIES) >= 12
    assert {"glitch_test_3", "glitch_test_5", "flake", "mitosis2", "tick_tock", "windmill"} <= ENTRIES.keys()
    assert sum(float(entry["zoom"].lower().partition("e")[2]) > 80 for entry in ENTRIES.values()) >= 12


@pytest.mark.parametrize("method", ["perturbation", "bla"])
@pytest.mark.parametrize("name", mostly_long(ENTRIES, "tick_tock", "glitch_test_3", "windmill"))
def test_counts_of_a_place(gpu: wg.GPU, run: Run, name: str, method: str) -> None:
    entry = ENTRIES[name]
    view = place_view(entry)
    wanted = np.array(entry["counts"]).ravel()
    if method == "perturbation" and wanted.sum(dtype=np.int64) > 2e7:
        # Without a table each step is a step: a few pixels will do.
        pixels = np.random.default_rng(5).permutation(wanted.size)[: int(2e7 * wanted.size / wanted.sum())]
    else:
        pixels = np.arange(wanted.size)
    prepared = work.prepare(view, method)
    listed = kernels.make_kernel(gpu._device.queue, view, prepared, listed=True, fallback=gpu.info.is_fallback)
    quick = run(listed, pixels.astype(np.uint32))[0]
    # f32 is wrong only where a count hangs on more than it holds: next to pixels that differ much, which these places are full of.
    assert np.mean(quick == wanted[pixels]) > 0.5, np.mean(quick == wanted[pixels])
    assert np.median(np.abs(quick.astype(np.int64) - wanted[pixels])) == 0
    few = np.random.default_rng(7).permutation(wanted.size)[: max(8, int(STEPS * wanted.size / wanted.sum()))]
    right = run(kernels.make_refiner(gpu._device.queue, view, prepared), few.astype(np.uint32))[0]
    assert np.mean(right == wanted[few]) >= 0.98, np.mean(right == wanted[few])


def test_a_whole_picture_of_a_place(gpu: wg.GPU) -> None:
    entry = ENTRIES["floral_fantasy"]
    view = place_view(entry)
    for method in ("bla", "perturbation"):
        made = mandelbrot.render(view.center, view.width, view.size, view.max_iter, gpu, method=method)
        assert np.mean(made.iterations == np.array(entry["counts"])) >= 0.99


def test_a_zoom_beside_a_copy_is_not_black(gpu: wg.GPU) -> None:
    made = mandelbrot.render((FILAMENT, "1.2193045689569901143e-83"), "6.0965228e-83", (24, 16), 2800, gpu)
    assert [int(made.iterations[at]) for at in ((2, 4), (14, 15), (0, 15))] == [911, 746, 632]
    assert np.mean(made.iterations == 2800) < 0.4


def compare(gpu: wg.GPU, run: Run, view: View, method: str) -> None:
    """All pixels by perturb.wgsl, with its derivative too, by refine.wgsl and by the twin against exact iteration."""
    wanted, distance = escapes(view)
    every = np.arange(wanted.size, dtype=np.uint32)
    prepared = work.prepare(view, method)
    assert prepared.reference is not None
    refined = run(kernels.make_refiner(gpu._device.queue, view, prepared), every)[0]
    assert np.mean(refined == wanted) >= 0.98, ("refined", refined, wanted)
    # f32 may take a neighbour's count where those differ much; a count that no neighbour has, it may not. Where x^2 - y^2 is 0 exactly, as on the
    # diagonals of a set about 0, an adapter that contracts it rounds to either side.
    quick = run(kernels.make_kernel(gpu._device.queue, view, prepared))
    known = run(kernels.make_kernel(gpu._device.queue, view, prepared, derivative=True))
    for counts in (quick[0], known[0]):
        assert np.mean(np.abs(counts.astype(np.int64) - wanted) <= 1) >= 0.85, (counts, wanted)
    told = distance < 1e30  # pixels, which f32 can tell; not NaN
    both = (known[0] == wanted) & told
    assert both.sum() >= 0.5 * told.sum()
    off = np.append(np.abs(known[2].view(np.float32)[both] / distance[both] - 1), 0.0)
    # f32 moves a point by some 1e-4 of a pixel after hundreds of steps, and some are no farther from the set than a hundred times that.
    assert np.median(off) < 0.02, np.median(off)
    columns, rows = view.size
    column, row = np.meshgrid(np.arange(columns), np.arange(rows))
    re, im = (work.scaled(part, prepared.scale) for part in prepared.offset)
    step = work.scaled(view.spacing, prepared.scale)
    dc = Scaled.of(
        (re + (column + 0.5 - columns / 2) * step + 1j * (im + (rows / 2 - 0.5 - row) * step)).ravel(), prepared.scale
    )
    constant = None if view.constant is None else complex(*(float(part) for part in view.constant))
    counts, _ = twin.perturb(prepared.reference, dc, view.max_iter, power=view.power, julia=constant)
    assert np.mean(counts == wanted) >= 0.95


@pytest.mark.parametrize("method", ["perturbation", "bla"])
@pytest.mark.parametrize("period", mostly_long([72, 130], 72))
@pytest.mark.parametrize("power", mostly_long([2, 3, 4, 5], 2, 5))
def test_a_copy_of_any_power_on_and_off_its_nucleus(
    gpu: wg.GPU, run: Run, power: int, period: int, method: str
) -> None:
    center, size = copy_by_a_tip(power, period)
    for away in (mpq(0), mpq(2, 5)):
        # 9 x 7: the middle pixel is the reference itself.
        place = center[0] + away * size, center[1] + away * size / 3
        compare(gpu, run, make_view(place, 6 * size, (9, 7), 12 * period, power), method)


@pytest.mark.parametrize("method", ["perturbation", "bla"])
@pytest.mark.parametrize("power", mostly_long([2, 3, 4, 5], 2, 5))
def test_a_julia_set_around_and_beside_its_critical_point(gpu: wg.GPU, run: Run, power: int, method: str) -> None:
    for center, width in (((0, 0), "1e-60"), (("1e-63", "-3e-64"), "1e-62"), (("2e-90", "1e-90"), "1e-110")):
        compare(gpu, run, make_view(center, width, (9, 7), 1500, power, tip_exactly(power, 900)), method)


@pytest.mark.long
def test_a_julia_set_whose_reference_begins_below_doubles(gpu: wg.GPU, run: Run) -> None:
    compare(gpu, run, make_view(("3e-400", "1e-400"), "1e-410", (9, 7), 6000, 2, copy_by_a_tip(2, 700)[0]), "bla")


@pytest.mark.parametrize(
    ("center", "width"),
    [("-2.000000000000000000000000000001", "1e-32"), ("-2.000000000000000000000000000001", "5e-30")],
)
def test_a_reference_that_leaves_by_a_hair(gpu: wg.GPU, run: Run, center: str, width: str) -> None:
    """Of the points about it some leave as early, and some very much later."""
    compare_counts(gpu, run, make_view((center, 0), width, (9, 7), 400))


def test_a_view_wider_than_a_copy_but_not_than_the_way_to_its_tip(gpu: wg.GPU, run: Run) -> None:
    """A step from about 0 comes to -2 and beyond by less than 56 bits tell."""
    center, size = copy_by_a_tip(2, 72)
    for away in (mpq(10) ** 9, mpq(10) ** 20, mpq(10) ** 21):
        compare_counts(gpu, run, make_view((center[0], center[1] + away * size), away * size, (8, 7), 900))


def compare_counts(gpu: wg.GPU, run: Run, view: View) -> None:
    """What `render` gives, by both methods, against exact iteration."""
    wanted = escapes(view)[0].reshape(view.size[1], view.size[0])
    for method in ("perturbation", "bla"):
        made = mandelbrot.render(view.center, view.width, view.size, view.max_iter, gpu, method=method)
        assert np.mean(made.iterations == wanted) >= 0.98, (made.iterations, wanted)


def test_escapes_beside_the_tip_that_only_a_square_shows(gpu: wg.GPU, run: Run) -> None:
    """At -2 + iy with a tiny y the first point is outside by y**2 / 4, and the second one, which goes back to 2, by little more."""
    view = make_view((-2, 0), "1e-50", (9, 7), 500)
    wanted = escapes(view)[0].reshape(7, 9)
    assert wanted[0, 4] == 1
    prepared = work.prepare(view)
    for made in (
        run(kernels.make_kernel(gpu._device.queue, view, prepared)),
        run(kernels.make_refiner(gpu._device.queue, view, prepared), np.arange(63, dtype=np.uint32)),
    ):
        assert np.array_equal(made[0].reshape(7, 9), wanted)


def test_a_pixel_on_a_reference_that_escapes_goes_the_whole_way(gpu: wg.GPU, run: Run) -> None:
    """A delta of 0 is under every radius, also of a table's entry that must not be taken: one that ends behind the orbit."""
    random = np.random.default_rng(seed := int(np.random.default_rng().integers(2**32)))
    print("seed", seed)
    for _ in range(6):
        c = complex(*np.array([-0.7436, 0.1318]) + random.uniform(-2e-3, 2e-3, 2))
        view = make_view(c, 1e-9, (3, 3), 20_000)
        wanted = escapes(view)[0]
        prepared = work.prepare(view, "bla")
        for made in (
            run(kernels.make_kernel(gpu._device.queue, view, prepared)),
            run(kernels.make_refiner(gpu._device.queue, view, prepared), np.arange(9, dtype=np.uint32)),
        ):
            assert made[0][4] == wanted[4], c
