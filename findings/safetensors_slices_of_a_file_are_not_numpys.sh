#!/usr/bin/env bash
# safetensors: a slice of a tensor in a file (`safe_open(...).get_slice(name)[...]`) takes no negative and no long bounds. x[-2:] and x[:-1] raise
# OverflowError, though x[-1] is the last row and x[::2] every second one; x[1:100] of four rows is an error where Python's, NumPy's and
# PyTorch's end with the rows. And a tensor without elements
# cannot be sliced at all, not even by [:] or [0:0], while get_tensor() returns it; x[2:2] of one with elements is fine.
# Whom it hurts: loaders that split a tensor among devices (the last part of a ceiling division is shorter, and may be empty), that read the
# last rows of an embedding, or go over a file with empty tensors (buffers of optional layers).
# Expected: what slices of sequences and arrays do everywhere else in Python: bounds are counted from the end where negative, and cut to the length.
# What helps: slice.indices(length) first, range(*s.indices(n)); get_tensor where get_shape() has a zero.
# Seen with safetensors 0.8.0, numpy 2.4.6 from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'safetensors==0.8.0' 'numpy==2.4.6'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import safetensors
from safetensors.numpy import save_file

print("safetensors", safetensors.__version__, "numpy", np.__version__)
arrays = {"x": np.arange(12.0).reshape(4, 3), "empty": np.zeros((0, 3))}
save_file(arrays, "some.safetensors")
found = {}
with safetensors.safe_open("some.safetensors", "numpy") as file:
    for name, keys in {
        "x": (-1, slice(None, None, 2), slice(2, 2), slice(-2, None), slice(None, -1), slice(1, 100)),
        "empty": (slice(None), slice(0, 0)),
    }.items():
        for key in keys:
            wanted = arrays[name][key]
            try:
                is_same = np.array_equal(file.get_slice(name)[key], wanted)
                said = "as NumPy" if is_same else "other values"
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            found[name, str(key)] = said.split(":")[0]
            print(f"{name}[{key}] (NumPy: shape {wanted.shape}): {said}")
    whole = file.get_tensor("empty").shape
print("get_tensor('empty'):", whole)
as_seen = list(found.values()) == ["as NumPy"] * 3 + ["OverflowError"] * 2 + ["SafetensorError"] * 3
as_seen &= whole == (0, 3)
print("seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON
