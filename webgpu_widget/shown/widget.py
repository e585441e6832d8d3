"""Widgets whose outputs keep a picture and a line of text in the notebook's file."""

from __future__ import annotations

import base64
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from webgpu_widget.link import hosts
from webgpu_widget.link.hosts.base import Output
from webgpu_widget.process.fork import Lock
from webgpu_widget.shown import pictures

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["PicturedWidget"]

_EVERY_S = 2.0
_VIEW = "application/vnd.jupyter.widget-view+json"


class PicturedWidget(anywidget.AnyWidget):
    """A widget that also leaves a picture and a line of text in the notebook's file.

    An output holds the view, a PNG and a line. JupyterLab and Notebook 7 take the view even where its model is gone with the kernel, and show an error in
    its place. So when such a page has said that it is there, the output becomes the PNG and the line alone, and the page puts the live view where the PNG
    is (js/src/views/places.ts), for as long as the kernel answers. What the PNG shows follows, at most every two seconds. Under nbconvert and papermill, whose
    outputs nobody sees before their kernel is gone, the output is bare from the beginning.

    Attributes
    ----------
    _picture_id : str
        In the PNG's text chunk: by it the page finds its place.
    _page, _heard : str
        What a page says of itself, and the answer, by which it knows that a kernel is there.
    """

    _picture_id = traitlets.Unicode().tag(sync=True)
    _page = traitlets.Unicode().tag(sync=True)
    _heard = traitlets.Unicode().tag(sync=True)

    @traitlets.default("_picture_id")
    def _new_picture_id(self) -> str:
        return uuid.uuid4().hex

    def __init__(self, *args: Any, **traits: Any) -> None:
        self._outputs: list[Output] = []
        self._outputs_lock = Lock()
        self._sent_at = 0.0
        self._later: threading.Timer | None = None
        self._sent: dict[str, Any] | None = None
        self._ended = False
        self._unseen = False
        self._is_bare = False
        super().__init__(*args, **traits)

    def open(self) -> None:
        """Open the widget's comm, unless nobody will ever see it: what runs a notebook unseen would keep its traits and its module in the file."""
        if hosts.here().is_watched:
            super().open()

    @property
    def model_id(self) -> str:
        """The comm's id. Whoever puts this into a box, or links it to another widget, asks for it: then there is a comm, watched or not."""
        if self.comm is None and not self._ended:
            super().open()
        return str(super().model_id)

    # ------------------------------------------------------------ of each kind

    def _draw_picture(self) -> Image.Image:
        """Draw what the view shows now."""
        raise NotImplementedError

    def _line(self) -> str:
        """Say in a line what the view shows."""
        return repr(self)

    # ------------------------------------------------------------ outputs

    def _bundle(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        live: Any = {} if self._ended or not hosts.here().is_watched else super()._repr_mimebundle_(**options)
        data, metadata = live if isinstance(live, tuple) else (live or {}, {})
        bundle = dict(data)
        # A terminal has no cell to run again.
        bundle["text/plain"] = self._line() if hosts.here().has_page else repr(self)
        try:
            picture = self._draw_picture()
        except Exception:  # noqa: BLE001 - the view itself says what is wrong, and a page needs a picture to put it there
            picture = pictures.card(type(self).__name__, "not drawn", "wait", message=self._line())
        bundle["image/png"] = base64.b64encode(pictures.png(picture, self._picture_id)).decode("ascii")
        metadata = {**metadata, "image/png": {"width": pictures.page_width(picture)}}
        return bundle, metadata

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self._bundle(**options)

    def _ipython_display_(self) -> None:
        host = hosts.here()
        if not host.has_page:
            raise NotImplementedError  # IPython goes on with text
        self._unseen, self._is_bare = bool(host.refusal), not host.is_watched
        data, metadata = self._bundle()
        self._sent = {key: value for key, value in data.items() if key != _VIEW}
        output = host.display(self._sent if self._is_bare else data, metadata)
        with self._outputs_lock:
            self._outputs.append(output)
            del self._outputs[:-8]

    @traitlets.observe("_page")
    def _page_speaks(self, change: Any) -> None:
        self._heard = change["new"]
        self._sent = None
        self._refresh()

    @property
    def _is_followed(self) -> bool:
        """Whether outputs can be changed without making their views anew."""
        return self._ended or bool(self._page) or self._unseen

    def _picture_changed(self) -> None:
        """Have the outputs follow what the view shows: at once, or when two seconds have passed since they did; from any thread."""
        if not self._outputs or not self._is_followed:
            return
        with self._outputs_lock:
            if self._later is not None:
                return
            left = self._sent_at + _EVERY_S - time.monotonic()
            if left > 0:
                self._later = threading.Timer(left, self._refresh)
                self._later.daemon = True
                self._later.start()
                return
        self._refresh()

    def _refresh(self) -> None:
        with self._outputs_lock:
            self._later = None
            outputs = list(self._outputs)
            self._sent_at = time.monotonic()
        if not outputs or not self._is_followed:
            return
        data, metadata = self._bundle()
        bare = {key: value for key, value in data.items() if key != _VIEW}
        if bare == self._sent:
            return
        self._sent = bare
        for output in outputs:
            output.update(bare if self._page or self._ended or self._is_bare else data, metadata)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{type(self).__name__} belongs to this process and its page, and cannot be pickled. Another process makes its own; a task of a "
            "cluster is called with the GPU of its worker."
        )

    def close(self) -> None:
        """Close the widget; its picture stays."""
        if not getattr(self, "_ended", True):
            self._ended = True
            if self._outputs:
                with self._outputs_lock:
                    if self._later is not None:
                        self._later.cancel()
                    self._later = None
                self._sent = None
                self._refresh()
        super().close()
        # ipywidgets lets what is closed show nothing.
        self.__dict__.pop("_repr_mimebundle_", None)
