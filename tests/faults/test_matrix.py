"""Every fault ends well, in every state: the telling cells of the table; ``make faults`` plays them all."""

from __future__ import annotations

import numpy as np
import pytest
from play import play
from table import CELLS, Cell

from webgpu_widget.link.transports._hub import Hub


@pytest.fixture(scope="module", autouse=True)
def _hub() -> None:
    """What stays for the life of this process is there before anything is counted."""
    Hub.shared()


@pytest.mark.alone
@pytest.mark.faults
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.telling], ids=lambda cell: cell.name)
def test_cell(cell: Cell, rng: np.random.Generator) -> None:
    print(play(cell, rng))


def test_the_table_says_why_a_cell_is_missing() -> None:
    assert len({cell.name for cell in CELLS}) == len(CELLS)
    assert 60 <= sum(cell.telling for cell in CELLS) <= 80
    assert not [cell.name for cell in CELLS if cell.telling and cell.missing]
