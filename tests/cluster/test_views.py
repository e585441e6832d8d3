"""What is shown while browsers compute: the picture as its tiles arrive, progress, the table."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

import webgpu_widget as wg
from webgpu_widget.cluster import mandelbrot, views
from webgpu_widget.link.hosts.base import Host

EMPTY = (90, 90, 90, 60)
VIEW = {"center": (-0.75, 0.1), "width": 2.5, "size": (160, 96), "max_iter": 200}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_the_live_picture_fills_up(cluster: wg.Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    frames: list[np.ndarray] = []

    def display(widget: Any) -> None:
        shown.append(widget)
        frames.append(pixels(widget.value))
        widget.observe(lambda change: frames.append(pixels(change["new"])), "value")

    monkeypatch.setattr(Host, "show", lambda _host, widget: display(widget))
    monkeypatch.setattr(views, "_REDRAW_S", 0.0)
    image = cluster.mandelbrot(**VIEW, tile=32, live=True)
    (widget,) = shown
    final = views.colours(image.smooth)
    assert np.array_equal(pixels(widget.value), final)
    empty = [(frame == EMPTY).all(axis=2) for frame in frames]
    parts = mandelbrot.tiles(VIEW["size"], 32)  # type: ignore[arg-type]
    # One more picture for each tile, from nothing to all.
    left = [int(mask.sum()) for mask in empty]
    assert left[0] == 160 * 96
    assert left == [160 * 96 - 32 * 32 * n for n in range(len(parts) + 1)]
    for frame, mask in zip(frames, empty, strict=True):
        assert np.array_equal(frame[~mask], final[~mask]), "what is shown is what was computed, at each moment"


def test_a_live_picture_is_sent_at_most_four_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "show", lambda _host, _widget: None)
    now = [1000.0]
    monkeypatch.setattr(views.time, "monotonic", lambda: now[0])
    picture = views.LivePicture((64, 64))
    sent: list[int] = []
    picture.widget.observe(lambda _: sent.append(1), "value")
    for n, part in enumerate(mandelbrot.tiles((64, 64), 8)):
        picture.add(part, np.full((8, 8), 5.0 + n, np.float32))
        now[0] += 1 / 32
    assert 7 <= len(sent) <= 8, "two seconds"
    picture.finish()
    assert not (pixels(picture.widget.value) == EMPTY).all(axis=2).any()


def test_a_large_live_picture_is_shown_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Host, "show", lambda _host, _widget: None)
    assert pixels(views.LivePicture((2000, 1000)).widget.value).shape == (334, 667, 4)


def test_progress_reaches_the_end(cluster: wg.Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.mandelbrot(**VIEW, tile=64, progress=True)
    ones = np.ones((48, 16), np.float32)
    seen: list[float] = []
    cluster.matmul(ones, ones.T.copy(), block=16, progress=seen.append)
    assert seen == pytest.approx([n / 9 for n in range(1, 10)])
    said = capfd.readouterr().err
    assert "tiles: " in said
    assert "100%" in said
