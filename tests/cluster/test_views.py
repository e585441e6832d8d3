"""What is shown while browsers compute: the picture as its tiles arrive, progress, the table."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from fake_browser import until
from PIL import Image

import webgpu_widget as wg
from webgpu_widget.cluster import mandelbrot, views
from webgpu_widget.link.hosts.base import Host

EMPTY = (90, 90, 90, 60)
VIEW = {"center": (-0.75, 0.1), "width": 2.5, "size": (160, 96), "max_iter": 200}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


class Shown:
    """An output that keeps what it was told."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.bundles = [bundle]

    def update(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.bundles.append(data)

    @property
    def frames(self) -> list[np.ndarray]:
        return [pixels(base64.b64decode(bundle["image/png"])) for bundle in self.bundles]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Shown]:
    """What is displayed in a host that has a page."""
    made: list[Shown] = []

    def display(_host: Host, data: dict[str, Any], _metadata: dict[str, Any]) -> Shown:
        made.append(Shown(data))
        return made[-1]

    monkeypatch.setattr(Host, "has_page", True)
    monkeypatch.setattr(Host, "display", display)
    return made


def test_the_live_picture_fills_up(cluster: wg.Cluster, shown: list[Shown], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_REDRAW_S", 0.0)
    image = cluster.mandelbrot(**VIEW, tile=32, live=True)
    (output,) = shown
    final = views.colours(image.smooth)
    assert np.array_equal(output.frames[-1], final)
    empty = [(frame == EMPTY).all(axis=2) for frame in output.frames]
    parts = mandelbrot.tiles(VIEW["size"], 32)  # type: ignore[arg-type]
    # One more picture for each tile, from nothing to all, and the last one again at the end.
    left = [int(mask.sum()) for mask in empty]
    assert left == [*(160 * 96 - 32 * 32 * n for n in range(len(parts) + 1)), 0]
    for frame, mask in zip(output.frames, empty, strict=True):
        assert np.array_equal(frame[~mask], final[~mask]), "what is shown is what was computed, at each moment"
    assert output.bundles[0]["text/plain"] == "a picture of 160 x 96 pixels by the cluster, 0% done"
    assert output.bundles[-1]["text/plain"].endswith("100% done")


def test_a_live_picture_is_sent_at_most_four_times_a_second(
    shown: list[Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(views.time, "monotonic", lambda: now[0])
    picture = views.LivePicture((64, 64))
    for n, part in enumerate(mandelbrot.tiles((64, 64), 8)):
        picture.add(part, np.full((8, 8), 5.0 + n, np.float32))
        now[0] += 1 / 32
    assert 7 <= len(shown[0].bundles) - 1 <= 8, "two seconds"
    picture.finish()
    assert not (shown[0].frames[-1] == EMPTY).all(axis=2).any()


def test_a_large_live_picture_is_shown_reduced(shown: list[Shown]) -> None:
    views.LivePicture((2000, 1000))
    assert shown[0].frames[0].shape == (334, 667, 4)


def test_a_table_shown_follows_the_cluster_to_its_end() -> None:
    with wg.Cluster() as made:
        table = made.table()
        assert (table.state[:14], table.rows) == ("no browser yet", [])
        made.launch(1)
        made.wait(1)
        first = "browser-1"
        until(lambda: [cells[0] for cells in table.rows] == [first] and table.rows[0][2] == "ready")
        assert table.state == "1 browser ready"
    assert table.state == "closed; 1 browser took part"
    assert table.rows[0][:3] == [first, table.rows[0][1], "gone: the cluster was closed"]
    assert repr(table) == "Cluster of browsers: closed; 1 browser took part"


def test_progress_reaches_the_end(cluster: wg.Cluster, capfd: pytest.CaptureFixture[str]) -> None:
    cluster.mandelbrot(**VIEW, tile=64, progress=True)
    ones = np.ones((48, 16), np.float32)
    seen: list[float] = []
    cluster.matmul(ones, ones.T.copy(), block=16, progress=seen.append)
    assert seen == pytest.approx([n / 9 for n in range(1, 10)])
    said = capfd.readouterr().err
    assert "tiles: " in said
    assert "100%" in said
