"""Promotion and scalars against NumPy's own rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.arrays.lazy import dtypes as dt


@pytest.mark.parametrize(("a", "b"), list(itertools.product(dt.SUPPORTED, repeat=2)), ids=lambda d: d.name)
def test_promotion_is_numpys_or_an_error(a, b):
    expected = np.result_type(a, b)
    if expected in dt.SUPPORTED:
        assert dt.promote(a, b) == expected == dt.promote(b, a)
    else:
        with pytest.raises(wg.DTypeError, match=expected.name):
            dt.promote(a, b)


@pytest.mark.parametrize("dtype", dt.SUPPORTED, ids=lambda d: d.name)
@pytest.mark.parametrize("scalar", [True, 3, 2.5, 1j])
def test_scalars_take_the_arrays_dtype(dtype, scalar):
    expected = np.result_type(dtype, type(scalar)()) if dtype != np.bool_ else None
    if dtype == np.bool_:
        assert (
            dt.promote_scalar(scalar, dtype)
            == {
                bool: dt.BOOL,
                int: dt.INT32,
                float: dt.FLOAT32,
                complex: dt.COMPLEX64,
            }[type(scalar)]
        )
    elif dtype.kind in "iu" and isinstance(scalar, (float, complex)):
        assert expected.itemsize == 8 * (1 + isinstance(scalar, complex))
        with pytest.raises(wg.DTypeError, match=expected.name):
            dt.promote_scalar(scalar, dtype)
    else:
        assert dt.promote_scalar(scalar, dtype) == expected


@pytest.mark.parametrize("name", ["float64", "int64", "uint64", "int8", "uint8", "int16", "complex128"])
def test_absent_dtypes_say_what_to_pass_instead(name):
    with pytest.raises(wg.DTypeError, match="instead"):
        dt.check_dtype(name)


def test_python_types_are_the_defaults():
    assert dt.check_dtype(float) == np.float32
    assert dt.check_dtype(int) == np.int32
    assert dt.check_dtype(bool) == np.bool_
    with pytest.raises(wg.DTypeError, match="no dtype"):
        dt.check_dtype("apple")


@pytest.mark.parametrize(
    ("value", "dtype"), [(2**31, dt.INT32), (-(2**31) - 1, dt.INT32), (-1, dt.UINT32), (2**32, dt.UINT32)]
)
def test_integers_that_do_not_fit_overflow_as_in_numpy(value, dtype):
    with pytest.raises(OverflowError):
        np.zeros(1, dtype) + value
    with pytest.raises(OverflowError, match=str(value)):
        dt.fit_scalar(value, dtype)


@pytest.mark.parametrize("dtype", dt.SUPPORTED, ids=lambda d: d.name)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5)])
def test_bytes_there_and_back(dtype, shape):
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape).astype(dtype)
    stored = dt.to_storage(array).tobytes()
    assert len(stored) == dt.nbytes_stored(array.size, dtype)
    back = dt.from_storage(stored, shape, dtype)
    assert back.dtype == dtype
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)
