"""WGSL as a function of NumPy and GPU arrays."""

from __future__ import annotations

import contextlib
import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from webgpu_widget import errors
from webgpu_widget.arrays.array import GPUArray
from webgpu_widget.arrays.values import wholes
from webgpu_widget.device.default import default_device
from webgpu_widget.device.handles import Pipeline
from webgpu_widget.device.limits import SAFE_WORKGROUPS
from webgpu_widget.kernels import bind as _bind
from webgpu_widget.kernels import layout
from webgpu_widget.kernels.describe import one_line, refuse_positional, signature
from webgpu_widget.kernels.entry import Entry
from webgpu_widget.kernels.records import GPURecords
from webgpu_widget.kernels.textures import GPUTexture
from webgpu_widget.kernels.watched.faults import Notes
from webgpu_widget.kernels.watched.instrument import Watched, instrument
from webgpu_widget.kernels.watched.tokens import UnreadableError
from webgpu_widget.link.protocol import CompileResult
from webgpu_widget.link.steps import Steps, drive
from webgpu_widget.process.caller import warn_caller

if TYPE_CHECKING:
    from inspect import Signature

    from webgpu_widget.device.device import Device

__all__ = ["Kernel", "Reflection"]

Threads = int | Sequence[int]
Output = GPUArray | GPURecords | GPUTexture
Constants = Mapping[str | int, float | bool]


class Reflection:
    """What a module declares.

    Attributes
    ----------
    bindings : dict
        By variable name: group, binding, kind, access, and type as WGSL writes it.
    structs : dict
        By name: its members with type, offset and size in bytes.
    overrides : dict
        By name: type, ``@id`` and whether it has a default.
    workgroup_size : tuple of int
        Of the chosen entry point with the chosen constants; empty when neither is chosen yet.
    entry_points : tuple of str
        All @compute functions.
    """

    def __init__(self, result: CompileResult) -> None:
        module = result["reflection"]
        self.bindings = {
            info["name"]: {
                "group": info["group"],
                "binding": info["binding"],
                "kind": info["kind"],
                "access": info["access"],
                "type": layout.describe(info["type"]),
            }
            for info in module["bindings"]
        }
        self.structs = {
            item["name"]: {
                "size": item["size"],
                "align": item["align"],
                "members": {
                    member["name"]: {
                        "offset": member["offset"],
                        "type": layout.describe(member["type"]),
                        "size": member["type"]["size"],
                    }
                    for member in item["members"]
                },
            }
            for item in module["structs"]
        }
        self.overrides = {
            item["name"]: {"type": item["type"], "id": item["id"], "has_default": item["has_default"]}
            for item in module["overrides"]
        }
        self.workgroup_size = tuple(result["workgroup_size"])
        self.entry_points = tuple(item["name"] for item in module["entry_points"])

    def __repr__(self) -> str:
        lines = [f"entry points {', '.join(self.entry_points)}; workgroup size {self.workgroup_size or 'not chosen'}"]
        lines += [
            f"  @group({b['group']}) @binding({b['binding']}) {name}: {b['kind']} {b['access']} {b['type']}"
            for name, b in self.bindings.items()
        ]
        lines += [f"  override {name}: {o['type']}" for name, o in self.overrides.items()]
        return "\n".join(lines)


