"""Says what building needs, before it fails for want of it."""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NeedsNode(BuildHookInterface[Any]):
    """Asks for Node where the browser's part is not built yet."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Raise when the bundle is missing and cannot be built."""
        bundle = pathlib.Path(self.root) / "webgpu_widget" / "static" / "widget.js"
        if bundle.is_file() or os.environ.get("SKIP_JUPYTER_BUILDER") or shutil.which("npm"):
            return
        raise SystemExit(
            "webgpu_widget: the browser's part is not built in this source tree, and building it needs Node 20 or newer, of which no npm is found. "
            "Install Node (https://nodejs.org) and try again, or install a wheel, which needs none."
        )
