"""The command line: ``webgpu-widget doctor``, ``selftest``, ``demo`` and ``bench``."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from webgpu_widget import __version__, errors

if TYPE_CHECKING:
    from webgpu_widget._selftest.report import Report


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="webgpu-widget", description="WGSL from Python, on the GPU of a browser.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("doctor", "what GPU, which browser, and why not"),
        ("selftest", "every shader against NumPy and the known hazards of adapters, on this adapter"),
        ("demo", "WGSL, a matrix product and a Mandelbrot picture in an embedded browser, without Jupyter"),
        ("bench", "time transfers, calls and products on this machine"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--json", action="store_true", help="print JSON")
        if name == "selftest":
            from webgpu_widget._selftest.command import options

            options(command)
        if name == "demo":
            command.add_argument(
                "--output", default="mandelbrot.png", help="where the picture goes (default: %(default)s)"
            )
    chosen = parser.parse_args(arguments)
    try:
        report, ok = run(chosen)
    except errors.WebGPUWidgetError as error:
        report, ok = {"error": f"{type(error).__name__}: {error}"}, False
    if chosen.json:
        print(json.dumps(report if isinstance(report, dict) else report.as_dict(), indent=1))
    else:
        print(as_text(report))
    return 0 if ok else 1


def run(chosen: argparse.Namespace) -> tuple[dict[str, Any] | Report, bool]:
    """Run the chosen command."""
    if chosen.command == "selftest":
        from webgpu_widget._selftest.command import selftest_here

        found = selftest_here(chosen)
        return found, found.ok
    if chosen.command == "doctor":
        from webgpu_widget.cli.doctor import doctor

        return doctor()
    if chosen.command == "demo":
        from webgpu_widget.cli.demo import demo

        return demo(chosen.output), True
    from webgpu_widget.cli.bench import bench

    return bench(), True


def as_text(report: dict[str, Any] | Report, indent: str = "") -> str:
    """Lay a report out as lines."""
    if not isinstance(report, dict):
        return report.text
    lines = []
    width = max((len(key) for key in report), default=0)
    for key, value in report.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", as_text(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key.replace('_', ' ').ljust(width)}  {_words(value)}")
    return "\n".join(lines)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


if __name__ == "__main__":
    sys.exit(main())
