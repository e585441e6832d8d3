"""The small live views: a bar that says how far a work is, and a table."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from webgpu_widget.link import hosts
from webgpu_widget.shown import pictures
from webgpu_widget.shown.widget import PicturedWidget

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Bar", "Meter", "TablePanel", "meter"]

_BUNDLE = pathlib.Path(__file__).resolve().parents[1] / "static" / "panel.js"
_INTERVAL_S = 0.1
_MOODS: dict[str, pictures.Mood] = {"done": "good", "failed": "bad", "cancelled": "over", "stopped": "over"}


class _Panel(PicturedWidget):
    # Text, not a path: anywidget watches a path's file, and what watches it holds the widget.
    _esm: ClassVar[Any] = (
        _BUNDLE.read_text(encoding="utf-8")
        if _BUNDLE.is_file()
        else "export default { render({ el }) { el.textContent = 'webgpu_widget: the bundle of panels is not built'; } };"
    )
    kind = traitlets.Unicode().tag(sync=True)


class Bar(_Panel):
    """How far a work is: its title, a bar, and a line.

    Parameters
    ----------
    title : str
        What is done.
    steerable : bool
        Whether the page shows buttons that pause and cancel; what is pressed comes as the message ``{"action": ...}``.
    """

    title = traitlets.Unicode().tag(sync=True)
    fraction = traitlets.Float(0.0).tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode("running").tag(sync=True)
    steerable = traitlets.Bool(False).tag(sync=True)
    strip = traitlets.Bytes().tag(sync=True)
    _strip: Image.Image | None = None

    def __init__(self, title: str, *, steerable: bool = False) -> None:
        super().__init__(kind="bar", title=title, steerable=steerable)

    def __repr__(self) -> str:
        return f"{self.title}: {self.text}" if self.text else self.title

    def tell(self, fraction: float, text: str, state: str = "running") -> None:
        """Show how far it is."""
        with self.hold_sync():
            self.fraction, self.text, self.state = fraction, text, state
        self._picture_changed()

    def show(self, strip: Image.Image) -> None:
        """Show below what has been made so far."""
        self._strip, self.strip = strip, pictures.png(strip)
        self._picture_changed()

    def _draw_picture(self) -> Image.Image:
        """Draw it."""
        mood = _MOODS.get(self.state, "wait")
        return pictures.card(self.title, self.text, mood, part=self.fraction, strip=self._strip)


class TablePanel(_Panel):
    """A table that follows something.

    Parameters
    ----------
    title : str
        What it is of.
    columns : sequence of str
        Names; those after the third have numbers.
    """

    title = traitlets.Unicode().tag(sync=True)
    state = traitlets.Unicode().tag(sync=True)
    columns = traitlets.List(traitlets.Unicode()).tag(sync=True)
    rows = traitlets.List(traitlets.List(traitlets.Unicode())).tag(sync=True)

    def __init__(self, title: str, columns: tuple[str, ...]) -> None:
        super().__init__(kind="table", title=title, columns=list(columns))

    def __repr__(self) -> str:
        return f"{self.title}: {self.state}"

    def tell(self, state: str, rows: list[list[str]]) -> None:
        """Show these rows."""
        if rows != self.rows or state != self.state:
            with self.hold_sync():
                self.state, self.rows = state, rows
            self._picture_changed()

    def _draw_picture(self) -> Image.Image:
        """Draw it."""
        return pictures.table(self.title, self.state, self.columns, self.rows, "As it was when the notebook was saved.")


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _nowhere(_given: object) -> None:
    """Show nothing."""


class Meter:
    """Is told which part of a work is done.

    Parameters
    ----------
    tell : callable
        Called with the part.
    show : callable
        Called with a picture of what has been made so far.
    """

    def __init__(
        self, tell: Callable[[float], None] = _nowhere, show: Callable[[Image.Image], None] = _nowhere
    ) -> None:
        self._tell, self.show = tell, show

    def __call__(self, part: float) -> None:
        """Say which part is done, from 0 to 1."""
        self._tell(part)


@contextlib.contextmanager
def meter(progress: bool | Callable[[float], None] | None, title: str) -> Iterator[Meter]:
    """Give what is told which part of a work is done, and shows it: a bar in a notebook, text elsewhere.

    Parameters
    ----------
    progress : bool or callable or None
        Whether to show it; or called with the part, from 0 to 1, in place of that.
    title : str
        What is done.

    Yields
    ------
    Meter
        To be called with the part.
    """
    if not progress:
        yield Meter()
    elif callable(progress):
        yield Meter(progress)
    elif hosts.here().has_page:
        with _shown(title) as tell:
            yield tell
    else:
        from tqdm import tqdm

        with tqdm(total=100, desc=title, unit="%", bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}") as text:
            yield Meter(lambda part: text.update(min(100.0, 100 * part) - text.n) and None)


@contextlib.contextmanager
def _shown(title: str) -> Iterator[Meter]:
    bar = Bar(title)
    bar._ipython_display_()
    begun = time.monotonic()
    last, reached = [begun], [0.0]

    def tell(part: float) -> None:
        now = time.monotonic()
        reached[0] = part
        if now - last[0] < _INTERVAL_S:
            return
        last[0] = now
        left = (now - begun) / part * (1 - part) if part > 0.01 else 0.0
        bar.tell(part, f"{part:.0%}" + (f", about {_span(left)} left" if left > 1 else ""))

    try:
        yield Meter(tell, bar.show)
    except BaseException as error:
        stopped = not isinstance(error, Exception)
        what = "stopped" if stopped else type(error).__name__
        said = f"{what} at {reached[0]:.0%}, after {_span(time.monotonic() - begun)}"
        bar.tell(reached[0], said, "stopped" if stopped else "failed")
        raise
    bar.tell(1.0, f"done in {_span(time.monotonic() - begun)}", "done")
