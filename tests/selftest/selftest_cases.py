"""All cases of the selftest."""

from __future__ import annotations

from webgpu_widget import shaders
from webgpu_widget._selftest import AREAS, areas_of
from webgpu_widget._selftest.case import Case

CASES: list[Case] = [case for area in areas_of(AREAS) for case in area]
SHADERS = shaders.names()
