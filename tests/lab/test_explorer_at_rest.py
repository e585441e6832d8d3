"""The explorer's picture at rest has the bits of `render` for the same view and size, refined pixels included."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from explorer_page import ExplorerPage
from gmpy2 import mpq
from lab_harness import Lab
from numpy.typing import NDArray

import webgpu_widget as wg
from webgpu_widget import mandelbrot
from webgpu_widget.mandelbrot.numbers import exact
from webgpu_widget.mandelbrot.render import render_view

PLACES = pathlib.Path(__file__).parents[1] / "mandelbrot" / "places.json"
FILAMENT = "-1.999999999999999999999999999999999999999989378359175111699851221199710398512794408690694742128550323"
TIP_OF_POWER_3 = 0.3406250193166066 + 1.2712298784187062j
SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")


@pytest.fixture(scope="module")
def same_browser(lab: Lab) -> Iterator[wg.GPU]:
    """A GPU for `render` on the adapter that the explorer's page has."""
    made = wg.GPU(transport="page")
    page = lab.browser.new_page()
    page.goto(str(made.url))
    made.ready(timeout=60)
    yield made
    page.close()
    made.close()


def place(name: str) -> dict[str, Any]:
    return next(entry for entry in json.loads(PLACES.read_text()) if entry["name"] == name)


def view_of(opened: ExplorerPage, size: tuple[int, int]) -> mandelbrot.View:
    explorer = opened.explorer
    return mandelbrot.make_view(
        explorer.center, explorer.width, size, explorer.max_iter, explorer.power, explorer.julia
    )


def assert_same_bits(shown: NDArray[np.float32], image: mandelbrot.Image) -> None:
    assert shown.shape == image.smooth.shape
    differ = ~((shown.view(np.uint32) == image.smooth.view(np.uint32)) | (np.isnan(shown) & np.isnan(image.smooth)))
    assert not differ.any(), (int(differ.sum()), np.argwhere(differ)[:5].tolist())


@pytest.mark.parametrize(
    ("size", "traits"),
    [
        ((36, 24), {"center": (FILAMENT, "1.2193045689569901143e-83"), "width": "6.0965228e-83", "max_iter": 2800}),
        ((31, 17), {"center": SEAHORSE, "width": "1e-9", "max_iter": 3000}),
        ((40, 30), {"center": (0, 1), "width": "1e-45", "max_iter": 700}),
        ((33, 21), {"center": (0, 0), "width": "1e-18", "max_iter": 900, "julia": (0, 1)}),
        ((40, 30), {"center": TIP_OF_POWER_3, "width": "1e-12", "max_iter": 900, "power": 3}),
        ((31, 17), {"center": ("-1.745287410983661273901", "1e-44"), "width": "1e-20", "max_iter": 1500}),
        ((40, 30), {"center": -0.75, "width": 3, "max_iter": 400}),
    ],
    ids=["beside a copy", "seahorse", "tip", "julia", "power 3", "beside the axis", "whole"],
)
def test_a_picture_at_rest_has_the_bits_of_render(
    lab: Lab, same_browser: wg.GPU, size: tuple[int, int], traits: dict[str, Any]
) -> None:
    opened = ExplorerPage(lab.browser, size, **traits)
    try:
        shown = opened.smooth()
        image = render_view(view_of(opened, size), same_browser)
        assert_same_bits(shown, image)
        assert opened.settle()["status"]["refined"] == image.stats.refined
        assert image.method == "direct" or image.stats.refined > 0
    finally:
        opened.close()


def test_a_posted_place_at_rest_has_exact_counts(lab: Lab, same_browser: wg.GPU) -> None:
    entry = place("line")
    width = mandelbrot.make_view(tuple(entry["center"]), 4 / exact(entry["zoom"], "zoom")).width
    opened = ExplorerPage(lab.browser, (36, 24), center=tuple(entry["center"]), width=width, max_iter=entry["max_iter"])
    try:
        image = render_view(view_of(opened, (36, 24)), same_browser)
        assert_same_bits(opened.smooth(), image)
        assert np.array_equal(image.iterations, entry["counts"])
    finally:
        opened.close()


def test_moved_pictures_come_to_rest_about_their_own_centre(lab: Lab, same_browser: wg.GPU) -> None:
    """The orbit of the first view serves the others, and draws them at first."""
    size = (30, 20)
    opened = ExplorerPage(lab.browser, size, center=(0, 1), width="1e-13", max_iter=500)
    try:
        opened.smooth()
        for away, width in ((mpq(1, 10**14), "4e-14"), (mpq(3, 10**14), "2e-13"), (mpq(0), "1e-13")):
            opened.tell(center=mandelbrot.make_view((away, 1), width).center, width=width)
            image = render_view(view_of(opened, size), same_browser)
            assert_same_bits(opened.smooth(), image)
            assert image.stats.refined > 0
    finally:
        opened.close()


def test_a_kernel_that_is_late_does_not_hold_the_picture(lab: Lab, same_browser: wg.GPU) -> None:
    size = (30, 20)
    opened = ExplorerPage(lab.browser, size, center=(0, 1), width="1e-13", max_iter=500)
    try:
        opened.smooth()
        opened.answering = False
        opened.tell(width="1.5e-13")
        late = opened.settle(refined=False)
        assert late["status"]["refined"] is None
        assert "refine" in opened.asked
        opened.answer_late()
        assert_same_bits(opened.smooth(), render_view(view_of(opened, size), same_browser))
    finally:
        opened.close()
