"""What goes on when a fault strikes. Each is a function that works, over and over and checking what it gets, until told that it has struck."""

from __future__ import annotations

import itertools
import pathlib
import queue
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from fake_page import COUNT, SQUARE
from safetensors.numpy import save_file

import webgpu_widget as wg

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = ROOT / "notebooks" / "tiny_t5"
DEEP = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")
MIB = 2**20


class Wrong(Exception):  # noqa: N818
    """An answer that is neither right nor an error."""


def _same(got: object, wanted: object) -> None:
    if not np.array_equal(np.asarray(got), np.asarray(wanted)):
        raise Wrong("an answer is wrong")


Place = Any
"""One of `places`, or a kernel's: what has a GPU."""
Work = Callable[[threading.Event, threading.Event], None]


class Told(wg.FrontendLostError):
    """What the page of an explorer was told in the place of its picture; a kernel raises nothing there."""


def _until(struck: threading.Event, busy: threading.Event, once: Callable[[], None]) -> None:
    once()
    busy.set()
    while not struck.is_set():
        once()
    once()


def idle(_place: Place, _rng: np.random.Generator) -> Work:
    """Nothing is under way."""

    def work(struck: threading.Event, busy: threading.Event) -> None:
        busy.set()
        struck.wait(90)

    return work


def calls(place: Place, rng: np.random.Generator) -> Work:
    """Kernel calls, a hundred at a time."""
    kernel, x = place.gpu.kernel(SQUARE), rng.integers(-99, 99, 4096).astype(np.float32)

    def once() -> None:
        for _ in range(100):
            y = kernel(x=x, y=wg.out(4096), threads=4096)
        _same(y.numpy(), x * x)

    return lambda struck, busy: _until(struck, busy, once)


def upload(place: Place, rng: np.random.Generator) -> Work:
    """Arrays of 32 MiB go up."""
    data = rng.integers(0, 2**32, 8 * MIB, dtype=np.uint32)

    def once() -> None:
        _same(place.gpu.array(data)[-4:].numpy(), data[-4:])

    return lambda struck, busy: _until(struck, busy, once)


def read(place: Place, rng: np.random.Generator) -> Work:
    """Arrays of 32 MiB come down."""
    data = rng.integers(0, 2**32, 8 * MIB, dtype=np.uint32)
    held = place.gpu.array(data)

    def once() -> None:
        _same(held.numpy(), data)

    return lambda struck, busy: _until(struck, busy, once)


def load_weights(place: Place, rng: np.random.Generator) -> Work:
    """A file of 32 MiB is loaded."""
    folder = tempfile.TemporaryDirectory(prefix="faults-")
    path = pathlib.Path(folder.name) / "model.safetensors"
    tensors = {f"layer.{i}": rng.random(MIB, np.float32) for i in range(8)}
    save_file(tensors, path)

    def once() -> None:
        weights = wg.load_weights(path, place.gpu, progress=False)
        for name, wanted in tensors.items():
            _same(weights[name].numpy(), wanted)
        weights.free()

    def work(struck: threading.Event, busy: threading.Event) -> None:
        with folder:
            _until(struck, busy, once)

    return work


def generate(place: Place, _rng: np.random.Generator) -> Work:
    """A small T5 translates."""
    model = wg.T5.from_pretrained(TINY, place.gpu, progress=False)
    wanted = model.generate("Das Haus ist groß.", max_new_tokens=12)

    def once() -> None:
        if str(model.generate("Das Haus ist groß.", max_new_tokens=12)) != str(wanted):
            raise Wrong("another translation")

    def work(struck: threading.Event, busy: threading.Event) -> None:
        try:
            _until(struck, busy, once)
        finally:
            model.free()

    return work


def recording(place: Place, rng: np.random.Generator) -> Work:
    """A program is recorded."""
    kernel, x = place.gpu.kernel(SQUARE), rng.integers(-99, 99, 64).astype(np.float32)

    def work(struck: threading.Event, busy: threading.Event) -> None:
        with place.gpu.record() as program:
            y = kernel(x=x, y=wg.out(64), threads=64)
            busy.set()
            struck.wait(90)
            kernel(x=x, y=wg.out(64), threads=64)
        program.replay(3)
        _same(y.numpy(), x * x)

    return work


def replay(place: Place, _rng: np.random.Generator) -> Work:
    """A program is replayed, a thousand times a call."""
    n = place.gpu.zeros(1, np.uint32)
    kernel = place.gpu.kernel(COUNT)
    with place.gpu.record() as program:
        kernel(n=n, threads=1)
    total = 0

    def once() -> None:
        nonlocal total
        program.replay(1000)
        total += 1000
        _same(n.numpy(), [total])

    return lambda struck, busy: _until(struck, busy, once)


class _Asking:
    """An explorer's page that asks, and has each answer."""

    def __init__(self, explorer: wg.MandelbrotExplorer) -> None:
        self._explorer = explorer
        self._answers: queue.Queue[tuple[dict[str, Any], list[bytes]]] = queue.Queue()
        self._numbers = itertools.count()
        explorer._say = self._heard

    def _heard(self, content: dict[str, Any], buffers: Sequence[Any]) -> None:
        self._answers.put((content, [bytes(item) for item in buffers]))

    def ask(self, kind: str, width: str, size: tuple[int, int]) -> tuple[str, list[bytes]]:
        view = {
            "center": list(DEEP),
            "width": width,
            "size": list(size),
            "max_iter": 500,
            "power": 2,
            "julia": None,
        }
        number = str(next(self._numbers))
        asked = {"coarse": 1} if kind == "draw" else {"have": "", "exact": False}
        self._explorer._on_message(self._explorer, {"id": number, "kind": kind, "view": view, **asked}, [])
        content, buffers = {"id": ""}, []
        while content["id"] != number:  # one that was interrupted is answered later
            content, buffers = self._answers.get(timeout=90)
        if content["kind"] == "error":
            if re.match(r"\w+(Error|Exception): ", content["message"]):
                raise Wrong(f"an explorer's page was told {content['message']!r}")
            raise Told(content["message"])
        return content["kind"], buffers


def explorer(place: Place, _rng: np.random.Generator) -> Work:
    """An explorer's page asks for pictures, and for the reference of a deep view."""
    shown = wg.MandelbrotExplorer(gpu=place.gpu)
    page = _Asking(shown)
    questions = [("draw", "0.01", (96, 64)), ("draw", "1e-20", (48, 32)), ("prepare", "1e-25", (200, 150))]
    wanted = [page.ask(*question) for question in questions]

    def once() -> None:
        for question, known in zip(questions, wanted, strict=True):
            kind, buffers = page.ask(*question)
            if kind != known[0] or buffers != known[1]:
                raise Wrong(f"another answer to {question}")

    def work(struck: threading.Event, busy: threading.Event) -> None:
        try:
            _until(struck, busy, once)
        finally:
            shown.close()

    return work


STATES: dict[str, Callable[[Place, np.random.Generator], Work]] = {
    "idle": idle,
    "calls": calls,
    "upload": upload,
    "read": read,
    "load_weights": load_weights,
    "generate": generate,
    "explorer": explorer,
    "recording": recording,
    "replay": replay,
}
