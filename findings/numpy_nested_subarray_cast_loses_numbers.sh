#!/usr/bin/env bash
# NumPy: a field may be declared as 3 of a (2, 2) type, or at once as (3, 2, 2). Both fields have the same shape in
# an array, the same size and the same bytes; yet astype and `b[:] = a` from the one to the other copy WRONG NUMBERS
# without an error or a warning: 12 numbers become two of them repeated, and the other way the last are set to 0.
# Also memoryview() of the nested one names a format which NumPy itself refuses to read.
# Whom it hurts: who builds record types out of smaller ones (a 2 x 2 tile, a 4 x 4 matrix; blocks of quantised
# weights; a compiler's structs) and then copies into a type written flat, as a file's header gives it.
# Expected: the same numbers, or a TypeError (that is what comparing, joining or casting="same_kind" give).
# What helps: build field types flat; copy field by field (b["w"] = a["w"] is right), or use a.view(flat).
# Seen with numpy 2.4.6 from PyPI, Python 3.11, on 2026-11-30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'numpy==2.4.6'
"$folder/venv/bin/python" -W error - <<'PYTHON'
import sys
import numpy as np

print("numpy", np.__version__)
tile = np.dtype(("f4", (2, 2)))
nested = np.dtype([("w", tile, (3,))])
flat = np.dtype([("w", "f4", (3, 2, 2))])
numbers = np.arange(12, dtype="f4").reshape(1, 3, 2, 2)

a = np.zeros(1, nested)
a["w"] = numbers
b = np.zeros(1, flat)
print("field's shape    nested", a["w"].shape, "flat", b["w"].shape)
print("bytes a record   nested", nested.itemsize, "flat", flat.itemsize)
print("the field itself       ", a["w"].ravel())

cast = a.astype(flat)["w"]
print("astype nested -> flat  ", cast.ravel())
b[:] = a
print("b[:] = a               ", b["w"].ravel())
made = np.array(a, dtype=flat)["w"]
print("np.array(a, dtype=flat)", made.ravel())
back = a.view(flat).astype(nested)["w"]
print("astype flat -> nested  ", back.ravel())
viewed = a.view(flat)["w"]
print("a.view(flat)           ", viewed.ravel())


def error(act):
    try:
        act()
    except Exception as problem:
        return type(problem).__name__
    return "no error"


compared = error(lambda: a == a.view(flat))
joined = error(lambda: np.concatenate([a, a.view(flat)]))
kind = error(lambda: a.astype(flat, casting="same_kind"))
print("a == b:", compared, "| concatenate:", joined, "| casting='same_kind':", kind)
exported = memoryview(a)
read = error(lambda: np.asarray(exported))
print("memoryview's format:", exported.format, "| np.asarray of it:", read)

wrong = [0, 4] * 6
as_seen = (
    all(field.ravel().tolist() == wrong for field in (cast, b["w"], made))
    and back.ravel().tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    and np.array_equal(viewed, numbers)
    and kind == compared == "TypeError"
    and read == "ValueError"
)
print("expected: 0 to 11 in each line, or an error;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# numpy 2.4.6
# field's shape    nested (1, 3, 2, 2) flat (1, 3, 2, 2)
# bytes a record   nested 48 flat 48
# the field itself        [ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11.]
# astype nested -> flat   [0. 4. 0. 4. 0. 4. 0. 4. 0. 4. 0. 4.]
# b[:] = a                [0. 4. 0. 4. 0. 4. 0. 4. 0. 4. 0. 4.]
# np.array(a, dtype=flat) [0. 4. 0. 4. 0. 4. 0. 4. 0. 4. 0. 4.]
# astype flat -> nested   [0. 0. 0. 0. 1. 1. 1. 1. 0. 0. 0. 0.]
# a.view(flat)            [ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11.]
# a == b: TypeError | concatenate: DTypePromotionError | casting='same_kind': TypeError
# memoryview's format: T{(3)(2,2)f:w:} | np.asarray of it: ValueError
# expected: 0 to 11 in each line, or an error; seen: as described
