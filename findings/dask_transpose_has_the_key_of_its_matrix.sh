#!/usr/bin/env bash
# Dask: a square NumPy array and its transpose have the same key. `dask.tokenize` hashes an array's memory in the order in which it lies
# (`ravel(order="K")`) with its dtype and shape, and no longer its strides: x and x.T have the same memory. The same goes for any two
# views that differ in the order of axes of equal length, (2, 3, 3) among them. So `client.submit(f, x.T)` after `client.submit(f, x)`
# gives the result of f(x), without an error: its tasks count as pure, and the key is there already. `client.map` over [x, x.T] gives one
# of the two results twice, `client.scatter` one of the two arrays, and `dask.delayed(f, pure=True)` does the same without a cluster.
# An array of Python strings has the key of another in which a "-" lies at a border: ["a-b", "c"] and ["a", "b-c"].
# Whom it hurts: whoever sends matrices and their transposes as arguments: A and A.T of least squares, a picture and the picture turned,
# both directions of a distance matrix.
# Expected: different values, different keys, as it is for two arrays that are both contiguous; "pure" is to spare the same work twice.
# What helps: np.ascontiguousarray(x.T), or pure=False.
# Seen with dask 2026.8.0, distributed 2026.8.0, numpy 2.4.6 from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'dask==2026.8.0' 'distributed==2026.8.0' 'numpy==2.4.6'
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import dask
import numpy as np
from dask.distributed import Client

print(*(f"{name} {version(name)}" for name in ("dask", "distributed", "numpy")), sep=", ")
x = np.array([[1.0, 2.0], [3.0, 4.0]])
stack = np.arange(18.0).reshape(2, 3, 3)


def first_row(matrix):
    return matrix[0].tolist()


with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
    futures = [client.submit(first_row, x), client.submit(first_row, x.T)]
    submitted = client.gather(futures)
    mapped = client.gather(client.map(first_row, [x, x.T]))
    alone = client.submit(first_row, np.ascontiguousarray(x.T)).result()
    scattered = client.gather(client.scatter([stack, stack.transpose(0, 2, 1)]))
delayed = dask.compute(*(dask.delayed(first_row, pure=True)(m) for m in (x, x.T)), scheduler="sync")
words = [np.array(words, object) for words in (["a-b", "c"], ["a", "b-c"])]
collide = dask.tokenize.tokenize(words[0]) == dask.tokenize.tokenize(words[1])

print("first rows of x and x.T in NumPy:", [first_row(x), first_row(x.T)])
print("client.submit:", submitted, "| client.map:", mapped, "| delayed:", list(delayed))
print("client.submit of a contiguous copy of x.T:", alone)
print("client.scatter of a stack and its transpose gives one array twice:", np.array_equal(*scattered))
print("['a-b', 'c'] and ['a', 'b-c'] have one key:", collide)
wrong = [[1.0, 2.0], [1.0, 2.0]]
as_seen = submitted == list(delayed) == wrong and mapped[0] == mapped[1] and alone == [1.0, 3.0] and np.array_equal(*scattered) and collide
print("expected: [1.0, 2.0] and [1.0, 3.0];", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# dask 2026.8.0, distributed 2026.8.0, numpy 2.4.6
# first rows of x and x.T in NumPy: [[1.0, 2.0], [1.0, 3.0]]
# client.submit: [[1.0, 2.0], [1.0, 2.0]] | client.map: [[1.0, 3.0], [1.0, 3.0]] | delayed: [[1.0, 2.0], [1.0, 2.0]]
# client.submit of a contiguous copy of x.T: [1.0, 3.0]
# client.scatter of a stack and its transpose gives one array twice: True
# ['a-b', 'c'] and ['a', 'b-c'] have one key: True
# expected: [1.0, 2.0] and [1.0, 3.0]; seen: as described
