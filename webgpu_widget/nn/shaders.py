"""The WGSL of neural networks in its variants: number format of the weights, width of a head, adapters with and without subgroups."""

from __future__ import annotations

import functools

from webgpu_widget.nn.formats import FORMATS, Format
from webgpu_widget.shaders import source

__all__ = ["variant"]


@functools.cache
def variant(
    name: str,
    *,
    weights: Format = "f32",
    head: int = 64,
    subgroups: bool = True,
    on_cpu: bool = False,
    rows: int = 1,
    outputs: int = 1,
) -> str:
    """Return a shader of ``shaders/nn`` for a number format, a width of head and an adapter.

    Parameters
    ----------
    name
        Its file, without the ending.
    weights
        Format of its ``Packed`` words, where it has any.
    head
        Width of an attention head, a multiple of 4, where it matters.
    subgroups
        Whether the adapter has the feature; else teams are workgroups.
    on_cpu
        Whether a CPU runs it.
    rows
        How many rows a team takes at once: 1, or with subgroups 4.
    outputs
        How many outputs of a row a team makes at once: 1, or of matrices in blocks of 32, 4.
    """
    path = f"nn/{name}"
    used, text, stored = source.imports(path), source.read(path), FORMATS[weights]
    instead = {}
    if "shared/packed" in used:
        instead["shared/packed"] = stored.reader()
    if "shared/product" in used and stored.values > 4:
        instead["shared/product"] = stored.product_of_block(whole_blocks=on_cpu)
    if outputs == 4:
        if "OUTPUTS" not in text or stored.values != 32:
            raise ValueError(f"{name} does not make four outputs at once of {weights}")
        instead["shared/one_row"] = source.read("shared/four_outputs")
        instead["shared/product"] = stored.product_of_outputs()
    if rows == 4:
        if "ROWS" not in text or not subgroups:
            raise ValueError(f"{name} does not take four rows at once{'' if subgroups else ' without subgroups'}")
        instead["shared/one_row"] = source.read("shared/four_rows")
    if "shared/team" in used and not subgroups:
        instead["shared/team"] = source.read("shared/workgroup_team")
    return source.specialise(path, const={"HEAD": head // 4} if "const HEAD: u32" in text else None, instead=instead)
