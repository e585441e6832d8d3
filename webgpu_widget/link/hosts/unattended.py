"""Runs of a notebook that no browser shows, so that a cell would wait for its page in vain: nbconvert, papermill, nbval, Voila.

Their kernels look like any other. What tells them is who started the kernel: jupyter_client puts that process's id into ``JPY_PARENT_PID`` (jupyter_client 8), and its
command line names the program. Voila (0.5) names itself in the environment; it shows its page when all cells have ended.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from functools import lru_cache

__all__ = ["is_watched", "refusal"]

_PROGRAMS = {
    "nbconvert": "jupyter nbconvert",
    "papermill": "papermill",
    "execute": "jupyter execute",
    "voila": "Voila",
}


@lru_cache(maxsize=1)
def refusal() -> str:
    """Return why no page can answer here, and what to do; empty where one may."""
    name = "Voila" if "VOILA_KERNEL_ID" in os.environ else _runner(_command_line(os.environ.get("JPY_PARENT_PID", "")))
    if not name:
        return ""
    return (
        f"{name} runs this notebook, and no browser shows it while its cells run: set the environment variable WEBGPU_WIDGET_TRANSPORT=headless "
        "before starting it, or make the GPU with wg.GPU(transport='headless'); both start a Chromium on the machine where the kernel runs"
    )


def is_watched() -> bool:
    """Return whether a page will show the outputs while the kernel lives: Voila's comes when all cells have ended."""
    return not refusal() or "VOILA_KERNEL_ID" in os.environ


def _command_line(pid: str) -> list[str]:
    import psutil  # a dependency of ipykernel

    with contextlib.suppress(ValueError, psutil.Error):
        return [str(word) for word in psutil.Process(int(pid)).cmdline()]
    return []


def _runner(words: list[str]) -> str:
    """Return the name of what a command line runs, where it is a program that shows nothing: ``python -m nbconvert``, ``jupyter-nbconvert``."""
    rest = words[1:] if words and pathlib.PurePath(words[0]).name.startswith("python") else words
    rest = rest[1:] if rest[:1] == ["-m"] else rest
    program, *arguments = (*rest, "")
    name = pathlib.PurePath(program).stem
    if name == "jupyter" and arguments:
        name = arguments[0]
    if name in ("pytest", "py", "py.test"):
        return "pytest (nbval)" if any(word.startswith("--nbval") for word in arguments) else ""
    return _PROGRAMS.get(name.removeprefix("jupyter-"), "")