class Kernel:
    """A compiled WGSL module, called with arrays by the names of its variables.

    Made by `GPU.kernel`. Calling it queues a dispatch and returns outputs that stay in the browser; it does not wait.

    Parameters
    ----------
    device : Device
        Where it runs.
    wgsl : str
        The module's text.
    name : str
        For messages and profiles.
    entry_point : str, optional
        The @compute function; needed when there are several, here or at the call.
    constants : mapping, optional
        Values of overrides, by name or ``@id``.
    check : bool
        Whether its index expressions are watched: see `GPU.kernel`.
    """

    def __init__(
        self,
        device: Device,
        wgsl: str,
        name: str,
        entry_point: str | None,
        constants: Constants | None,
        *,
        check: bool = False,
    ) -> None:
        self._device = device
        self.wgsl = wgsl
        self.name = name
        self._entry_point = entry_point
        self._constants = normal_constants(constants)
        self._check = check
        self._results: dict[Any, CompileResult] = {}
        self._result: CompileResult | None = None
        self._plain: Pipeline | None = None
        """The pipeline of calls that override nothing."""

    # ------------------------------------------------------------ compiling

    def _pipeline(self, entry_point: str | None, constants: dict[str, float]) -> Pipeline:
        return self._device.queue.pipeline(self.wgsl, self.name, entry_point, constants)

    def _compile_steps(self) -> Steps[None]:
        pipeline = self._pipeline(self._entry_point, self._constants)
        self._result = yield from self._device.queue.compiled_steps(pipeline)
        self._keep(pipeline, self._result)
        if self._check and self._result["workgroup_size"]:
            with contextlib.suppress(errors.ShaderError, errors.BindingError, errors.LimitError):  # told by the call
                yield from self._device.queue.compiled_steps(self._watcher(pipeline, self._result)[1])

    def _watcher(self, pipeline: Pipeline, result: CompileResult, *, texels: bool = True) -> tuple[Watched, Pipeline]:
        """Return the text that watches the indices of a call, and its pipeline."""
        bindings = result["reflection"]["bindings"]
        slots = tuple((info["group"], info["binding"]) for info in bindings if info["kind"] != "immediate")
        try:
            text = instrument(self.wgsl, slots, texels=texels)
        except UnreadableError as error:
            raise errors.BindingError(
                f"kernel {self.name!r}: its indices cannot be watched, since its WGSL has something that the reader for check=True does not know: {error}. "
                "Run it without check"
            ) from None
        entry = pipeline.entry_point or result["entry_point"]
        return text, self._device.queue.pipeline(text.source, self.name, entry, pipeline.constants)

    def _watching(self, pipeline: Pipeline, timeout: float | None) -> tuple[Watched, Pipeline]:
        """Return what runs in place of a call's pipeline, compiled."""
        key = pipeline.entry_point, tuple(sorted(pipeline.constants.items()))
        text, watcher = self._watcher(pipeline, self._results[key])
        try:
            self._device.queue.compiled(watcher, timeout)
        except errors.LimitError as error:
            raise errors.LimitError(f"{error}; check=True adds one storage buffer: run it without") from None
        except errors.ShaderError:
            text, watcher = self._watcher(pipeline, self._results[key], texels=False)
            try:
                self._device.queue.compiled(watcher, timeout)
            except errors.ShaderError as error:
                raise errors.BindingError(
                    f"kernel {self.name!r}: its indices cannot be watched, since the text that would watch them does not compile: {error}\nRun it without check"
                ) from None
        if text.unread:
            warn_caller(
                f"kernel {self.name!r}: {text.unread} of its statements or indexed values could not be read, and their indices are not watched"
            )
        return text, watcher

    def _keep(self, pipeline: Pipeline, result: CompileResult) -> None:
        self._results[pipeline.entry_point, tuple(sorted(pipeline.constants.items()))] = result
        found = [item for item in result["messages"] if item["severity"] == "warning"]
        self.warnings = [f"line {item['line']}, column {item['column']}: {item['message']}" for item in found]

    def _chosen(
        self, entry_point: str | None, constants: Constants | None, timeout: float | None
    ) -> tuple[Pipeline, CompileResult]:
        """Return the pipeline of a call, compiling it first if the call overrides what the kernel was made with."""
        entry_point = entry_point or self._entry_point
        merged = self._merged(normal_constants(constants)) if constants else self._constants
        pipeline = self._pipeline(entry_point, merged)
        key = (entry_point, tuple(sorted(merged.items())))
        result = self._results.get(key)
        if result is None:
            result = self._device.queue.compiled(pipeline, timeout)
            self._keep(pipeline, result)
        if not result["workgroup_size"]:
            self._undetermined(result, entry_point, merged)
        return pipeline, result

    def _ready(
        self, entry_point: str | None, constants: Constants | None, timeout: float | None
    ) -> tuple[Pipeline, Entry]:
        """Return the pipeline and entry point of a call."""
        plain = self._plain if not entry_point and not constants else None
        if plain is not None and plain.entry is not None:
            queue = self._device.queue
            queue.begin()
            if plain.generation == queue.composing:
                return plain, plain.entry
        pipeline, result = self._chosen(entry_point, constants, timeout)
        entry = pipeline.entry
        if entry is None:
            entry = pipeline.entry = Entry(result)
        if not entry_point and not constants:
            self._plain = pipeline
        return pipeline, entry

    def _merged(self, given: dict[str, float]) -> dict[str, float]:
        """Return the kernel's constants with a call's in place of them, whether by name or by ``@id``."""
        overrides = self._result["reflection"]["overrides"] if self._result is not None else []
        other = {str(item["id"]): item["name"] for item in overrides if item["id"] is not None}
        other |= {name: key for key, name in other.items()}
        kept = {key: value for key, value in self._constants.items() if other.get(key) not in given}
        return {**kept, **given}

    def _undetermined(self, result: CompileResult, entry_point: str | None, constants: dict[str, float]) -> None:
        module = result["reflection"]
        names = [item["name"] for item in module["entry_points"]]
        if entry_point is None and len(names) > 1:
            raise errors.BindingError(
                f"kernel {self.name!r} has the entry points {', '.join(names)}: choose one with entry_point="
            )
        unset = [
            o["name"]
            for o in module["overrides"]
            if not o["has_default"] and o["name"] not in constants and str(o["id"]) not in constants
        ]
        raise errors.BindingError(
            f"kernel {self.name!r}: the override{'s' * (len(unset) > 1)} {', '.join(unset)} has no default: pass constants={{{unset[0]!r}: ...}}"
        )

    @property
    def reflection(self) -> Reflection:
        """Bindings, structs, overrides and workgroup size."""
        if self._result is None:
            drive(self._compile_steps())
        return Reflection(self._compiled)

    @property
    def _compiled(self) -> CompileResult:
        if self._result is None:
            raise errors.WebGPUWidgetError(f"kernel {self.name!r} is not compiled")
        return self._result

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the NumPy dtype of WGSL's exact layout: its size and offsets.

        A matrix is a field of (rows, columns), as in ``m @ v``; WGSL's columns are laid out when it is bound. A vec3 in an array has its padding as a
        fourth number.

        Parameters
        ----------
        name : str
            A variable (its element, for an array) or a struct.

        Raises
        ------
        BindingError
            When the module has neither.
        """
        module = self._compiled["reflection"]
        for info in module["bindings"]:
            if info["name"] == name:
                kind = info["type"]
                return layout.element_dtype(kind["elem"] if kind["type"] == "array" else kind)
        for item in module["structs"]:
            if item["name"] == name:
                return layout.element_dtype(item)
        names = [info["name"] for info in module["bindings"]] + [item["name"] for item in module["structs"]]
        raise errors.BindingError(f"kernel {self.name!r} has no variable or struct {name!r}; it has {', '.join(names)}")

    # ------------------------------------------------------------ calling

    def __call__(
        self,
        arguments: Mapping[str, Any] | None = None,
        /,
        *more: object,
        threads: Threads | None = None,
        workgroups: Threads | None = None,
        constants: Constants | None = None,
        entry_point: str | None = None,
        timeout: float | None = 30.0,
        **named: Any,
    ) -> Any:
        """Queue the kernel over arguments; returns its outputs, which stay in the browser.

        Parameters
        ----------
        arguments : mapping, optional
            Arguments whose names are also keywords of this call.
        threads : int or up to three ints
            Invocations wanted in x, y and z; the workgroup count follows from ``@workgroup_size``. The last workgroup may go beyond: the shader
            compares its id with the size.
        workgroups : int or up to three ints
            The workgroup count itself. Exactly one of the two.
        constants, entry_point
            Override what the kernel was made with.
        timeout : float or None
            Seconds of silence, where this call has to wait for a compilation or for credit.
        **named
            The shader's variables: arrays, GPUArrays, `out`, textures, samplers; numbers, arrays and dicts for uniforms. What is written
            to a view of a GPUArray, as in ``y=a[1:]``, is written to `a` too; what is read has the values of before the call.

        Returns
        -------
        GPUArray, GPURecords or GPUTexture, dict of them by name, or None
            One output, several, or none.

        Raises
        ------
        BindingError, DTypeError, ShapeError, LimitError
            When the arguments do not fit; nothing has run then.
        BoundsError
            Of a kernel made with ``check=True``, which waits for the call: when an index was out of bounds.
        """
        given = self._given(arguments, named, more)
        outputs, notes = self._call(given, threads, workgroups, constants, entry_point, timeout)
        if notes is not None:
            notes.check(timeout, outputs)
        return outputs

    def _given(
        self, arguments: Mapping[str, Any] | None, named: dict[str, Any], more: Sequence[object] = ()
    ) -> dict[str, Any]:
        """Return a call's arguments by name."""
        if more or not (arguments is None or isinstance(arguments, Mapping)):
            refuse_positional(self.name, arguments, self._result)
        return {**arguments, **named} if arguments else named

    def _call(
        self,
        given: Mapping[str, Any],
        threads: Threads | None,
        workgroups: Threads | None,
        constants: Constants | None,
        entry_point: str | None,
        timeout: float | None,
    ) -> tuple[Any, Notes | None]:
        """Queue a call; returns its outputs, and what is to be checked when it has run."""
        pipeline, entry = self._ready(entry_point, constants, timeout)
        _bind.match(entry, given, self.name)
        counts = self._workgroups(threads, workgroups, entry.workgroup_size)
        watched = self._watching(pipeline, timeout) if self._check else None
        bound = _bind.bind(self._device, entry.variables, given, self.name)
        notes = None
        if watched is not None:
            text, pipeline = watched
            notes = self._noted(text, bound)
        for action in bound.before:
            action()
        self._device.queue.dispatch(pipeline, bound.args, counts)
        for action in bound.after:
            action()
        outputs = None
        if not bound.outputs:
            self._check_kept(entry, given)
        else:
            named = {name: bound.outputs[name] for name in given if name in bound.outputs}
            outputs = next(iter(named.values())) if len(named) == 1 else named
        return outputs, notes

    def _check_kept(self, entry: Entry, given: Mapping[str, Any]) -> None:
        """Warn of a call of which nothing is to be seen: all that it writes is a copy of what it was given."""
        lost = []
        for variable in entry.variables:  # those that are written come first
            if not variable.written:
                break
            if isinstance(given[variable.name], Output):
                return
            lost.append(variable.name)
        if lost:
            what = ", ".join(map(repr, lost))
            warn_caller(
                f"kernel {self.name!r}: nothing of this call comes back, since {what} {'is' if len(lost) == 1 else 'are'} written in copies of what was "
                f"passed. For a result pass {lost[0]}=wg.out(shape, dtype), or {lost[0]}=gpu.array(...), which is written in place"
            )

    def _noted(self, text: Watched, bound: _bind.Bound) -> Notes | None:
        """Bind the notes of a watched call; those of a recorded one are checked after each replay."""
        queue = self._device.queue
        notes = Notes(queue, text, self.name)
        bound.args.append((text.group, text.binding, notes.buffer))
        if queue.recorder is None:
            return notes
        queue.recorder.holds.append(notes)
        return None

    def _workgroups(self, threads: Threads | None, workgroups: Threads | None, size: Sequence[int]) -> list[int]:
        if (threads is None) == (workgroups is None):
            raise errors.BindingError(
                f"kernel {self.name!r}: pass exactly one of threads= (invocations wanted) and workgroups= (workgroup counts)"
            )
        if type(threads) is int and 0 <= threads <= SAFE_WORKGROUPS:
            return [-(-threads // size[0]), 1, 1]
        wanted: Any = threads if threads is not None else workgroups
        given = (wanted,) if type(wanted) is int else wholes(wanted)
        label = "threads" if threads is not None else "workgroups"
        if given is None or not 1 <= len(given) <= 3 or min(given) < 0:
            raise errors.BindingError(
                f"kernel {self.name!r}: {label}={wanted!r}; it is one to three ints of at least 0"
            )
        sizes = [*given, *[1] * (3 - len(given))]
        counts = [math.ceil(n / per) for n, per in zip(sizes, size, strict=True)] if threads is not None else sizes
        if max(counts) > SAFE_WORKGROUPS:
            limit = self._device.info.limits["maxComputeWorkgroupsPerDimension"]
            if max(counts) > limit:
                raise errors.LimitError(
                    f"kernel {self.name!r}: {label}={wanted!r} makes {tuple(counts)} workgroups of {tuple(size)}, but this adapter takes at most {limit} in each "
                    "direction: use a larger @workgroup_size, several directions, or a loop over elements in the shader"
                )
        return counts

    def __repr__(self) -> str:
        return one_line(self.name, self._result)

    @property
    def __signature__(self) -> Signature:
        """What ``help(kernel)`` and Tab show: the shader's variables with their types."""
        return signature(self._compiled)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by source: whoever unpickles it has it compiled for their own default GPU."""
        return _again, (self.wgsl, self.name, self._entry_point, self._constants, self._check)

    def _repr_html_(self) -> str:
        return f"<details><summary>kernel <b>{html.escape(self.name)}</b></summary><pre>{html.escape(self.wgsl)}</pre></details>"


def _finite(value: Any) -> float | None:
    """Return a number or bool as a float; None for what is neither, and for what no float holds."""
    if not isinstance(value, (int, float, np.integer, np.floating, np.bool_)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def normal_constants(constants: Constants | None) -> dict[str, float]:
    """Return constants by name or ``@id`` as the browser takes them: strings and numbers."""
    result = {}
    if constants is not None and not isinstance(constants, Mapping):
        raise errors.BindingError(
            f"constants are {constants!r:.80}; pass a dict of override names or @id numbers, as in {{'TILE': 16}}"
        )
    for key, value in (constants or {}).items():
        number = _finite(value)
        if number is None:
            raise errors.BindingError(f"the constant {key!r} is {value!r:.80}; overrides take finite numbers and bools")
        if number == 0 and math.copysign(1.0, number) < 0:
            raise errors.BindingError(
                f"the constant {key!r} is -0.0, and compilers drop the sign of an override's zero: pass 0.0, or the number in a uniform, which keeps it"
            )
        result[str(key)] = number
    return result


def _again(wgsl: str, name: str, entry_point: str | None, constants: Constants, check: bool) -> Kernel:
    return default_device().gpu.kernel(wgsl, name, entry_point, constants, check=check)


def uses_gpu(arguments: Mapping[str, Any] | None, named: Mapping[str, Any]) -> bool:
    """Say whether anything that lives on a GPU is among a call's arguments."""
    mapped = arguments.values() if isinstance(arguments, Mapping) else ()
    return any(isinstance(value, Output) for value in (*mapped, *named.values()))


def read_outputs(device: Device, outputs: Any) -> Steps[Any]:
    """Read a call's outputs in one round trip; same structure, in NumPy."""
    if outputs is None:
        return None
    named = outputs if isinstance(outputs, dict) else {"": outputs}
    finish, spans, textures = _plan_read(named)
    data = (yield from device.queue.read_steps(spans, "reading the outputs")) if spans else []
    values = finish(data)
    for name, item in textures.items():
        values[name] = yield from item._numpy_steps()
    return {name: values[name] for name in outputs} if isinstance(outputs, dict) else values[""]


def _plan_read(named: dict[str, Output]) -> tuple[Any, list[Any], dict[str, GPUTexture]]:
    textures = {name: item for name, item in named.items() if isinstance(item, GPUTexture)}
    buffers = {name: item for name, item in named.items() if not isinstance(item, GPUTexture)}
    each = {name: item._spans() for name, item in buffers.items()}
    spans = [span for part in each.values() for span in part]

    def finish(data: list[Any]) -> dict[str, Any]:
        rest = list(data)
        values = {}
        for name, item in buffers.items():
            count = len(each[name])
            values[name] = item._from_bytes(rest[:count])
            del rest[:count]
        return values

    return finish, spans, textures
