"""WGSL files, the only place where WGSL lives; they go to the browser as text.

`source` resolves their imports and puts in what an adapter or a type asks for; `uniforms` packs the structs that they read.
"""

from __future__ import annotations

from webgpu_widget.shaders.source import load, names, specialise

__all__ = ["load", "names", "specialise"]
