"""choices.json, which the page's tests read, is what Python chooses."""

from __future__ import annotations

import json

from make_choices import PATH, make


def test_the_choices_that_the_page_is_tested_with_are_those_of_python() -> None:
    assert PATH.read_text() == make(), "write it anew: python tests/mandelbrot/make_choices.py"
    direct = [row[-1] for row in json.loads(PATH.read_text())["direct"]]
    assert 0.2 < sum(direct) / len(direct) < 0.8, "about the border"
