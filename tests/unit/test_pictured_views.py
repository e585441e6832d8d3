"""What views leave in a notebook's file, and the bars and tables, without a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import ipywidgets
import numpy as np
import pytest
import traitlets
from PIL import Image

import webgpu_widget as wg
from webgpu_widget.link.hosts.base import Host
from webgpu_widget.mandelbrot.film import write
from webgpu_widget.mandelbrot.render import render
from webgpu_widget.mandelbrot.sketch import sketch
from webgpu_widget.mandelbrot.view import make_view
from webgpu_widget.shown import panel, pictures, widget
from webgpu_widget.shown.widget import PicturedWidget

VIEW = "application/vnd.jupyter.widget-view+json"
DEEP = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")


class Counter(PicturedWidget):
    """A view whose picture says a number."""

    number = traitlets.Int(0)

    def __repr__(self) -> str:
        return f"Counter({self.number})"

    def _draw_picture(self) -> Image.Image:
        return pictures.card("counter", str(self.number), "good")


class Shown:
    def __init__(self, data: dict[str, Any]) -> None:
        self.bundles = [data]

    def update(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.bundles.append(data)


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """What is displayed in a host that has a page."""
    made: list[Shown] = []

    def display(_host: Host, data: dict[str, Any], _metadata: dict[str, Any]) -> Shown:
        made.append(Shown(data))
        return made[-1]

    monkeypatch.setattr(Host, "has_page", True)
    monkeypatch.setattr(Host, "refusal", "")
    monkeypatch.setattr(Host, "display", display)
    return made


@pytest.fixture
def bars(outputs: list[Shown], monkeypatch: pytest.MonkeyPatch) -> list[panel.Bar]:
    """Those that are displayed."""
    made: list[panel.Bar] = []

    def keep(bar: panel.Bar) -> None:
        made.append(bar)

    monkeypatch.setattr(panel.Bar, "_ipython_display_", keep)
    return made


def picture_of(bundle: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))


def lines_of(outputs: list[Shown]) -> list[str]:
    return [bundle["text/plain"] for bundle in outputs[0].bundles]


def test_a_bundle_has_the_view_a_picture_with_its_name_and_a_line() -> None:
    made = Counter()
    data, metadata = made._repr_mimebundle_()
    assert set(data) == {VIEW, "image/png", "text/plain"}
    shown = picture_of(data)
    assert shown.text == {"webgpu_widget.view": made._picture_id}  # type: ignore[attr-defined]
    assert shown.width == 2 * metadata["image/png"]["width"], "sharp on fine screens"
    assert data["text/plain"] == "Counter(0)"


def test_where_no_page_looks_ipython_shows_text() -> None:
    with pytest.raises(NotImplementedError):
        Counter()._ipython_display_()


def test_what_nobody_will_see_live_has_no_model_in_the_file(
    outputs: list[Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Host, "is_watched", False)
    made = Counter()
    made._ipython_display_()
    assert made.comm is None
    assert set(outputs[0].bundles[0]) == {"image/png", "text/plain"}
    made.number = 3
    made._picture_changed()
    made.close()
    assert lines_of(outputs)[-1] == "Counter(3)"


def test_what_nobody_will_see_live_is_put_into_a_box_and_linked_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "is_watched", False)
    made, other = Counter(), ipywidgets.IntSlider()
    box = ipywidgets.HBox([made, other])
    assert made.comm is not None
    assert box.get_state()["children"][0] == f"IPY_MODEL_{made.model_id}"
    ipywidgets.jslink((other, "value"), (made, "_page")).close()
    made.close()


def test_an_output_with_a_view_is_left_alone_until_a_page_says_that_it_is_there(outputs: list[Shown]) -> None:
    made = Counter()
    made._ipython_display_()
    made.number = 1
    made._picture_changed()
    assert lines_of(outputs) == ["Counter(0)"]
    made._page = "JupyterLab 1"
    assert made._heard == "JupyterLab 1"
    assert [VIEW in bundle for bundle in outputs[0].bundles] == [True, False]
    assert lines_of(outputs) == ["Counter(0)", "Counter(1)"]


def test_pictures_follow_at_most_every_two_seconds_and_the_last_one_comes(
    outputs: list[Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget, "_EVERY_S", 0.2)
    made = Counter()
    made._ipython_display_()
    made._page = "JupyterLab 1"
    sent = len(outputs[0].bundles)
    for number in range(1, 50):
        made.number = number
        made._picture_changed()
    assert len(outputs[0].bundles) == sent, "they come together, later"
    later = made._later
    assert later is not None
    later.join(10)
    assert lines_of(outputs)[sent:] == ["Counter(49)"]


def test_what_has_not_changed_is_not_sent_again(outputs: list[Shown]) -> None:
    made = Counter()
    made._ipython_display_()
    made._page = "JupyterLab 1"
    before = len(outputs[0].bundles)
    made._refresh()
    assert len(outputs[0].bundles) == before


def test_a_closed_view_leaves_its_picture_and_can_still_be_shown(outputs: list[Shown]) -> None:
    made = Counter()
    made._ipython_display_()
    made.number = 7
    made.close()
    made.close()
    assert set(outputs[0].bundles[-1]) == {"image/png", "text/plain"}
    assert lines_of(outputs)[-1] == "Counter(7)"
    data, _ = made._repr_mimebundle_()
    assert set(data) == {"image/png", "text/plain"}


def test_a_picture_that_cannot_be_drawn_leaves_a_card_where_the_live_view_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Counter, "_draw_picture", lambda _self: 1 / 0)
    made = Counter()
    data, _ = made._repr_mimebundle_()
    assert set(data) == {VIEW, "image/png", "text/plain"}
    assert made._picture_id.encode() in base64.b64decode(data["image/png"])[:160]


def test_cards_take_long_and_foreign_text() -> None:
    facts = [("name " * 40, "\N{GREEK SMALL LETTER MU}\U0001f600 " * 60), ("", "")]
    drawn = pictures.card(
        "title " * 60, "state", "bad", facts, "word " * 900 + "\n\n" + "x" * 5000, part=7.0, footer="f" * 900
    )
    assert drawn.width == 1280
    assert drawn.height < 1000, "a message of thousands of words is cut"
    rows = [[str(i), "adapter " * 30, "ready", "1"] for i in range(300)]
    assert pictures.table("t", "s", ["a", "b", "c", "d"], rows, "").height < 1200


def test_a_bar_says_how_far_it_is_and_reads_right_when_done(outputs: list[Shown]) -> None:
    with panel.meter(True, "tiles") as tell:
        tell(0.5)
    said = lines_of(outputs)
    assert said[0] == "tiles"
    bar = outputs[0]
    assert VIEW in bar.bundles[0]
    with pytest.raises(ZeroDivisionError), panel.meter(True, "blocks") as tell:
        tell(0.25)
        1 / 0  # noqa: B018


@pytest.mark.parametrize(("error", "state", "said"), [(None, "done", "done in "), (ValueError, "failed", "ValueError at 25%"), (KeyboardInterrupt, "stopped", "stopped at 25%")])  # fmt: skip
def test_the_end_of_a_bar(bars: list[panel.Bar], error: type[BaseException] | None, state: str, said: str) -> None:
    try:
        with panel.meter(True, "work") as tell:
            tell(0.25)
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    (bar,) = bars
    assert bar.state == state
    assert bar.text.startswith(said)
    assert bar.fraction == (1.0 if error is None else 0.25)


class Film:
    """Takes frames, and keeps them."""

    def __init__(self) -> None:
        self.frames: list[np.ndarray[Any, Any]] = []
        self.ended = False

    def add(self, rgb: np.ndarray[Any, Any]) -> None:
        self.frames.append(rgb)

    def close(self) -> None:
        self.ended = True


@pytest.mark.parametrize(("count", "kept"), [(1, [0]), (3, [0, 1, 2]), (30, [0, 7, 15, 22, 29])])
def test_a_film_leaves_some_of_its_frames(bars: list[panel.Bar], count: int, kept: list[int]) -> None:
    frames = [np.full((90, 160, 3), (8 * n, 255 - 8 * n, 128), np.uint8) for n in range(count)]
    film = Film()
    write(film, iter(frames), count, f"film zoom.gif, {count} frames of 160 x 90", True)
    assert film.ended
    assert len(film.frames) == count
    (bar,) = bars
    assert bar.state == "done"
    data, metadata = bar._repr_mimebundle_()
    assert data["text/plain"].startswith(f"film zoom.gif, {count} frames of 160 x 90: done in ")
    saved = picture_of(data)
    assert metadata["image/png"]["width"] == 640
    assert saved.width == 1280
    assert len(base64.b64decode(data["image/png"])) < 100_000
    live = np.asarray(Image.open(io.BytesIO(bar.strip)))
    strip = np.asarray(saved.convert("RGB"))[-28 - 90 : -28, 28:]
    for picture in (live, strip):
        for place, number in enumerate(kept):
            at = picture[45, 80 + 164 * place, :3]
            assert np.abs(at.astype(int) - frames[number][0, 0]).max() <= 4, (place, number)


def test_what_is_told_of_a_films_progress_is_what_is_done(outputs: list[Shown]) -> None:
    parts: list[float] = []
    write(Film(), iter([np.zeros((4, 4, 3), np.uint8)] * 4), 4, "film", parts.append)
    write(Film(), iter([np.zeros((4, 4, 3), np.uint8)] * 4), 4, "film", False)
    assert parts == [0.25, 0.5, 0.75, 1.0]
    assert outputs == []


@pytest.mark.parametrize(
    "place",
    [
        {"center": ("-0.75", "0"), "width": "3.5"},
        {"center": ("-0.7436", "0.1318"), "width": "0.05"},
        {"center": ("0", "0"), "width": "3.2", "julia": ("-0.8", "0.156")},
        {"center": ("0.1", "0"), "width": "3", "power": 3},
    ],
)
def test_a_sketch_has_the_counts_of_render(place: dict[str, Any]) -> None:
    asked = {"power": 2, "julia": None, **place}
    view = make_view(asked["center"], asked["width"], (200, 120), 400, asked["power"], asked["julia"])
    drawn = sketch(view)
    assert drawn is not None
    wanted = render(**asked, size=(200, 120), max_iter=400, refine=False)
    # float64 beside float32: they part where an orbit runs along the boundary, and a count that is off by one is so nearly everywhere.
    same = drawn.iterations == wanted.iterations
    assert same.mean() > 0.9
    both = same & np.isfinite(drawn.smooth) & np.isfinite(wanted.smooth)
    assert np.median(np.abs(drawn.smooth - wanted.smooth)[both]) < 1e-3


def test_what_is_too_deep_for_a_sketch_is_said() -> None:
    assert sketch(make_view(DEEP, "1e-20", (200, 120), 400)) is None
    explorer = wg.MandelbrotExplorer(center=DEEP, width="1e-20")
    data, _ = explorer._repr_mimebundle_()
    assert picture_of(data).width == 1280, "a card"
    assert len(data["text/plain"]) < 160
    assert "\n" not in data["text/plain"]


@pytest.mark.parametrize("png", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, b"x" * (2**22 + 1)])
def test_what_a_page_sends_in_place_of_a_picture_is_not_kept(png: bytes) -> None:
    explorer = wg.MandelbrotExplorer()
    explorer._keep(png)
    assert explorer._shown is None
