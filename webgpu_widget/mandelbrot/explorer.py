"""The explorer: a widget to wander about in."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import pathlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from webgpu_widget import shaders
from webgpu_widget.device.default import default_device
from webgpu_widget.errors import CancelledError, WebGPUWidgetError
from webgpu_widget.link import hosts, widgets
from webgpu_widget.mandelbrot import film, kernels, lines, work
from webgpu_widget.mandelbrot.image import Image
from webgpu_widget.mandelbrot.landmarks import landmarks
from webgpu_widget.mandelbrot.numbers import decimal_text, exact, log2_abs
from webgpu_widget.mandelbrot.palette import names, palette_colors
from webgpu_widget.mandelbrot.render import automatic_iterations, render_view, render_view_async
from webgpu_widget.mandelbrot.sketch import sketch
from webgpu_widget.mandelbrot.traits import PaletteTrait, PointTrait, WidthTrait
from webgpu_widget.mandelbrot.view import MAX_ITER, View, make_view
from webgpu_widget.process.fork import Lock
from webgpu_widget.shown import pictures
from webgpu_widget.shown.widget import PicturedWidget

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from webgpu_widget.gpu import GPU

__all__ = ["MandelbrotExplorer"]

_BUNDLE = pathlib.Path(__file__).resolve().parents[1] / "static" / "explorer.js"
_MISSING = (
    "export default { render({ el }) { el.textContent = 'webgpu_widget: the bundle of the explorer is not built'; } };"
)
_LARGEST_PICTURE = 2**22
"""Bytes of a PNG that a page may send for the notebook's file."""
_CYCLES = {"log": 2.0, "sqrt": 8.0, "linear": 64.0}


