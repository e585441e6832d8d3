"""`wg.mandelbrot.render`, the pictures that it makes, and the explorer's Python side."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import pathlib
import time
from typing import Any

import numpy as np
import pytest
import traitlets
from exactly import tip
from numpy.random import Generator
from PIL import Image as Pillow

import webgpu_widget as wg
from webgpu_widget import mandelbrot
from webgpu_widget.mandelbrot import Histogram, ViewError, film, kernels, palette_colors, palettes, work
from webgpu_widget.mandelbrot.bla import BLOCK
from webgpu_widget.mandelbrot.image import edges, jitter
from webgpu_widget.mandelbrot.numbers import exact, log2_abs
from webgpu_widget.mandelbrot.render import render_tile, render_view
from webgpu_widget.mandelbrot.tile import Tile

SEAHORSE = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")


@pytest.fixture(scope="module")
def whole(gpu: wg.GPU) -> mandelbrot.Image:
    return mandelbrot.render(size=(120, 90), max_iter=300, gpu=gpu, samples=4, distance=True)


def test_shapes_dtypes_and_meaning(whole: mandelbrot.Image) -> None:
    assert whole.iterations.shape == whole.smooth.shape == (90, 120)
    assert whole.iterations.dtype == np.uint32
    assert whole.smooth.dtype == np.float32
    inside = whole.iterations == 300
    assert np.array_equal(inside, np.isnan(whole.smooth))
    assert np.array_equal(inside, np.isnan(whole.distance))
    # |z| passes 2**8 three doublings of its logarithm after 2, or a little later.
    late = (whole.smooth - whole.iterations)[~inside]
    assert 1.5 < np.median(late) < 3.5
    area = inside.sum() * (3 / 120) ** 2
    assert area == pytest.approx(1.5066, rel=0.05)
    assert whole.method == "direct"
    assert whole.stats.iterations >= whole.iterations.sum()
    assert whole.stats.iterations_per_second > 0
    assert whole.view.max_iter == 300
    assert "120x90" in repr(whole)


def test_the_picture_is_the_right_way_up(gpu: wg.GPU) -> None:
    image = mandelbrot.render((0.3, 0.6), 1, (40, 40), 200, gpu)
    inside = image.iterations == 200
    assert inside[30:, :].sum() > 3 * inside[:10, :].sum(), "up is the way of the imaginary axis"


def test_extra_samples_smooth_edges_only(gpu: wg.GPU, whole: mandelbrot.Image) -> None:
    plain = mandelbrot.render(size=(120, 90), max_iter=300, gpu=gpu)
    assert plain.extra is None
    assert np.array_equal(plain.iterations, whole.iterations)
    assert whole.extra is not None
    assert whole.extra.smooth.shape == (3, len(whole.extra.pixels))
    changed = np.flatnonzero((plain.rgba() != whole.rgba()).any(-1))
    assert 0.01 < len(changed) / plain.iterations.size < 0.5
    assert np.isin(changed, whole.extra.pixels).all()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 3, "center": -0.7},
        {"width": "1e-20", "center": (0, 1)},
        {"width": "1e-12", "power": 3, "center": tip(3)},
        {"width": "1e-18", "julia": (0, 1), "center": (0, 0)},
    ],
)
def test_a_tile_has_the_bits_of_the_picture(gpu: wg.GPU, rng: Generator, change: dict[str, Any]) -> None:
    view = mandelbrot.make_view(**{"center": SEAHORSE, "size": (61, 43), "max_iter": 900, **change})
    whole = render_view(view, gpu)
    assert whole.method == "direct" or whole.stats.refined > 0
    for _ in range(3):
        left, top = int(rng.integers(60)), int(rng.integers(42))
        tile = Tile(left, top, int(rng.integers(1, 62 - left)), int(rng.integers(1, 44 - top)))
        # Another view near by leaves an orbit that would serve as well.
        work.orbits.get(view.replace(center=view.pixel(3, 5)))
        part = render_tile(view, tile, gpu._device)
        assert np.array_equal(part.iterations, whole.iterations[tile.where]), tile
        assert np.array_equal(part.smooth, whole.smooth[tile.where], equal_nan=True), tile


def test_jitter_fills_the_pixel() -> None:
    places = np.array([jitter(n) for n in range(1, 65)])
    assert np.abs(places).max() <= 0.5
    counts, *_ = np.histogram2d(places[:, 0], places[:, 1], bins=4, range=[[-0.5, 0.5]] * 2)
    assert counts.min() >= 2


def test_edges_are_where_neighbours_differ() -> None:
    smooth = np.array([[1.0, 1.5, 4.0], [1.0, 1.2, np.nan]], np.float32)
    assert edges(smooth).tolist() == [1, 2, 4, 5]
    assert edges(smooth, 3.0).tolist() == [2, 4, 5]


def test_colours(whole: mandelbrot.Image) -> None:
    first = whole.rgba()
    assert first.shape == (90, 120, 4)
    assert first.dtype == np.uint8
    assert (first[..., 3] == 255).all()
    assert (first[45, 60, :3] == 0).all()
    deep_inside = whole.rgba(inside="#ff0000")[45, 60]
    assert deep_inside.tolist() == [255, 0, 0, 255]
    seen = {name: whole.rgba(name).tobytes() for name in palettes()}
    assert len(set(seen.values())) == len(seen) >= 18
    for change in (
        {"scale": "linear"},
        {"scale": "sqrt"},
        {"cycle": 0.5},
        {"offset": 0.3},
        {"histogram": True},
        {"edge": 3},
        {"floor": 5},
    ):
        assert whole.rgba(**change).tobytes() != first.tobytes(), change  # type: ignore[arg-type]
    assert np.array_equal(whole.rgba(offset=1.0), first), "a whole turn"
    assert np.array_equal(whole.rgba(["#000000", "#ffffff"]), whole.rgba(["#000000", "#FFFFFF"]))


@pytest.mark.parametrize("name", ["viridis", "twilight", "magma", "hot"])
def test_palettes_have_the_colours_of_matplotlib(name: str) -> None:
    import matplotlib as mpl

    colors = palette_colors(name)
    wanted = mpl.colormaps[name](np.linspace(0, 1, len(colors)))[:, :3]
    got = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors]) / 255
    assert np.abs(got - wanted).max() < 0.01
    assert palette_colors("Blues")[0].startswith("#"), "others come from matplotlib itself"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"palette": "no such"}, "lagoon"),
        ({"palette": ["#fff"]}, "two colours"),
        ({"scale": "cubic"}, "scale"),
        ({"cycle": 0}, "cycle"),
        ({"cycle": float("nan")}, "cycle"),
        ({"inside": "black"}, "#0b4f6c"),
    ],
)
def test_bad_colours_are_refused(whole: mandelbrot.Image, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ViewError, match=words):
        whole.rgba(**options)


def test_histogram_colours_are_ranks_and_stay_while_the_view_moves(gpu: wg.GPU, whole: mandelbrot.Image) -> None:
    ranks = whole.histogram.rank(whole.smooth)
    known = ranks[np.isfinite(ranks)]
    assert np.abs(np.sort(known) - np.linspace(0, 1, known.size)).max() < 0.25
    near = mandelbrot.render(width=2.9, size=(120, 90), max_iter=300, gpu=gpu)
    kept = near.rgba(histogram=whole.histogram).astype(int)
    own = near.rgba(histogram=True).astype(int)
    assert (kept != own).any()
    half = whole.histogram.blend(near.histogram, 0.5)
    assert np.allclose(half.cumulative, (whole.histogram.cumulative + near.histogram.cumulative) / 2)
    assert np.isnan(Histogram.of(np.array([np.nan], np.float32)).rank(np.array([np.nan], np.float32)))[0]


@pytest.mark.parametrize("ending", ["png", "npz"])
def test_files_keep_the_view(whole: mandelbrot.Image, tmp_path: pathlib.Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"
    whole.save(path, "moss", scale="sqrt")
    saved = mandelbrot.load(path)
    assert saved.view == whole.view
    assert saved.colors == {"palette": "moss", "scale": "sqrt"}
    if ending == "png":
        assert np.array_equal(saved.rgba, whole.rgba("moss", scale="sqrt"))
    else:
        assert saved.image is not None
        assert np.array_equal(saved.image.iterations, whole.iterations)
        assert np.array_equal(saved.image.rgba(), whole.rgba())


def test_files_that_are_not_ours(whole: mandelbrot.Image, tmp_path: pathlib.Path) -> None:
    Pillow.new("RGB", (4, 4)).save(tmp_path / "plain.png")
    (tmp_path / "text.png").write_text("no picture")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name in ("plain.png", "text.png", "other.npz"):
        with pytest.raises(wg.FormatError):
            mandelbrot.load(tmp_path / name)
    with pytest.raises(ViewError, match="jpg"):
        whole.save(tmp_path / "m.jpg")


def test_refining_changes_only_what_differs_from_its_neighbours(gpu: wg.GPU) -> None:
    quick = mandelbrot.render(SEAHORSE, "1e-3", (60, 45), 1000, gpu, method="perturbation", refine=False)
    right = mandelbrot.render(SEAHORSE, "1e-3", (60, 45), 1000, gpu, method="perturbation")
    assert quick.stats.refined == 0
    assert right.stats.refined == len(edges(quick.smooth, 2.0))
    changed = np.flatnonzero(quick.iterations != right.iterations)
    assert len(changed) > 0
    assert np.isin(changed, edges(quick.smooth, 2.0)).all()


def test_the_coroutine_gives_the_same(gpu: wg.GPU) -> None:
    async def two() -> list[mandelbrot.Image]:
        return [
            await mandelbrot.render_async(center, width, (40, 30), 400, gpu)
            for center, width in ((-0.7, 3), (SEAHORSE, "1e-9"))
        ]

    direct, deep = asyncio.run(two())
    assert np.array_equal(direct.iterations, mandelbrot.render(-0.7, 3, (40, 30), 400, gpu).iterations)
    assert deep.method == "bla"


def test_progress_rises_to_one(gpu: wg.GPU, capfd: pytest.CaptureFixture[str]) -> None:
    parts: list[float] = []
    mandelbrot.render(-0.7, 3, (200, 150), 20_000, gpu, progress=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1
    mandelbrot.render(-0.7, 3, (20, 15), 100, gpu, progress=True)
    assert "rendering" in capfd.readouterr().err


def test_an_interrupt_ends_it_between_two_slices_and_frees_the_memory(gpu: wg.GPU) -> None:
    import gc

    gc.collect()
    before = gpu.memory().buffers

    parts: list[float] = []

    def stop(part: float) -> None:
        parts.append(part)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mandelbrot.render(-0.7, 3, (400, 300), 2_000_000, gpu, progress=stop)
    assert len(parts) == 1
    assert parts[0] < 1, "it ended before its end"
    gc.collect()
    gpu.synchronize()
    assert gpu.memory().buffers <= before
    assert mandelbrot.render(-0.7, 3, (8, 6), 50, gpu).iterations.shape == (6, 8)


def test_slices_learn_to_stay_short() -> None:
    slices = work.Slices(1e6, parallel=100)
    slices.learn(0.2, 1000, 1000)
    assert slices.steps < 2e5
    before = slices.steps
    slices.learn(0.001, 1000, 10)
    slices.learn(0.001, 50, 50)
    assert slices.steps == before, "a tail tells nothing of a full picture"
    for _ in range(40):
        slices.learn(0.001, 1000, 900)
    assert slices.steps == work.MOST_STEPS
    assert slices.count == 43
    slices.steps = 1e6
    assert slices.budget(10**9) == 64
    assert slices.budget(1) == slices.budget(100) == 10_000


def test_slices_keep_their_floor_on_a_busy_machine() -> None:
    slices = work.Slices(1e6, parallel=100, target_s=0.2, limit_s=0.6, floor=1e5)
    slices.learn(0.5, 1000, 1000)
    assert slices.steps == 1e6
    for _ in range(10):
        slices.learn(5.0, 1000, 1000)
    assert slices.steps == 1e5
    slices.learn(0.01, 1000, 1000)
    assert slices.steps == pytest.approx(4e5)


def test_few_pixels_left_get_longer_dispatches() -> None:
    slices = work.Slices(1e6, parallel=100, target_s=0.2, limit_s=0.6)
    assert slices.budget(1000) == 992
    # Each of those left has just done 10,000 steps in 50 ms: 200 ms are enough for four times as many, less the margin.
    assert slices.budget(10, 10_000, 0.05) == pytest.approx(0.8 * 40_000, abs=16)
    assert slices.budget(10, 10_000, 0.001) == work.MOST_GROWTH * 10_000
    assert slices.budget(10, 10_000, 5.0) == slices.budget(10) == 10_000
    assert slices.budget(1, 2**30, 0.001) == 2**30, "what a shader takes"


def test_the_time_of_a_result_is_not_that_of_a_dispatch() -> None:
    slices = work.Slices(1e6, parallel=100, target_s=0.2, limit_s=0.6)
    slices.learn(2.0, 1000, 0, moved=True)
    assert slices.steps == 1e6
    assert slices.doubtful
    slices.learn(2.0, 1000, 0)
    assert slices.steps == pytest.approx(1e5)
    assert not slices.doubtful


def test_long_orbits_take_few_dispatches(gpu: wg.GPU) -> None:
    """Half of the pixels are inside. With the steps of a full dispatch shared out among them, thousands would follow each other, each too short for a cycle."""
    image = mandelbrot.render((-0.748, 0.0633), 1.3e-2, (64, 48), 1_000_000, gpu, timeout=120)
    again = mandelbrot.render((-0.748, 0.0633), 1.3e-2, (64, 48), 1_000_000, gpu, timeout=120)
    assert np.array_equal(image.iterations, again.iterations)
    assert image.iterations.max() == 1_000_000
    assert again.stats.slices < 40


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"samples": 0}, "samples"),
        ({"samples": 1.5}, "samples"),
        ({"method": "guess"}, "method"),
        ({"formula": "burning_ship", "width": "1e-9"}, "burning ship"),
        ({"formula": "burning_ship", "method": "bla"}, "burning ship"),
        ({"width": 0}, "not positive"),
        ({"max_iter": 2**31}, "max_iter"),
        ({"reference": "x"}, "reference"),
    ],
)
def test_bad_requests_are_refused(gpu: wg.GPU, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ViewError, match=words):
        mandelbrot.render(**{"center": 0, "width": 3, "size": (8, 8), "gpu": gpu, **options})


def test_automatic_iterations_grow_with_the_depth() -> None:
    counts = [mandelbrot.automatic_iterations(log2_width) for log2_width in (1.5, -10, -100, -1000, -3500)]
    assert counts == sorted(counts)
    assert 200 < counts[0] < 400
    assert counts[-1] > 200_000


def test_films(gpu: wg.GPU, tmp_path: pathlib.Path) -> None:
    view = mandelbrot.make_view(-0.7453 + 0.1127j, "0.02", (48, 36), 300)
    texts = film.widths(3, "0.02", 5)
    ratios = [float(b) / float(a) for a, b in itertools.pairwise(texts)]
    assert texts[0] == "3"
    assert texts[-1] == "0.02"
    assert np.allclose(ratios, ratios[0])
    middle = exact(film.widths("1e-900", "1e-1000", 3)[1], "width")
    assert abs(log2_abs(middle) / np.log2(10) + 950) < 1e-9
    parts: list[float] = []
    path = film.animate(
        view,
        tmp_path / "zoom.gif",
        gpu,
        seconds=0.5,
        frames_per_second=10,
        colors={"histogram": True},
        progress=parts.append,
    )
    with Pillow.open(path) as picture:
        assert picture.n_frames == 5  # type: ignore[attr-defined]
        assert picture.size == (48, 36)
    assert parts == [0.2, 0.4, 0.6, 0.8, 1.0]
    with pytest.raises(ViewError, match="avi"):
        film.animate(view, tmp_path / "zoom.avi", gpu)
    with pytest.raises(ViewError, match="seconds"):
        film.animate(view, tmp_path / "zoom.gif", gpu, seconds=0)


@pytest.mark.ffmpeg
def test_films_as_mp4(gpu: wg.GPU, tmp_path: pathlib.Path) -> None:
    view = mandelbrot.make_view(-0.7453 + 0.1127j, "0.02", (49, 37), 300)
    movie = film.animate(view, tmp_path / "zoom.mp4", gpu, seconds=0.3, frames_per_second=10, progress=False)
    assert b"ftyp" in movie.read_bytes()[:64]


# ---------------------------------------------------------------- the explorer, without a page


class Sent:
    """Keeps what an explorer sends."""

    def __init__(self, explorer: wg.MandelbrotExplorer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.explorer = explorer
        self.messages: list[tuple[dict[str, Any], list[Any]]] = []
        monkeypatch.setattr(
            explorer, "send", lambda content, buffers=None: self.messages.append((content, list(buffers or [])))
        )

    def ask(self, **content: Any) -> tuple[dict[str, Any], list[Any]]:
        before = len(self.messages)
        usual = {"exact": False} if content["kind"] == "prepare" else {}
        self.explorer._on_message(self.explorer, {**usual, **content}, [])
        end = time.monotonic() + 60
        while len(self.messages) == before:
            assert time.monotonic() < end, "no answer"
            time.sleep(0.005)
        return self.messages[-1]


@pytest.fixture
def sent(gpu: wg.GPU, monkeypatch: pytest.MonkeyPatch) -> Any:
    work.orbits.clear()  # What other tests have left may be longer, and would serve.
    explorer = wg.MandelbrotExplorer(gpu=gpu)
    yield Sent(explorer, monkeypatch)
    explorer.close()


def request(**change: Any) -> dict[str, Any]:
    return {
        "center": list(SEAHORSE),
        "width": "1e-20",
        "size": [40, 30],
        "max_iter": 500,
        "power": 2,
        "julia": None,
        **change,
    }


def test_traits_take_numbers_of_any_kind_and_keep_text() -> None:
    explorer = wg.MandelbrotExplorer(center=0.25 - 0.5j, width=1e-3, max_iter=77, palette="ember")
    assert explorer.center == ["0.25", "-0.5"]
    assert explorer.width == "0.001"
    assert (explorer.max_iter, explorer.auto_iterations) == (77, False)
    assert explorer.get_state()["_colors"] == palette_colors("ember"), "the page paints before it asks"
    explorer.palette = ["#000000", "#00ff00"]
    assert explorer.get_state()["_colors"] == ["#000000", "#00ff00"]
    deep = "-0.7" + "4" * 1200
    explorer.center, explorer.width = (deep, "1e-1100"), "3e-1150"
    assert explorer.center == [deep, "1e-1100"]
    assert explorer.view.center[0] == deep
    seen: list[Any] = []
    explorer.observe(lambda change: seen.append(change["new"]), "width")
    explorer.width = 2
    assert seen == ["2"]
    explorer.goto("Triple spiral")
    assert explorer.center == ["-0.088", "0.654"]
    explorer.goto("#v=1&re=0.3&im=0.1&w=1e-5&n=100")
    assert explorer.width == "1e-5"
    assert mandelbrot.View.from_link(explorer.link).width == "1e-5"
    julia = wg.MandelbrotExplorer(julia=-0.8 + 0.25j, power=3)
    assert julia.center == ["0", "0"]
    assert julia.view.julia == julia.julia or list(julia.view.julia) == julia.julia


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("center", "here"),
        ("center", float("nan")),
        ("width", 0),
        ("width", "-1"),
        ("width", "1e-99999"),
        ("palette", "none such"),
        ("max_iter", 2**31),
        ("power", 7),
    ],
)
def test_bad_traits_are_refused_and_leave_the_old_value(name: str, value: object) -> None:
    explorer = wg.MandelbrotExplorer()
    before = getattr(explorer, name)
    with pytest.raises(traitlets.TraitError):
        setattr(explorer, name, value)
    assert getattr(explorer, name) == before


def test_an_explorer_that_is_refused_goes_without_a_word() -> None:
    with pytest.raises(traitlets.TraitError, match="not a finite decimal number"):
        wg.MandelbrotExplorer(width="nan")
    gc.collect()  # An exception in __del__ would be a warning, and so an error.


def test_coroutine_twins_of_the_explorer(gpu: wg.GPU, tmp_path: pathlib.Path) -> None:
    explorer = wg.MandelbrotExplorer(center=-0.75, width=3, max_iter=60, gpu=gpu)

    async def all_of_them() -> tuple[Any, Any, pathlib.Path]:
        film = explorer.animate_async(
            tmp_path / "zoom.gif", seconds=0.2, frames_per_second=10, size=(24, 16), progress=False
        )
        return await explorer.render_async((48, 32)), await explorer.image_async((48, 32)), await film

    image, pixels, path = asyncio.run(all_of_them())
    assert np.array_equal(image.iterations, explorer.render((48, 32)).iterations)
    assert np.array_equal(pixels, explorer.image((48, 32)))
    assert path.read_bytes()[:3] == b"GIF"


def test_hello_brings_shaders_palettes_and_landmarks(sent: Sent) -> None:
    answer, _ = sent.ask(id="1", kind="hello")
    assert answer["id"] == "1"
    assert "@compute" in answer["shaders"]["direct"]
    assert "lagoon" in answer["palettes"]
    assert [mark["name"] for mark in answer["landmarks"]] == list(mandelbrot.landmarks())
    assert answer["remote"] is True, "a headless GPU is not the page's"
    json.dumps(answer)


def test_a_reference_is_sent_once(sent: Sent) -> None:
    answer, buffers = sent.ask(id="1", kind="prepare", view=request(), have="")
    plan = answer["plan"]
    assert plan["method"] == "bla"
    assert len(buffers) == 3
    assert len(plan["offsets"]) == 32
    serves = answer["serves"]
    assert [exact(text, "point") for text in serves["point"]] == [exact(text, "center") for text in SEAHORSE]
    assert serves["length"] == 500 + 125 + 500, "steps to spare"
    assert serves["reach"] > np.log2(1e-20 / 2)
    assert serves["finest"] < np.log2(1e-20 / 40) - 31, "room to zoom in by 2**32"
    again, nothing = sent.ask(id="2", kind="prepare", view=request(), have=plan["key"])
    assert again["plan"]["key"] == plan["key"]
    assert nothing == []


def test_zooming_out_sends_limits_and_radii_only_and_they_are_those_of_a_new_table(sent: Sent) -> None:
    at = {"max_iter": 3000, "width": "1e-20"}
    answer, (packed, table, orbit) = sent.ask(id="1", kind="prepare", view=request(**at), have="")
    merges = [key for key in work._kept if key[0] == "levels"]
    wider, (limits, radii) = sent.ask(
        id="2", kind="prepare", view=request(**at | {"width": "3e-15"}), have=answer["plan"]["key"]
    )
    assert [key for key in work._kept if key[0] == "levels"] == merges, "no step is merged again"
    whole, (packed_2, table_2, orbit_2) = sent.ask(
        id="3", kind="prepare", view=request(**at | {"width": "3e-15"}), have=""
    )
    assert whole["plan"] == wider["plan"]
    rows, entries = np.array(packed), np.array(table)
    rows[1::BLOCK, 2:], entries[:, 3] = limits, radii
    assert np.array_equal(rows, packed_2)
    assert np.array_equal(entries, table_2)
    assert np.array_equal(orbit, orbit_2)
    assert not np.array_equal(packed, packed_2)
    assert not np.array_equal(table, table_2)


def test_a_picture_at_rest_gets_an_orbit_of_its_own_and_what_refines_it(sent: Sent) -> None:
    sent.ask(id="1", kind="prepare", view=request(), have="")
    aside = request(center=[SEAHORSE[0] + "00000001", SEAHORSE[1]])
    moving, _ = sent.ask(id="2", kind="prepare", view=aside, have="")
    assert [exact(text, "point") for text in moving["serves"]["point"]] == [exact(text, "center") for text in SEAHORSE]
    resting, _ = sent.ask(id="3", kind="prepare", view=aside, have="", exact=True)
    assert [exact(text, "point") for text in resting["serves"]["point"]] == [
        exact(text, "center") for text in aside["center"]
    ]
    assert resting["plan"]["center"] == (0, 0)
    answer, (pixels, smooth, reference, table) = sent.ask(id="4", kind="refine", view=aside, have="")
    assert len(pixels) == len(smooth) == 0
    view = mandelbrot.make_view(**aside)
    prepared = work.prepare(view)
    wanted = kernels.fine_table(view, prepared)
    assert wanted is not None
    rows, entries = kernels.fine_parts(prepared, wanted)
    assert np.array_equal(np.array(reference)[: len(rows)], rows)
    assert np.array_equal(np.array(table), entries)
    assert answer["fine"]["offsets"][: len(wanted.offsets)] == wanted.offsets
    assert (answer["fine"]["levels"], answer["fine"]["highest"]) == (wanted.levels, wanted.highest)
    again, nothing = sent.ask(id="5", kind="refine", view=aside, have=answer["fine"]["key"])
    assert again["fine"] == answer["fine"]
    assert [len(part) for part in nothing] == [0, 0]


def test_the_kernel_counts_for_the_page_what_56_bits_do_not_tell_from_an_axis(sent: Sent) -> None:
    asked = request(center=["-1.745287410983661273901", "1e-44"], width="1e-20", size=[9, 5])
    _, (pixels, smooth, *_) = sent.ask(id="1", kind="refine", view=asked, have="")
    view = mandelbrot.make_view(**asked)
    made = mandelbrot.render_view(view)
    assert np.frombuffer(pixels, np.uint32).tolist() == list(range(18, 27))
    assert np.array_equal(np.frombuffer(smooth, np.float32), made.smooth[2], equal_nan=True)


def test_the_kernel_draws(sent: Sent) -> None:
    answer, (iterations, smooth) = sent.ask(
        id="1", kind="draw", view=request(width="3", center=["-0.7", "0"]), coarse=1
    )
    assert (answer["method"], answer["refined"]) == ("direct", 0)
    assert "by the kernel" in answer["text"]
    assert np.frombuffer(iterations, np.uint32).size == 1200
    assert np.frombuffer(smooth, np.float32).size == 1200


def test_errors_and_cancelling(sent: Sent) -> None:
    answer, _ = sent.ask(id="1", kind="prepare", view=request(width="0"), have="")
    assert answer["kind"] == "error"
    assert "not positive" in answer["message"]
    count = len(sent.messages)
    sent.explorer._on_message(
        sent.explorer,
        {"id": "2", "kind": "draw", "view": request(size=[400, 300], max_iter=2_000_000, width="3"), "coarse": 1},
        [],
    )
    sent.explorer._on_message(sent.explorer, {"id": "2", "kind": "cancel"}, [])
    answer, _ = sent.ask(id="3", kind="prepare", view=request(), have="")
    assert answer["id"] == "3"
    assert len(sent.messages) == count + 1, "what was cancelled says nothing"
    sent.explorer._on_message(sent.explorer, "nonsense", [])
    sent.explorer._on_message(sent.explorer, {"kind": "hello"}, [])
    assert len(sent.messages) == count + 1


def test_images_of_the_explorer(sent: Sent) -> None:
    sent.explorer.palette = "ember"
    pixels = sent.explorer.image((40, 30))
    assert pixels.shape == (30, 40, 4)
    assert np.array_equal(pixels, sent.explorer.render((40, 30)).rgba("ember"))
