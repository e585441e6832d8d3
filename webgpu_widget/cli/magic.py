"""``%%wgsl NAME``: a cell that is WGSL."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from webgpu_widget import errors
from webgpu_widget.gpu import GPU, default_gpu

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load_ipython_extension"]

_USAGE = "usage: %%wgsl NAME [--gpu EXPRESSION]   (the cell's text becomes the kernel NAME)"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%%wgsl``; called by ``%load_ext webgpu_widget``.

    Parameters
    ----------
    shell : IPython.core.interactiveshell.InteractiveShell
        The shell that gets the magic.
    """

    def wgsl(line: str, cell: str) -> Any:
        """Compile the cell's WGSL as the kernel NAME.

        The GPU is ``--gpu EXPRESSION``, else the variable ``gpu``, else `default_gpu`.
        """
        words = line.split(maxsplit=2)
        named = bool(words) and words[0].isidentifier() and not keyword.iskeyword(words[0])
        if not named or len(words) not in {1, 3} or words[1:2] not in ([], ["--gpu"]):
            raise errors.BindingError(f"%%wgsl {line}: {_USAGE}")
        evaluate: Any = shell.ev
        found = evaluate(words[2]) if len(words) > 1 else shell.user_ns.get("gpu")
        if len(words) > 1 and not isinstance(found, GPU):
            raise errors.BindingError(f"%%wgsl: {words[2]} is {type(found).__name__}, not a wg.GPU")
        gpu = found if isinstance(found, GPU) else default_gpu()
        shell.user_ns[words[0]] = gpu.kernel(cell, name=words[0])

    register: Any = shell.register_magic_function
    register(wgsl, magic_kind="cell", magic_name="wgsl")
