"""The table at the end of a run."""

from __future__ import annotations

import pathlib

from budget import BUDGET, GAIN, OTHER_STEPS, table

TESTS = pathlib.Path(__file__).resolve().parents[1]


def test_each_folder_of_tests_has_a_budget() -> None:
    folders = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders == set(BUDGET)


def test_budgets_fit_into_20_and_30_minutes() -> None:
    ordinary, long = (
        sum(column) for column in zip(*(value for name, value in BUDGET.items() if name != "naga"), strict=True)
    )
    assert OTHER_STEPS[0] + BUDGET["naga"][0] + ordinary / GAIN <= 20 * 60
    assert OTHER_STEPS[1] + long / GAIN <= 30 * 60


def test_what_takes_too_long_is_named() -> None:
    lines = table({"unit": 3.0, "arrays": 9999.0}, {"unit": 7, "arrays": 1}, long=False, wall_s=10010.5)
    assert lines[1].split() == ["arrays", "1", "9999.0", str(BUDGET["arrays"][0]), "over"]
    assert lines[2].split() == ["unit", "7", "3.0", str(BUDGET["unit"][0])]
    assert lines[3].split() == ["all", "8", "10010.5", str(round((BUDGET["arrays"][0] + BUDGET["unit"][0]) / GAIN))]


def test_what_is_long_has_a_budget_of_its_own() -> None:
    seconds = {"faults": float(BUDGET["faults"][0] + 1)}
    assert table(seconds, {"faults": 63}, long=False, wall_s=1)[1].endswith("over")
    assert not table(seconds, {"faults": 63}, long=True, wall_s=1)[1].endswith("over")
