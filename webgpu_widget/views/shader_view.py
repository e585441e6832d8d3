"""A shader that draws: a widget that plays WGSL in a cell, and gives its pictures to Python."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import os
import pathlib
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import traitlets
from numpy.typing import NDArray

from webgpu_widget.arrays.values import wholes
from webgpu_widget.device.default import as_device, default_device
from webgpu_widget.device.queue import Reply
from webgpu_widget.errors import BindingError, ShaderError, ShapeError, WebGPUWidgetError
from webgpu_widget.link import hosts, services, widgets
from webgpu_widget.link.losses import once_more
from webgpu_widget.link.steps import Steps, drive, drive_async
from webgpu_widget.mandelbrot.film import film_writer, write
from webgpu_widget.process.caller import warn_caller
from webgpu_widget.shown.widget import PicturedWidget
from webgpu_widget.views.inputs import Inputs, first_device

if TYPE_CHECKING:
    from PIL import Image

    from webgpu_widget.device.handles import Buffer, Texture
    from webgpu_widget.gpu import GPU
    from webgpu_widget.link.connection import Request

__all__ = ["ShaderView"]

T = TypeVar("T")

_BUNDLE = pathlib.Path(__file__).resolve().parents[1] / "static" / "shader.js"
_MISSING = (
    "export default { render({ el }) { el.textContent = 'webgpu_widget: the bundle of shader views is not built'; } };"
)
_STEP_S = 1 / 60
_SAVED_WIDTH = 640
"""Pixels across the picture that is kept with a saved notebook, at most."""
_SAVED_S = 3.0
"""How long a cell waits for that picture, in all."""
_BROWSER_S = 15.0
"""How long it waits before, for a browser that is being started."""


class ShaderView(PicturedWidget):
    """WGSL that draws, playing in a cell on the GPU of the page that shows it.

    The WGSL is one of

    - a function ``fn image(position: vec2f, time: f32) -> vec4f``, called for each pixel (also named ``main``; either parameter may be left out, and
      a ``vec3f`` is a colour as well). ``position`` is in pixels, with the first pixel's middle at (0.5, 0.5) in the upper left corner, as
      ``@builtin(position)`` has it and as NumPy counts rows;
    - Shadertoy's ``fn mainImage(fragCoord: vec2f) -> vec4f``, whose ``y`` points up from the lower left corner;
    - a ``@fragment`` entry point;
    - a ``@compute`` entry point that writes a ``texture_storage_2d``, with one invocation a pixel.

    Colours are sRGB from 0 to 1. Names that the WGSL uses and does not declare are declared for it: Shadertoy's ``iTime``, ``iTimeDelta`` and ``iFrameRate``
    (f32), ``iFrame`` (i32), ``iResolution`` (vec3f), ``iMouse`` and ``iDate`` (vec4f), and all that is passed by name. A name that it declares itself is
    matched, as in `GPU.run`.

    Shown in several outputs it plays in each, from one device. It stops where nobody sees it: scrolled away, in a hidden output, in another tab. On a
    processor (SwiftShader) it plays at a part of the size, and draws the whole when it is paused. Where the page is not that of the GPU, the kernel
    sends the pictures.

    Parameters
    ----------
    wgsl : str
        What draws.
    size : (int, int)
        Width and height of the picture in pixels.
    gpu : GPU, optional
        Where it draws; when left out, that of the GPUArrays that it is given, else `default_gpu`.
    **uniforms_and_arrays : object
        By name. A number becomes a uniform: ``float`` an f32, ``int`` an i32, ``bool`` a u32, unless the WGSL declares it otherwise; two to four numbers are a
        ``vec2f`` to ``vec4f``, rows of numbers a matrix, ``"#rrggbb"`` a colour as ``vec4f``, a dict a struct that the WGSL declares. GPUArrays, NumPy arrays
        (longer ones), `texture` and `sampler` are bound as they are; a GPUArray is shown as it is at each frame, whatever is assigned to it meanwhile.

    Attributes
    ----------
    u_NAME
        A trait for each uniform: set it, `ipywidgets.jslink` it to a slider (which needs no kernel), or ``observe`` it.
    playing : bool
        Whether time goes on.
    time : float
        Seconds since the start; the page tells it twice a second, and when it pauses. Setting it moves there.
    source : str
        The WGSL. Another one takes its place while it plays; if it does not compile, the view says so and the one before goes on.
    mouse : list of float
        As Shadertoy's ``iMouse``: where the pointer is while its button is down, or was last, and where it was pressed, negative when it is up again; in
        pixels from the upper left corner.
    size : list of int
        Width and height.
    error : str
        What is wrong with the shader or its device, as the page shows it; empty when nothing is.
    status : dict
        How it goes in the page: ``frames_per_second``, ``adapter``, ``coarse`` (pixels are so many pixels wide), ``nan_pixels``, ``compile_ms``,
        ``first_frame_ms`` (after the module was compiled).

    Raises
    ------
    BindingError, ShapeError
        When something is passed that no shader takes, or size is not two whole numbers.
    ClosedError
        When the GPU is closed.

    Examples
    --------
    >>> import webgpu_widget as wg
    >>> view = wg.ShaderView('''
    ... fn image(position: vec2f, time: f32) -> vec4f {
    ...   return vec4f(position / iResolution.xy, 0.5 + 0.5 * sin(speed * time), 1.0);
    ... }''', size=(4, 2), speed=2.0)
    >>> view.frame(time=0.0)[0, 3].tolist()
    [223, 64, 128, 255]
    >>> view.u_speed
    2.0
    """

    _esm: ClassVar[Any] = _BUNDLE.read_text(encoding="utf-8") if _BUNDLE.is_file() else _MISSING

    source = traitlets.Unicode().tag(sync=True)
    playing = traitlets.Bool(True).tag(sync=True)
    time = traitlets.Float(0.0).tag(sync=True)
    size = traitlets.List(traitlets.Int(), [1280, 720]).tag(sync=True)
    mouse = traitlets.List(traitlets.Float(), [0.0] * 4, minlen=4, maxlen=4).tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    status = traitlets.Dict().tag(sync=True)
    view_id = traitlets.Unicode().tag(sync=True)
    gpu_id = traitlets.Unicode().tag(sync=True)
    transport = traitlets.Unicode().tag(sync=True)
    uniforms = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _inputs = traitlets.Dict().tag(sync=True)

    def __init__(
        self, wgsl: str, size: tuple[int, int] = (1280, 720), gpu: GPU | None = None, **uniforms_and_arrays: Any
    ) -> None:
        if not isinstance(wgsl, str):
            raise BindingError(f"a view draws WGSL text, not {type(wgsl).__name__}")
        device = (first_device(uniforms_and_arrays.values()) or default_device()) if gpu is None else as_device(gpu)
        device.check_open()
        self._device = device
        self._gpu = device.gpu
        self._given = Inputs(device, wgsl, uniforms_and_arrays)
        self._pool: ThreadPoolExecutor | None = None
        self._release: Callable[[], object] | None = None
        self._drawn: Image.Image | None = None
        self._stale = True
        self.add_traits(**{f"u_{name}": trait.tag(sync=True) for name, trait in self._given.traits.items()})
        super().__init__(
            source=wgsl,
            size=_checked_size(size),
            view_id=uuid.uuid4().hex,
            gpu_id=self._gpu.gpu_id,
            transport=self._gpu.transport,
            uniforms=list(self._given.traits),
            _inputs=self._given.wire()[0],
        )
        self._device.queue.flush()
        self.observe(
            self._looks_different, ["source", "size", "playing", "time", *(f"u_{name}" for name in self.uniforms)]
        )
        host = hosts.here()
        self._say = host.sender(self)
        if host.has_page and self.comm is not None:
            # The page asks for pictures while a cell runs, too.
            self._release = host.claim(self.comm.comm_id, self._on_question)
        self.on_msg(lambda _, content, buffers: self._on_question(content, buffers))

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse a uniform that the view has not: it would be no trait, and the slider would move nothing."""
        if name.startswith("u_") and not self.has_trait(name):
            known = ", ".join(f"u_{known}" for known in self.uniforms) or "none"
            raise AttributeError(f"the view has no uniform {name}; it has {known}. Pass {name[2:]}=... when it is made")
        super().__setattr__(name, value)

    @property
    def gpu(self) -> GPU:
        """The GPU that it draws on."""
        return self._gpu

    def _tell_inputs(self) -> tuple[dict[str, widgets.ViewInput], list[Buffer | Texture]]:
        """Tell the page where arrays and textures are, which is elsewhere after a loss."""
        told, uses = self._given.wire()
        if told != self._inputs:
            self._inputs = told
        self._device.queue.flush()
        return told, uses

    @traitlets.validate("size")
    def _check_size(self, proposal: Any) -> list[int]:
        return _checked_size(proposal["value"])

    @traitlets.validate("time")
    def _check_time(self, proposal: Any) -> float:
        if not math.isfinite(proposal["value"]):
            raise traitlets.TraitError(f"time is {proposal['value']}; it is a finite number of seconds")
        return float(proposal["value"])

    @traitlets.observe("source", "playing")
    def _on_change(self, _change: Any) -> None:
        # Whoever goes on after a loss finds its arrays uploaded again.
        if hasattr(self, "_say") and not self._device.closed:
            with contextlib.suppress(WebGPUWidgetError):
                self._tell_inputs()

    # ------------------------------------------------------------ playing

    def play(self) -> None:
        """Let time go on."""
        self.playing = True

    def pause(self) -> None:
        """Stop time."""
        self.playing = False

    def step(self, frames: int = 1) -> None:
        """Pause, and go on by some frames of 1/60 s.

        Parameters
        ----------
        frames : int
            How many; negative goes back.
        """
        self.playing = False
        self.time = max(0.0, self.time + frames * _STEP_S)

    # ------------------------------------------------------------ pictures for Python

    def frame(
        self, time: float | None = None, size: tuple[int, int] | None = None, timeout: float | None = 30.0
    ) -> NDArray[np.uint8]:
        """Draw one picture and return it.

        Parameters
        ----------
        time : float, optional
            Seconds; the view's own when left out.
        size : (int, int), optional
            Width and height in pixels; the view's own when left out.
        timeout : float or None
            Seconds of silence; None waits for ever.

        Returns
        -------
        ndarray of uint8, (height, width, 4)
            RGBA, the upper row first.

        Raises
        ------
        ShaderError
            With line and column, when the WGSL does not compile.
        BindingError, LimitError
            When something is not bound, or fits no variable, or the size is beyond the adapter's.
        FrontendError, DeviceError
            When page or device are gone; so are the arrays then.

        Warns
        -----
        RuntimeWarning
            When pixels are NaN, which are drawn magenta.
        """
        return drive(self._frame_steps(time, size), timeout)

    async def frame_async(
        self, time: float | None = None, size: tuple[int, int] | None = None, timeout: float | None = 30.0
    ) -> NDArray[np.uint8]:
        """Coroutine twin of `frame`."""
        return await drive_async(self._frame_steps(time, size), timeout)

    def _frame_steps(self, time: float | None, size: tuple[int, int] | None) -> Steps[NDArray[np.uint8]]:
        def draw() -> Steps[NDArray[np.uint8]]:
            yield from self._device.connection.decide_steps()
            request, picture, (width, height) = self._start(time, size)
            nan = services.DRAW.answer((yield from self._device.wait_steps(request)))["nan"]
            if nan:
                warn_caller(
                    f"{nan} of {width} x {height} pixels are NaN, and drawn magenta: look for 0 / 0, or the root or logarithm of a negative number",
                    RuntimeWarning,
                )
            return picture

        return draw() if self._given.resident else once_more(draw)

    def _start(
        self,
        time: float | None,
        size: tuple[int, int] | None,
        coarse: int = 1,
        asked: widgets.ViewDraw | None = None,
    ) -> tuple[Request, NDArray[np.uint8], tuple[int, int]]:
        """Begin to draw at 1/coarse of the size; ``asked`` is what a page knows better than the traits."""
        self._device.check_open()
        wide, high = _checked_size(self.size if size is None else size)
        now = self.time if time is None else float(time)
        if not math.isfinite(now):
            raise BindingError(f"time is {time!r}; it is a finite number of seconds")
        values = {name: getattr(self, f"u_{name}") for name in self.uniforms}
        told, uses = self._tell_inputs()
        x, y, pressed_x, pressed_y = self.mouse
        frame: widgets.ViewFrame = {
            "time": now,
            "delta": _STEP_S,
            "frame": round(now / _STEP_S),
            "size": (wide, high),
            "mouse": (x, y, pressed_x, pressed_y),
        }
        params: services.Picture = {
            "source": self.source,
            "inputs": told,
            "values": values if asked is None else asked["values"],
            "frame": frame if asked is None else asked["frame"],
            "coarse": coarse,
        }
        width, height = -(-wide // coarse), -(-high // coarse)
        reply = Reply("shader view", [4 * width * height])
        request = self._device.queue.ask(
            services.DRAW, params, reply.what, on_chunk=reply.take, uses=uses, source=self.source
        )
        request.check = reply.check
        return request, reply.arrays[0].reshape(height, width, 4), (wide, high)

    def film(
        self,
        path: str | os.PathLike[str],
        seconds: float,
        fps: float = 30.0,
        *,
        start: float | None = None,
        size: tuple[int, int] | None = None,
        progress: bool = True,
    ) -> pathlib.Path:
        """Write a film.

        Parameters
        ----------
        path : path
            Ends in ``.mp4`` (needs imageio-ffmpeg) or ``.gif``.
        seconds : float
            Its length.
        fps : float
            Frames a second, at most 240.
        start : float, optional
            Time of the first frame in seconds; the view's own when left out.
        size : (int, int), optional
            Width and height, which mp4 makes even; the view's when left out.
        progress : bool
            Whether to show a bar.

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        WebGPUWidgetError
            Another ending, a length that is not positive, or no imageio-ffmpeg; and all that `frame` raises.
        """
        target = pathlib.Path(path)
        begun = self.time if start is None else float(start)
        wide, high = _checked_size(self.size if size is None else size)
        writer, count, shape = film_writer(target, seconds, fps, (wide, high))
        title = f"film {target.name}, {count} frames of {shape[0]} x {shape[1]}"
        pictures = (self.frame(begun + number / fps, shape)[..., :3] for number in range(count))
        write(writer, pictures, count, title, progress)
        return target

    async def film_async(
        self, path: str | os.PathLike[str], seconds: float, fps: float = 30.0, **options: Any
    ) -> pathlib.Path:
        """Coroutine twin of `film`: the film is written in a thread."""
        return await asyncio.to_thread(self.film, path, seconds, fps, **options)

    # ------------------------------------------------------------ the page's questions

    def _on_question(self, content: object, _buffers: Any) -> None:
        if widgets.VIEW_DRAW.matches(content):
            self._work(self._answer, content)
            return
        refusal = widgets.refusal(content)
        if refusal is not None:
            self._say(refusal, ())

    def _work(self, what: Callable[..., object], *given: Any) -> None:
        """Have something done by a thread of the view's own, one after the other."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "shader-view")
        self._pool.submit(what, *given)

    def _answer(self, asked: widgets.ViewDraw) -> None:
        """Draw what a page asks for that has not this GPU."""
        question = asked["id"]
        try:
            request, picture, _ = self._start(None, asked["frame"]["size"], asked["coarse"], asked)
            nan = services.DRAW.answer(self._device.wait(request, 30.0))["nan"]
            told: widgets.ViewDrawn = {"id": question, "kind": "drawn", "nan": nan, "adapter": self._device.info.name}
            self._say(told, [png(picture)])
        except Exception as error:  # noqa: BLE001 - the page shows it; nobody else would
            self._say(_told(question, error), ())

    # ------------------------------------------------------------ shown

    def __repr__(self) -> str:
        uniforms = "".join(f", {name}={getattr(self, f'u_{name}')!r:.40}" for name in self.uniforms)
        return f"ShaderView({self.size[0]} x {self.size[1]} at {self.time:.2f} s{uniforms})"

    def _line(self) -> str:
        return f"{self!r}: run the cell again to see it play"

    def _draw_picture(self) -> Image.Image:
        """Draw what a saved notebook shows: the present picture, or the last that was to be had, where it cannot be drawn in a moment."""
        from PIL import Image

        if self._stale:
            self._stale = False
            try:
                self._drawn = Image.fromarray(self._picture_now()[..., :3])
            except Exception:
                if self._drawn is None:
                    raise
        if self._drawn is None:
            raise BindingError("no picture of this view could be drawn yet")
        return self._drawn

    def _picture_now(self) -> NDArray[np.uint8]:
        if self._device.known is None and self.transport != "comm":
            self._device.ready(_BROWSER_S)
        request, picture, _ = self._start(None, None, -(-self.size[0] // _SAVED_WIDTH))
        with _within(_SAVED_S, lambda: self._device.cancel(request)):
            self._device.wait(request, _SAVED_S)
        return picture

    def _looks_different(self, change: Any) -> None:
        """Have the picture follow: a view that plays is as good as any of its pictures, one that stands still is not."""
        if not self._outputs or self._ended or (self.playing and change["name"] not in {"source", "size"}):
            return
        self._stale = True
        self._work(self._picture_changed)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        self._stale = True
        return super()._repr_mimebundle_(**options)

    def _ipython_display_(self) -> None:
        self._stale = True
        super()._ipython_display_()

    def close(self) -> None:
        """Close the widget: its outputs stop."""
        if getattr(self, "_release", None) is not None:
            assert self._release is not None  # noqa: S101 - just seen
            self._release()
            self._release = None
        if getattr(self, "_pool", None) is not None:
            assert self._pool is not None  # noqa: S101 - just seen
            self._pool.shutdown(wait=False, cancel_futures=True)
        # The last one will do: the GPU may be gone, or busy.
        self._stale = False
        super().close()


def _checked_size(size: Any) -> list[int]:
    found = wholes(size)
    if found is None or len(found) != 2 or min(found) < 1:
        raise ShapeError(f"size is {size!r}; it is width and height in pixels, two whole numbers of at least 1")
    return list(found)


def _told(question: str, error: Exception) -> widgets.Failed:
    """Return what a page shows of an error: of WGSL the first thing that is wrong, and where, since it quotes the line itself."""
    if isinstance(error, ShaderError) and error.line:
        place = f"line {error.line}, column {error.column}"
        said = str(error).partition(f"{place}: ")[2].partition("\n")[0]
        message, line, column = said or str(error), error.line, error.column
    else:
        message = str(error) if isinstance(error, WebGPUWidgetError) else f"{type(error).__name__}: {error}"
        line = column = 0
    return {"id": question, "kind": "error", "message": message, "line": line, "column": column}


def png(picture: NDArray[np.uint8], level: int = 1) -> bytes:
    """Return RGBA as a PNG without its alpha, which pages would show their background through."""
    from PIL import Image

    opaque = np.ascontiguousarray(picture[..., :3])
    stream = io.BytesIO()
    Image.fromarray(opaque).save(stream, "PNG", compress_level=level)
    return stream.getvalue()


@contextlib.contextmanager
def _within(seconds: float, give_up: Callable[[], None]) -> Iterator[None]:
    """Call ``give_up()`` when the block takes longer."""
    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
