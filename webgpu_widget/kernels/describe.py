"""What a kernel says of itself to a reader: a signature for Tab and ``help()``, one line, and why it takes arrays by name alone."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.kernels import layout

if TYPE_CHECKING:
    from webgpu_widget.link.protocol import BindingInfo, CompileResult

__all__ = ["one_line", "refuse_positional", "signature"]

_OPTIONS: dict[str, Any] = {
    "threads": None,
    "workgroups": None,
    "constants": None,
    "entry_point": None,
    "timeout": 30.0,
}


def _used(result: CompileResult) -> list[BindingInfo]:
    """Return the variables of the chosen entry point, or all where none is chosen; names that are no Python names are left to a mapping."""
    module = result["reflection"]
    chosen = [item for item in module["entry_points"] if item["name"] == result["entry_point"]]
    numbers = chosen[0]["bindings"] if chosen else range(len(module["bindings"]))
    return [module["bindings"][number] for number in numbers]


def signature(result: CompileResult) -> Signature:
    """Return a call's parameters: the shader's variables with their WGSL types, then the options."""
    variables = [
        Parameter(info["name"], Parameter.KEYWORD_ONLY, annotation=layout.describe(info["type"]))
        for info in _used(result)
        if info["name"] not in _OPTIONS and info["name"].isidentifier()
    ]
    options = [Parameter(name, Parameter.KEYWORD_ONLY, default=value) for name, value in _OPTIONS.items()]
    return Signature([*variables, *options])


def one_line(name: str, result: CompileResult | None) -> str:
    """Return a kernel's name, its variables and its workgroup."""
    if result is None:
        return f"Kernel({name!r}, not compiled)"
    variables = ", ".join(
        f"{info['name']}: {'inout ' if info['access'] != 'read' and info['kind'] == 'storage' else ''}{layout.describe(info['type'])}"
        for info in _used(result)
    )
    size = " x ".join(map(str, result["workgroup_size"]))
    return f"Kernel({name!r}: {variables or 'no variables'}{f'; workgroups of {size}' if size else ''})"


def refuse_positional(name: str, given: object, result: CompileResult | None) -> None:
    """Raise for an argument by position that is no mapping.

    Raises
    ------
    BindingError
        With the call that was probably meant.
    """
    names = [info["name"] for info in _used(result)] if result is not None else []
    call = ", ".join(f"{one}=..." for one in names) or "..."
    raise errors.BindingError(
        f"kernel {name!r} was given {type(given).__name__} by position. WGSL's variables have no order that a call could follow, so arrays are passed by the "
        f"names of the shader's variables: {name}({call}, threads=...), or all in one dict"
    )
