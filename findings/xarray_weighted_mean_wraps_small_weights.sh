#!/usr/bin/env bash
# xarray: `data.weighted(weights).mean()` sums the weights in the weights' own dtype. With weights of uint8 or int8 - counts of pixels, quality
# flags, percentages - the sum wraps at 256 without a word, and the weighted mean of FLOATS is wrong: 300 values of 5.0 with weights of 100
# have the mean 3125. A sum that wraps to zero gives NaN, as if there were no data; std and var follow. `sum_of_weights()` shows it.
# Data of a small integer type wrap in the products as well: the mean of int16 fives with weights of int16 hundreds is 0.63.
# Whom it hurts: means weighted by counts or masks that were stored compactly, as netCDF and Zarr files and images keep them.
# Expected: 5.0, as np.average with the same arrays gives, and as xarray itself gives for weights of bool, which it widens for this reason.
# What helps: weights.astype(float) and data.astype(float).
# Seen with xarray 2026.9.0, numpy 2.4.6 from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'xarray==2026.9.0' 'numpy==2.4.6'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import xarray as xr

print("xarray", xr.__version__, "numpy", np.__version__)
found = {}
for data, weights, each in (
    ("float64", "float64", 100),
    ("float64", "bool", 1),
    ("float64", "int32", 100),
    ("float64", "uint8", 100),
    ("float32", "int8", 100),
    ("float64", "uint8", 64),
    ("int16", "int16", 100),
):
    x = xr.DataArray(np.full(300, 5, data), dims="time")
    w = xr.DataArray(np.full(300, each, weights), dims="time")
    if each == 64:
        x, w = x[:256], w[:256]
    mean = float(x.weighted(w).mean())
    found[data, weights, each] = mean
    print(
        f"{x.size} fives of {data}, weights of {each} in {weights}: mean {mean:g}, sum of weights {float(x.weighted(w).sum_of_weights()):g},",
        f"std {float(x.weighted(w).std()):g}; np.average {np.average(x.values, weights=w.values):g}",
    )
as_seen = (
    all(found[key] == 5 for key in list(found)[:3])
    and found["float64", "uint8", 100] == found["float32", "int8", 100] == 3125
    and np.isnan(found["float64", "uint8", 64])
    and abs(found["int16", "int16", 100] - 0.631) < 0.001
)
print("expected: 5 in each row;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# xarray 2026.9.0 numpy 2.4.6
# 300 fives of float64, weights of 100 in float64: mean 5, sum of weights 30000, std 0; np.average 5
# 300 fives of float64, weights of 1 in bool: mean 5, sum of weights 300, std 0; np.average 5
# 300 fives of float64, weights of 100 in int32: mean 5, sum of weights 30000, std 0; np.average 5
# 300 fives of float64, weights of 100 in uint8: mean 3125, sum of weights 48, std 78000; np.average 5
# 300 fives of float32, weights of 100 in int8: mean 3125, sum of weights 48, std 78000; np.average 5
# 256 fives of float64, weights of 64 in uint8: mean nan, sum of weights nan, std nan; np.average 5
# 300 fives of int16, weights of 100 in int16: mean 0.630933, sum of weights 30000, std 4.36907; np.average 5
# expected: 5 in each row; seen: as described