class MandelbrotExplorer(PicturedWidget):
    """A picture of the Mandelbrot set to move about in.

    Drag it, turn the wheel, pinch, double-click, or use the keyboard; the page's own GPU computes, and the kernel computes reference orbits where
    it is deep. Where the page has no GPU, or ``gpu`` is not the page's, the kernel's GPU computes and sends pictures.

    Parameters
    ----------
    center : complex, real, or pair of reals
        Middle of the picture; kept as two decimal texts of full precision.
    width : real
        Width of the picture in the plane; kept as text.
    max_iter : int, optional
        Most iterations; chosen by the depth when left out.
    palette : str or list of str
        As in `Image.rgba`.
    power : int
        2 to 5, of z**power + c.
    julia : number, optional
        The constant of a Julia set.
    gpu : GPU, optional
        For `image`, `animate` and where the page cannot compute; `default_gpu` when left out.
    **traits : object
        Initial values of the other traits, by name: scale, cycle, offset, histogram, height and auto_iterations.

    Attributes
    ----------
    center, width, max_iter, auto_iterations, palette, scale, cycle, offset, histogram, power, julia, height
        Traits; setting one moves the view, and ``observe`` tells of moves made in the page.
    status : dict
        What the last finished picture was: method, iterations, seconds, adapter, and ``refined``, the number of pixels that were done again
        with 56-bit numbers, as `mandelbrot.render` does them: then the picture has its bits. None before, and where the kernel does not answer.

    Examples
    --------
    >>> import webgpu_widget as wg
    >>> explorer = wg.MandelbrotExplorer(center=("-0.7436438870371587", "0.1318259042053120"), width="1e-10")
    >>> explorer.center
    ['-0.7436438870371587', '0.1318259042053120']
    >>> explorer.width = 1e-3
    >>> explorer.width
    '0.001'
    """

    _esm: ClassVar[Any] = _BUNDLE if _BUNDLE.is_file() else _MISSING

    center = PointTrait(["-0.75", "0"]).tag(sync=True)
    width = WidthTrait("3.5").tag(sync=True)
    max_iter = traitlets.Int(1000, min=1, max=2**31 - 1024).tag(sync=True)
    auto_iterations = traitlets.Bool(True).tag(sync=True)
    palette = PaletteTrait("lagoon").tag(sync=True)
    scale = traitlets.Enum(["log", "sqrt", "linear"], "log").tag(sync=True)
    cycle = traitlets.Float(1.0, min=1 / 64, max=64).tag(sync=True)
    offset = traitlets.Float(0.0).tag(sync=True)
    histogram = traitlets.Bool(False).tag(sync=True)
    power = traitlets.Int(2, min=2, max=5).tag(sync=True)
    julia = PointTrait(None, allow_none=True).tag(sync=True)
    height = traitlets.Int(520, min=200, max=4000).tag(sync=True)
    status = traitlets.Dict().tag(sync=True)
    _colors = traitlets.List(traitlets.Unicode()).tag(sync=True)
    """Colours of ``palette``: the page paints before it has spoken with the kernel."""

    @traitlets.default("_colors")
    def _colors_at_first(self) -> list[str]:
        return palette_colors(self.palette)

    @traitlets.observe("palette")
    def _palette_changed(self, _change: Any) -> None:
        self._colors = palette_colors(self.palette)

    def __init__(
        self,
        center: Any = None,
        width: Any = None,
        max_iter: int | None = None,
        palette: str | list[str] = "lagoon",
        *,
        power: int = 2,
        julia: Any = None,
        gpu: GPU | None = None,
        **traits: Any,
    ) -> None:
        chosen: dict[str, Any] = {"palette": palette, "power": power, "julia": julia, **traits}
        if center is not None:
            chosen["center"] = center
        elif julia is not None:
            chosen["center"] = ("0", "0")
        if width is not None:
            chosen["width"] = width
        if max_iter is not None:
            chosen["max_iter"] = max_iter
            chosen.setdefault("auto_iterations", False)
        self._gpu = gpu
        self._pool = ThreadPoolExecutor(1, "mandelbrot-explorer")
        self._cancelled: set[str] = set()
        self._pending: set[str] = set()
        self._lock = Lock()
        self._moves = 0
        self._shown: Picture | None = None
        self._release: Callable[[], object] | None = None
        # Last of what may fail: `close` is called on what a trait has refused, too.
        super().__init__(**chosen)
        host = hosts.here()
        self._say = host.sender(self)
        if host.has_page and self.comm is not None:
            # A page that is shown a deep view while a cell runs need not wait for the cell's end.
            self._release = host.claim(
                self.comm.comm_id, lambda content, buffers: self._on_message(self, content, buffers)
            )
            self.observe(self._look_ahead, ["center", "width", "max_iter", "auto_iterations", "power", "julia"])
            self._look_ahead()
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        def short(text: str) -> str:
            return text if len(text) <= 24 else f"{text[:21]}..."

        place = ", ".join(repr(short(part)) for part in self.center)
        count = "automatic" if self.auto_iterations else self.max_iter
        julia = f", julia={self.julia}" if self.julia else ""
        palette = self.palette if isinstance(self.palette, str) else f"{len(self.palette)} colours"
        return f"MandelbrotExplorer(center=({place}), width={short(self.width)!r}{julia}, power={self.power}, max_iter={count}, palette={palette!r})"

    def _draw_picture(self) -> Picture:
        """Draw the view for the notebook's file: as the page has last shown it, or by the kernel's GPU or processor where no page has."""
        line = f"Run the cell again to move about.   {self!r}"
        if self._shown is not None:
            return pictures.framed(self._shown, line)
        from PIL import Image as Pillow

        seen = self.view.replace(size=(640, max(1, round(640 * (self.height - 60) / 960))))
        found: NDArray[np.uint8] | None = None
        if self._unseen:
            with contextlib.suppress(WebGPUWidgetError):
                found = render_view(seen, self.gpu, refine=False).rgba(**self.colors)
        if found is None:
            small = sketch(seen)
            found = None if small is None else small.rgba(**self.colors)
        if found is None:
            return pictures.card("Mandelbrot explorer", "not drawn yet", "wait", message=line)
        return pictures.framed(Pillow.fromarray(found[..., :3]).resize(seen.size), line)

    def _keep(self, png: Any) -> None:
        """Keep what the page shows."""
        from PIL import Image as Pillow

        if memoryview(png).nbytes > _LARGEST_PICTURE:
            return
        with contextlib.suppress(OSError, ValueError), Pillow.open(io.BytesIO(png), formats=["PNG"]) as sent:
            if max(sent.size) > 1280:
                return
            self._shown = sent.convert("RGB")
        self._picture_changed()

    @property
    def gpu(self) -> GPU:
        """The GPU of `image` and `animate`."""
        if self._gpu is None:
            self._gpu = default_device().gpu
        return self._gpu

    @property
    def view(self) -> View:
        """The present view, in the size of the last picture (or 800 x 600)."""
        status = self.status if widgets.EXPLORER_STATUS.matches(self.status) else widgets.ExplorerStatus()
        columns, rows = status.get("size") or (800, 600)
        count = automatic_iterations(log2_abs(exact(self.width, "width"))) if self.auto_iterations else self.max_iter
        count = max(count, status.get("max_iter", 0)) if self.auto_iterations else count
        return make_view(self.center, self.width, (columns, rows), count, self.power, self.julia)

    @property
    def link(self) -> str:
        """The view as one line of text; `goto` and the page's coordinate field take it."""
        return self.view.link

    def goto(self, place: str | View) -> None:
        """Move to a landmark by its name, to a `View`, or to a link.

        Parameters
        ----------
        place : str or View
            A name of `landmarks`, or ``#v=1&re=...``.
        """
        view = (
            place if isinstance(place, View) else landmarks()[place] if place in landmarks() else View.from_link(place)
        )
        with self.hold_sync():
            self.center, self.width, self.power, self.julia = list(view.center), view.width, view.power, view.julia
            if not self.auto_iterations:
                self.max_iter = view.max_iter

    def render(self, size: tuple[int, int] | None = None, samples: int = 1, **options: Any) -> Image:
        """Compute the present view in Python.

        Parameters
        ----------
        size : tuple of int, optional
            The page's size when left out.
        samples : int
            As in `mandelbrot.render`.
        **options : object
            What `mandelbrot.render` takes besides.

        Returns
        -------
        Image
            Counts, in the kernel.
        """
        return render_view(self._sized(size), self.gpu, samples=samples, **options)

    def image(self, size: tuple[int, int] | None = None, samples: int = 1, **options: Any) -> NDArray[np.uint8]:
        """Compute the present view and colour it as the page does.

        Parameters
        ----------
        size, samples, **options
            As in `render`.

        Returns
        -------
        ndarray of uint8, (height, width, 4)
            The pixels.
        """
        return self.render(size, samples, **options).rgba(**self.colors)

    async def render_async(self, size: tuple[int, int] | None = None, samples: int = 1, **options: Any) -> Image:
        """Coroutine twin of `render`."""
        return await render_view_async(self._sized(size), self.gpu, samples=samples, **options)

    def _sized(self, size: tuple[int, int] | None) -> View:
        return self.view if size is None else self.view.replace(size=size)

    async def image_async(
        self, size: tuple[int, int] | None = None, samples: int = 1, **options: Any
    ) -> NDArray[np.uint8]:
        """Coroutine twin of `image`."""
        colors = self.colors
        return (await self.render_async(size, samples, **options)).rgba(**colors)

    @property
    def colors(self) -> dict[str, Any]:
        """Arguments of `Image.rgba` for the present colours."""
        cycle = self.cycle if self.histogram else self.cycle * _CYCLES[self.scale]
        return {
            "palette": self.palette,
            "scale": self.scale,
            "cycle": cycle,
            "offset": self.offset,
            "histogram": self.histogram,
        }

    def animate(self, path: str | os.PathLike[str], **options: Any) -> pathlib.Path:
        """Write a film that zooms from far out to the present view.

        Parameters
        ----------
        path : path
            Ends in ``.mp4`` (needs imageio-ffmpeg) or ``.gif``.
        **options
            As in `film.animate`: seconds, frames_per_second, size, start, samples, progress.

        Returns
        -------
        pathlib.Path
            The file.
        """
        return film.animate(self.view, path, self.gpu, colors=self.colors, **options)

    async def animate_async(self, path: str | os.PathLike[str], **options: Any) -> pathlib.Path:
        """Coroutine twin of `animate`: the film is written in a thread."""
        return await asyncio.to_thread(film.animate, self.view, path, self.gpu, colors=self.colors, **options)

    # ------------------------------------------------------------ the page's questions

    def _look_ahead(self, _change: Any = None) -> None:
        """Begin the orbit that the page will ask for."""
        self._moves += 1
        if self.comm is not None:
            self._pool.submit(self._prepare_ahead, self._moves)

    def _prepare_ahead(self, move: int) -> None:
        def go_on(*_: object) -> None:
            if move != self._moves:
                raise CancelledError("the view moved on")

        # Whoever asks for this view next hears of what is wrong with it.
        with contextlib.suppress(Exception):
            go_on()
            work.prepare(self.view, progress=go_on, near=True)

    def _on_message(self, _widget: Any, content: object, buffers: Any) -> None:
        if not widgets.EXPLORER_QUESTION.matches(content):
            refusal = widgets.refusal(content)
            if refusal is not None:
                self._say(refusal, ())
            return
        if content["kind"] == "hello":
            self._say(self._welcome(content["id"]), ())
        elif content["kind"] == "picture":
            if buffers:
                self._pool.submit(self._keep, buffers[0])
        elif content["kind"] == "cancel":
            with self._lock:
                if content["id"] in self._pending:
                    self._cancelled.add(content["id"])
        else:
            with self._lock:
                self._pending.add(content["id"])
            if content["view"]["width"] != self.width:
                self._moves += 1  # the page is elsewhere: what was begun for the traits is in its way
            self._pool.submit(self._answer, content)

    def _welcome(self, question: str) -> widgets.ExplorerWelcome:
        remote = self._gpu is not None and self._gpu.transport != "comm"
        adapter = ""
        if remote and self._gpu is not None:
            adapter = str(self._gpu.status.get("adapter", ""))
        chosen = {self.palette} if isinstance(self.palette, str) else set()
        return {
            "id": question,
            "kind": "welcome",
            "shaders": {
                "direct": shaders.load("mandelbrot/direct"),
                "perturb": shaders.load("mandelbrot/perturb"),
                "refine": shaders.load("mandelbrot/refine"),
            },
            "palettes": {name: palette_colors(name) for name in sorted({*names(), *chosen})},
            "landmarks": [{"name": name, "link": view.link} for name, view in landmarks().items()],
            "remote": remote,
            "adapter": adapter,
        }

    def _is_cancelled(self, question: str) -> bool:
        with self._lock:
            return question in self._cancelled

    @contextlib.contextmanager
    def _work_on(self, question: str) -> Iterator[None]:
        try:
            yield
        except CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the page shows it; nobody else would
            text = str(error) if isinstance(error, WebGPUWidgetError) else f"{type(error).__name__}: {error}"
            told: widgets.Failed = {"id": question, "kind": "error", "message": text, "line": 0, "column": 0}
            self._say(told, ())
        finally:
            with self._lock:
                self._pending.discard(question)
                self._cancelled.discard(question)

    def _answer(self, content: widgets.ExplorerPrepare | widgets.ExplorerRefine | widgets.ExplorerDraw) -> None:
        question = content["id"]
        with self._work_on(question):
            self._check(question)
            asked = content["view"]
            view = make_view(
                asked["center"], asked["width"], asked["size"], asked["max_iter"], asked["power"], asked["julia"]
            )
            if content["kind"] == "prepare":
                self._prepare(question, view, content["have"], near=not content["exact"])
            elif content["kind"] == "refine":
                self._refine(question, view, content["have"])
            else:
                self._draw(question, view, refine=content["coarse"] == 1)

    def _check(self, question: str, *_: object) -> None:
        if self._is_cancelled(question):
            raise CancelledError("the page moved on")

    def _prepared(self, question: str, view: View, *, near: bool) -> work.Prepared:
        # Steps to spare: a page that zooms in wants more, and finds them where it is. No pixel of a view goes so far.
        longer = view.replace(max_iter=min(MAX_ITER, view.max_iter + view.max_iter // 4 + 500))
        # The page decides by its own rounding; where it asked, it gets perturbation.
        method = "auto" if work.choose_method(longer) == "bla" else "perturbation"
        prepared = work.prepare(longer, method, progress=lambda *_: self._check(question), near=near)
        self._check(question)
        return prepared

    def _prepare(self, question: str, view: View, have: str, *, near: bool) -> None:
        prepared = self._prepared(question, view, near=near)
        reference, table = prepared.orbit, prepared.table
        base = f"{reference.base}.{table.base if table else 0}"
        key = f"{base}-{reference.serial}.{table.serial if table else 0}"
        constant = None if view.constant is None else (float(view.constant[0]), float(view.constant[1]))
        radius = kernels.radius_of(view)
        offsets = table.offsets if table else [0]
        plan: widgets.ExplorerPlan = {
            "method": prepared.method,
            "size": view.size,
            "max_iter": view.max_iter,
            "power": view.power,
            "julia": constant,
            "radius_squared": radius * radius,
            "center": (
                work.scaled(prepared.offset[0], prepared.scale),
                work.scaled(prepared.offset[1], prepared.scale),
            ),
            "step": work.scaled(view.spacing, prepared.scale),
            "scale": prepared.scale,
            "start": reference.start,
            "offsets": offsets + [offsets[-1]] * (32 - len(offsets)),
            "levels": len(offsets) - 1,
            "highest": table.highest if table else -(2**30),
            "key": key,
        }
        buffers: list[Any] = []
        if key != have and have.split("-", maxsplit=1)[0] == base and table is not None:
            # Another reach of what the page has: limits and radii alone.
            buffers = [np.ascontiguousarray(reference.limits).data, np.ascontiguousarray(table.radii).data]
        elif key != have:
            empty = np.zeros((1, 8), np.uint32)
            buffers = [
                np.ascontiguousarray(reference.packed).data,
                np.ascontiguousarray(table.packed if table else empty).data,
                np.ascontiguousarray(reference.orbit).data,
            ]
        # By this the page knows which other views the reference serves, and makes their plans by itself.
        finest = (48 + view.max_iter.bit_length() - prepared.precision) / (view.power if view.julia else 1)
        digits = max(24, math.ceil(-finest * math.log10(2)) + 8)
        serves: widgets.ExplorerServes = {
            "point": (decimal_text(prepared.point[0], digits + 4), decimal_text(prepared.point[1], digits + 4)),
            "digits": digits,
            "reach": None if view.julia is not None else prepared.reach,
            "finest": finest,
            "length": prepared.length,
        }
        text = work.method_text(prepared, view)
        told: widgets.ExplorerPrepared = {
            "id": question,
            "kind": "prepared",
            "plan": plan,
            "serves": serves,
            "text": text,
        }
        self._say(told, buffers)

    def _refine(self, question: str, view: View, have: str) -> None:
        """Send what refine.wgsl needs for the view about its own centre, where the page has it not."""
        prepared = self._prepared(question, view, near=False)
        table = kernels.fine_table(view, prepared)
        offsets = table.offsets if table else [0]
        fine: widgets.FinePlan = {
            "key": f"{prepared.orbit.serial}.{table.serial if table else 0}",
            "start": prepared.orbit.start,
            "offsets": offsets + [offsets[-1]] * (32 - len(offsets)),
            "levels": len(offsets) - 1,
            "highest": table.highest if table else -(2**30),
        }
        # What 56 bits do not tell from an axis is counted here; first, so that the parts may be left out.
        pixels = lines.unresolved(view, prepared.orbit, prepared.point)
        _, smooth, _ = lines.count_exactly(view, pixels, lambda: self._check(question))
        parts = [pixels, smooth, *(() if fine["key"] == have else kernels.fine_parts(prepared, table))]
        self._check(question)
        told: widgets.ExplorerFine = {"id": question, "kind": "fine", "fine": fine}
        self._say(told, [np.ascontiguousarray(part).data for part in parts])

    def _draw(self, question: str, view: View, *, refine: bool) -> None:
        image = render_view(view, self.gpu, refine=refine, progress=lambda _: self._check(question), timeout=60.0)
        self._check(question)
        text = work.method_text(work.Prepared(image.method), view)  # type: ignore[arg-type]
        told: widgets.ExplorerDrawn = {
            "id": question,
            "kind": "drawn",
            "text": f"{text}, by the kernel",
            "method": image.method,
            "refined": image.stats.refined,
        }
        self._say(told, [image.iterations.data, image.smooth.data])

    def close(self) -> None:
        """Close the widget and end its thread."""
        if self._release is not None:
            self._release()
            self._release = None
        self._pool.shutdown(wait=False, cancel_futures=True)
        super().close()
