"""All cases of the selftest."""

from __future__ import annotations

from webgpu_widget._selftest import AREAS, areas_of
from webgpu_widget._selftest.case import Case
from webgpu_widget._selftest.runner import shader_files

CASES: list[Case] = [case for area in areas_of(AREAS) for case in area]
SHADERS = shader_files()
