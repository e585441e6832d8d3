"""``load_weights``: from a source to a `Weights` that is coming in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from webgpu_widget.device.default import as_device
from webgpu_widget.errors import WeightsError
from webgpu_widget.link import services
from webgpu_widget.link.steps import Steps, call, drive, drive_async
from webgpu_widget.weights.convert import Rules
from webgpu_widget.weights.loader import Weights
from webgpu_widget.weights.plan import Plan, make_plan
from webgpu_widget.weights.progress import show
from webgpu_widget.weights.routes import probe_params, route_from
from webgpu_widget.weights.source import open_source

if TYPE_CHECKING:
    import os

    from webgpu_widget.device.device import Device
    from webgpu_widget.gpu import GPU
    from webgpu_widget.weights.plan import Stages
    from webgpu_widget.weights.source import Source, SourceFile

__all__ = ["load_weights", "load_weights_async"]

MAX_CHUNK_BYTES = 8 * 1024 * 1024


def load_weights(
    source: str | os.PathLike[str],
    gpu: GPU | None = None,
    stages: Stages | None = None,
    dtype: Any = None,
    quantize: Any = None,
    cache: bool = True,
    progress: bool = True,
    verify: bool = True,
    *,
    budget_bytes: int | None = None,
    timeout: float | None = 30.0,
    route: Literal["comm"] | None = None,
    chunk_bytes: int | None = None,
    max_binding_bytes: int | None = None,
) -> Weights:
    """Begin to load weights into the browser's GPU, stage by stage, and return at once.

    Parameters
    ----------
    source : str or path
        A ``.safetensors`` file or its index, a ``.gguf`` or ``.npz`` file, or a folder with one of them; an http(s) URL of one;
        ``"hf:owner/name"`` or ``"hf:owner/name/file"``.
    gpu : GPU, optional
        The default GPU when left out.
    stages : "layers", list of lists of str, or callable, optional
        What loads together, in order: by layer (the default), by lists of name patterns, or by a function from name to stage.
    dtype : "f32", "f16", "stored" or mapping, optional
        For floating tensors, or name patterns with one of them each. Left out: float32 and float16 as they are stored, all
        others (bfloat16, 8-bit floats, GGUF's quantised types) as float32. "stored" keeps bfloat16 and GGUF's quantised blocks
        byte for byte, as a 1-D array of uint32 words, for kernels that decode them where they are used.
    quantize : "int8", "int4" or mapping, optional
        Quantise matrices as they arrive, in groups of 32 along the last axis; or name patterns with one of them each.
    cache : bool
        Keep the bytes in the browser's storage, for the next load.
    progress : bool
        Show a bar: a widget in a notebook, tqdm in a terminal.
    verify : bool
        Compare digests (SHA-256 of the SHA-256 sums of blocks of 256 KiB): of every chunk with the local file's, and of cached chunks with
        what they were. A file whose server gives its SHA-256 or SHA-512 (``Repr-Digest``, ``X-Linked-ETag``, ``Digest``, or an ``ETag`` of 64
        hexadecimal digits) is brought whole, in its own order, and its tensors are handed out when all of it has been checked; a wrong
        one is neither handed out nor kept. From then on its chunks are checked one by one, and stages come as they are asked for.
        ``verify=False`` hands tensors out as they come, the first time too.
    budget_bytes : int, optional
        Most bytes that all weights on this GPU may take together from now on; the least recently used stages give way.
    timeout : float or None
        Seconds of silence while the page is asked how it can reach the file.
    route : "comm", optional
        Have Python send the bytes, whatever else would work.
    chunk_bytes : int, optional
        What is fetched, hashed and kept as one: a multiple of 4; chosen by the file's size when left out.
    max_binding_bytes : int, optional
        Split tensors above this size; the adapter's limit when left out.

    Returns
    -------
    Weights

    Raises
    ------
    FormatError
        The file is not what it says.
    WeightsError
        There is no such file, or the server refuses. Reading a tensor raises `IntegrityError` where digests differ.
    FrontendError, DeviceError
        There is no page or no GPU.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> import webgpu_widget as wg
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "w.npz"
    >>> np.savez(path, **{"layer.0.w": np.arange(6, dtype=np.float32).reshape(2, 3)})
    >>> weights = wg.load_weights(path, progress=False)
    >>> weights["layer.0.w"].numpy()
    array([[0., 1., 2.],
           [3., 4., 5.]], dtype=float32)
    """
    options = _options(cache, verify, budget_bytes, chunk_bytes, max_binding_bytes)
    return drive(_load_steps(source, gpu, stages, dtype, quantize, route, options, progress=progress), timeout)


async def load_weights_async(
    source: str | os.PathLike[str],
    gpu: GPU | None = None,
    stages: Stages | None = None,
    dtype: Any = None,
    quantize: Any = None,
    cache: bool = True,
    progress: bool = True,
    verify: bool = True,
    *,
    budget_bytes: int | None = None,
    timeout: float | None = 30.0,
    route: Literal["comm"] | None = None,
    chunk_bytes: int | None = None,
    max_binding_bytes: int | None = None,
) -> Weights:
    """Coroutine twin of `load_weights`."""
    options = _options(cache, verify, budget_bytes, chunk_bytes, max_binding_bytes)
    steps = _load_steps(source, gpu, stages, dtype, quantize, route, options, progress=progress)
    return await drive_async(steps, timeout)


def _load_steps(
    source: str | os.PathLike[str],
    gpu: GPU | None,
    stages: Stages | None,
    dtype: Any,
    quantize: Any,
    route: Literal["comm"] | None,
    options: dict[str, Any],
    *,
    progress: bool,
) -> Steps[Weights]:
    chosen, rules, opened, plan = yield from call(
        lambda: _prepare(source, gpu, stages, dtype, quantize), drop=lambda prepared: prepared[2].close()
    )
    try:
        yield from chosen.ready_steps()
        routes = []
        for file in opened.files:
            served = _serve(chosen, opened, file)
            known = probe_params(file, chosen, served, by_python=route == "comm")
            reply = yield from chosen.queue.ask_steps(services.PROBE, known, f"asking how to reach {file.name}")
            routes.append(route_from(reply, file, served))
        made = Weights(opened, plan, rules, chosen, routes, options)
    except BaseException:
        opened.close()
        raise
    if progress:
        show(made)
    return made


def _prepare(
    source: str | os.PathLike[str], gpu: GPU | None, stages: Stages | None, dtype: Any, quantize: Any
) -> tuple[Device, Rules, Source, Plan]:
    rules = Rules(dtype, quantize)
    opened = open_source(source)
    try:
        chosen = as_device(gpu)
        return chosen, rules, opened, make_plan(opened, stages, rules, chosen)
    except BaseException:
        opened.close()
        raise


def _options(
    cache: bool, verify: bool, budget_bytes: int | None, chunk_bytes: int | None, max_binding_bytes: int | None
) -> dict[str, Any]:
    if chunk_bytes is not None and (chunk_bytes < 1024 or chunk_bytes % 4 or chunk_bytes > MAX_CHUNK_BYTES):
        raise WeightsError(f"chunk_bytes={chunk_bytes}: must be a multiple of 4 from 1024 to {MAX_CHUNK_BYTES}")
    return {
        "cache": cache,
        "verify": verify,
        "budget_bytes": budget_bytes,
        "chunk_bytes": chunk_bytes,
        "max_binding_bytes": max_binding_bytes,
    }


def _serve(device: Device, source: Source, file: SourceFile) -> str | None:
    """Have the hub serve a local file; the page tries whether it can reach it."""
    if file.path is None:
        return None
    hub = device.transport.hub
    url: str = hub.serve_file(file.path)
    source.on_close.append(lambda: hub.stop_serving(url))
    return device.transport.address_for_page(url)
