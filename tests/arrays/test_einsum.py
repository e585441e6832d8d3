"""einsum on random subscripts: NumPy's values, and an error where NumPy has one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import webgpu_widget as wg

RELAXED = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TERM = st.lists(st.sampled_from(["i", "j", "k", "B", "..."]), max_size=4).map("".join)
BROKEN = st.text(alphabet="ijk.,->1 ", max_size=8)


def check(gpu, *arguments):
    """Compare with NumPy, values or errors; arrays among the arguments are NumPy's."""
    mine = [gpu.array(a) if isinstance(a, np.ndarray) else a for a in arguments]
    try:
        want = np.einsum(*arguments)
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else wg.ShapeError
        with pytest.raises(kind):
            wg.einsum(*mine, gpu=gpu)
        return
    np.testing.assert_array_equal(wg.einsum(*mine, gpu=gpu).numpy(), want, strict=True)


@st.composite
def calls(draw, letters):
    """Draw subscripts that mostly fit, and shapes in which each letter mostly has one side."""
    terms = draw(st.lists(TERM, min_size=1, max_size=3))
    sides = {c: draw(st.integers(0, 3)) for c in "ijkB"}
    dots = draw(st.lists(st.integers(1, 3), max_size=2))

    def side(c):
        return draw(st.sampled_from([sides[c], sides[c], sides[c], 1, 2])) if draw(st.booleans()) else sides[c]

    shapes = []
    for term in terms:
        shape: list[int] = []
        rest = term
        while rest:
            if rest.startswith("..."):
                shape += draw(st.sampled_from([dots, dots[1:], [1] * len(dots)]))
                rest = rest[3:]
            else:
                shape.append(side(rest[0]))
                rest = rest[1:]
        if draw(st.integers(0, 9)) == 0:
            shape = shape[1:]
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if letters or draw(st.booleans()):
        text += "->" + draw(TERM)
    return text, shapes, draw(st.sampled_from([np.int32, np.float32, np.bool_])), draw(st.integers(0, 2**32 - 1))


def operands(shapes, dtype, seed):
    rng = np.random.default_rng(seed)
    # Sums of products of such numbers are exact in float32.
    return [
        rng.integers(0 if dtype is np.bool_ else -3, 2 if dtype is np.bool_ else 4, s).astype(dtype) for s in shapes
    ]


@RELAXED
@given(calls(letters=False))
def test_random_subscripts(gpu, call):
    text, shapes, dtype, seed = call
    check(gpu, text, *operands(shapes, dtype, seed))


@RELAXED
@given(BROKEN, st.lists(st.lists(st.integers(1, 3), max_size=3).map(tuple), min_size=0, max_size=2))
def test_random_text(gpu, text, shapes):
    check(gpu, text, *operands(shapes, np.int32, 1))


@RELAXED
@given(
    st.lists(
        st.lists(st.one_of(st.integers(0, 3), st.integers(24, 53), st.just(...)), max_size=3), min_size=1, max_size=4
    ),
    st.booleans(),
)
def test_random_lists(gpu, lists, with_result):
    operand_lists = lists[: len(lists) - with_result] or lists
    shapes = [tuple(2 + a % 2 if a is not Ellipsis else 2 for a in axes) for axes in operand_lists]
    arguments: list[object] = []
    for values, axes in zip(operands(shapes, np.int32, 2), operand_lists, strict=True):
        arguments += [values, axes]
    if with_result:
        arguments.append(lists[-1])
    check(gpu, *arguments)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("ii->i", [(10, 1)]),
        ("ii", [(3, 1)]),
        ("ii->i", [(1, 10)]),
        ("iij->ij", [(3, 1, 2)]),
        ("iii", [(2, 2, 1)]),
        ("ij,jj->i", [(2, 3), (3, 1)]),
        ("ij...->i", [(2, 3, 4)]),
        ("...i->i", [(2, 3)]),
        ("i...,j...->ij", [(2, 3), (2, 3)]),
        ("...->", [(2,)]),
        ("i->ii", [(3,)]),
        ("ij->iji", [(3, 3)]),
        ("...i->...i...", [(3, 3)]),
        ("i->j", [(3,)]),
        ("ij->...k", [(3, 3)]),
        ("i1->i", [(2, 3)]),
        ("i.j->i", [(2, 3)]),
        ("...i...->i", [(2, 3)]),
        ("i->->i", [(3,)]),
        ("i- >i", [(3,)]),
        (". ..i->i", [(3,)]),
        ("i..  .->i...", [(3, 2)]),
        ("i,j", [(2,)]),
        ("i", [(2,), (3,)]),
        ("i", [(2, 3)]),
        ("ij,jk", [(2, 3), (4, 5)]),
        ("ij", []),
    ],
)
def test_what_numpy_refuses(gpu, text, shapes):
    arrays = [np.ones(s, np.float32) for s in shapes]
    with pytest.raises(ValueError, match=r"\w"):
        np.einsum(text, *arrays)
    with pytest.raises(wg.ShapeError, match="einsum"):
        wg.einsum(text, *map(gpu.array, arrays))


def test_a_view_is_not_read_outside(gpu):
    b = gpu.array(np.arange(100, dtype=np.float32).reshape(10, 10))
    with pytest.raises(wg.ShapeError, match="one operand of shape"):
        wg.einsum("ii->i", b[:, :1])
    np.testing.assert_array_equal(wg.einsum("ii->i", b[1:4, :3]).numpy(), [10, 21, 32])


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("i,i->i", [(3,), (1,)]),
        ("i,i->i", [(0,), (1,)]),
        ("ii,i->i", [(1, 1), (3,)]),
        ("...,...", [(3, 1), (4,)]),
        ("i...->i", [(3,)]),
        ("i->i...", [(3,)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
        ("i,j,i->j", [(1,), (4,), (3,)]),
        (",", [(), ()]),
        ("Ba,aB->", [(2, 3), (3, 2)]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.bool_])
def test_what_numpy_broadcasts(gpu, text, shapes, dtype):
    check(gpu, text, *operands(shapes, dtype, 5))


def test_the_form_with_lists(gpu):
    a, b = operands([(2, 3), (3, 4)], np.int32, 6)
    check(gpu, a, [0, 1], b, [1, 2])
    check(gpu, a, [0, 1], b, (1, 2), [2, 0])
    check(gpu, a, [..., 1], b, [1, ...], [...])
    check(gpu, a, [0, 30], [30, 0])
    check(gpu, a, [np.int64(0), 1], [1])
    for arguments in (
        (a, [0, 52]),
        (a, [0, -1]),
        (a,),
        (a, [0, 0]),
        (a, [0, 1], [2]),
        (a, [0, "a"]),
        (a, [0, 1.5]),
        (a, 3),
    ):
        check(gpu, *arguments)


def test_operands_of_two_dtypes(gpu):
    truth, numbers = np.array([True, True, False]), np.array([[1, 2], [3, 4]], np.int32)
    check(gpu, "i,jk->k", truth, numbers)
    check(gpu, "i,jk->ij", truth, numbers)
    with pytest.raises(wg.DTypeError, match="float64"):
        wg.einsum("i,i->i", gpu.zeros(2), gpu.zeros(2, np.int32))
    assert int(wg.einsum(",", 2, 3, gpu=gpu)) == 6
