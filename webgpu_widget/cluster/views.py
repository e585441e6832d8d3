"""What is shown in a notebook."""

from __future__ import annotations


class Table(list):
    pass
