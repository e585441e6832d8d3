"""Packing by WGSL's rules, without a browser."""

from __future__ import annotations

import numpy as np
import pytest

import webgpu_widget as wg
from webgpu_widget.kernels import layout

F32 = {"type": "scalar", "name": "f32", "size": 4, "align": 4, "atomic": False}
U32 = {"type": "scalar", "name": "u32", "size": 4, "align": 4, "atomic": False}
VEC3 = {"type": "vector", "elem": "f32", "count": 3, "size": 12, "align": 16}
MAT3X2 = {"type": "matrix", "elem": "f32", "columns": 3, "rows": 2, "size": 24, "align": 8}
MAT2X3 = {"type": "matrix", "elem": "f32", "columns": 2, "rows": 3, "size": 32, "align": 16}


def array(elem, count, stride):
    return {
        "type": "array",
        "elem": elem,
        "count": count,
        "stride": stride,
        "size": count * stride,
        "align": elem["align"],
    }


def struct(name, size, **members):
    return {
        "type": "struct",
        "name": name,
        "size": size,
        "align": 16,
        "members": [{"name": key, "offset": offset, "type": kind} for key, (offset, kind) in members.items()],
    }


def test_matrix_goes_in_columns_padded_to_four(rng):
    value = rng.standard_normal((3, 2)).astype(np.float32)
    packed = layout.pack(MAT2X3, value, "m").view(np.float32)
    assert np.array_equal(packed, [*value[:, 0], 0, *value[:, 1], 0])
    assert np.array_equal(layout.unpack(MAT2X3, packed.view(np.uint8)), value)


def test_nested_struct_round_trip(rng):
    inner = struct("Inner", 16, v=(0, VEC3), w=(12, F32))
    outer = struct("Outer", 96, a=(0, U32), m=(8, MAT3X2), list=(32, array(inner, 3, 16)), flag=(80, U32))
    value = {
        "a": 7,
        "m": rng.standard_normal((2, 3)).astype(np.float32),
        "list": [{"v": rng.standard_normal(3).astype(np.float32), "w": float(i)} for i in range(3)],
        "flag": True,
    }
    back = layout.unpack(outer, layout.pack(outer, value, "x"))
    assert back["a"] == 7
    assert back["flag"] == 1
    assert np.array_equal(back["m"], value["m"])
    assert np.array_equal(back["list"]["w"], [0, 1, 2])
    for i in range(3):
        assert np.array_equal(back["list"]["v"][i], value["list"][i]["v"])


def test_exact_dtype_has_wgsl_offsets():
    inner = struct("Inner", 32, v=(0, VEC3), w=(12, F32), u=(16, VEC3))
    dtype = layout.element_dtype(inner)
    assert dtype.itemsize == 32
    assert [dtype.fields[name][1] for name in dtype.names] == [0, 12, 16]


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (np.float64([1, 2, 3]), wg.DTypeError, "float64"),
        ([1, 2], wg.ShapeError, r"\(2,\)"),
        ("abc", wg.DTypeError, "number"),
        ([1 + 2j, 0, 0], wg.DTypeError, "complex"),
        ([[1, 2], [3]], wg.ShapeError, "x"),
    ],
)
def test_values_that_do_not_fit_a_vec3(value, error, words):
    with pytest.raises(error, match=words):
        layout.pack(VEC3, value, "x")


@pytest.mark.parametrize("value", [-1, 2**32, 1.5])
def test_ints_out_of_range_are_refused(value):
    with pytest.raises(wg.DTypeError):
        layout.pack(U32, value, "n")


def test_a_million_structs_are_packed_by_fields_not_one_by_one(rng):
    import time

    n = 1_000_000
    info = array(struct("P", 32, v=(0, VEC3), w=(12, F32), n=(16, U32)), 0, 32)
    records = np.zeros(n, [("n", "u4"), ("v", "f4", 3), ("w", "f4")])
    records["n"] = np.arange(n)
    records["v"] = rng.standard_normal((n, 3))
    started = time.thread_time()
    data, shape = layout.pack_runtime(info, records, "p")
    assert time.thread_time() - started < 5
    assert shape == (n,)
    back = layout.unpack_records(info["elem"], 32, data, (n,), records.dtype)
    assert np.array_equal(back, records)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (F32, 1e39, "3.40282347e\\+38"),
        (F32, [0.0, -1e39], "overflow|finite"),
        (F32, 10**39, "float|finite|too large"),
        (F32, 10**400, "too large"),
        ({**F32, "name": "f16", "size": 2, "align": 2}, 65520.0, "65504"),
        ({**VEC3, "elem": "u32"}, [1.5, 0, 0], "pass an int"),
        ({**VEC3, "elem": "i32"}, [2**31, 0, 0], "2147483647"),
        ({**VEC3, "elem": "u32"}, np.float32([1, 2, 3]), "float32"),
        ({**VEC3, "count": 2}, 1 + 2j, "np.complex64"),
        ({**VEC3, "count": 4, "size": 16}, np.complex64([1, 2]), "array<vec2f>"),
        ({**VEC3, "count": 2}, np.complex128(1), "np.complex64"),
        (F32, np.complex64(1 + 2j), "array<vec2f>"),
    ],
)
def test_numbers_that_the_scalar_does_not_hold(kind, value, words):
    with pytest.raises(wg.DTypeError, match=words):
        layout.pack(kind, value, "x")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3.4028235e38, 1e-50, 7, True, np.float64(0.1)])
def test_floats_that_f32_holds(value):
    assert np.array_equal(layout.pack(F32, value, "x").view(np.float32)[0], np.float32(value), equal_nan=True)


def test_complex64_is_vec2f():
    assert np.array_equal(
        layout.pack({**VEC3, "count": 2, "size": 8}, np.complex64(1 + 2j), "x").view(np.float32), [1, 2]
    )


def test_one_struct_is_the_memory_of_another():
    pair = struct("A", 16, x=(0, F32), n=(4, U32))
    assert layout.same_memory(pair, struct("B", 16, x=(0, F32), n=(4, {**U32, "atomic": True}), pad=(8, F32)))
    for other in (
        struct("A", 16, n=(4, F32), x=(0, U32)),
        struct("A", 16, y=(0, F32), n=(4, U32)),
        struct("A", 16, x=(0, F32)),
        struct("A", 16, x=(4, F32), n=(0, U32)),
        struct("A", 32, x=(0, F32), n=(4, U32)),
        F32,
    ):
        assert not layout.same_memory(pair, other)
    assert not layout.same_memory(array(pair, 2, 16), array(pair, 3, 16))
