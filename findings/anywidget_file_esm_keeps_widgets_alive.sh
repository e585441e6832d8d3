#!/usr/bin/env bash
# anywidget: a widget class whose _esm is a pathlib.Path (as its documentation shows for anything longer than
# a few lines) keeps EVERY instance alive until the process ends, with all its data, though it was closed, nothing
# refers to it and the garbage collector ran. The same class with the same JavaScript as text lets its instances go.
# The class attribute's file contents have a `changed` signal, to which each instance adds a callback that holds it.
# Whom it hurts: a notebook cell that is run again and again with a widget over an array: the kernel's memory grows by
# one array a run, and close() does not help. It happens with hot reloading off (ANYWIDGET_HMR unset), too.
# Expected: an instance that is closed and that nothing refers to is freed, whichever way _esm was given.
# What helps: _esm = path.read_text(), or clear the traits that hold data before close().
# Seen with anywidget 0.11.0, ipywidgets 8.1.9, psygnal 0.16.1, psutil 7.2.2 from PyPI, Python 3.11, on 2026-11-30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'anywidget==0.11.0' 'ipywidgets==8.1.9' 'psygnal==0.16.1' 'psutil==7.2.2'
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import gc, pathlib, sys, weakref
from importlib.metadata import version
import anywidget, psutil, traitlets

print(*(f"{name} {version(name)}" for name in ("anywidget", "ipywidgets", "psygnal", "traitlets")), sep=", ")
path = pathlib.Path("widget.js")
path.write_text("export default { render() {} };")


class FromText(anywidget.AnyWidget):
    _esm = path.read_text()
    data = traitlets.Bytes().tag(sync=True)


class FromFile(anywidget.AnyWidget):
    _esm = path
    data = traitlets.Bytes().tag(sync=True)


def left(kind, count=50, mebibytes=2):
    """How many of `count` closed and forgotten widgets are still there, and what the process grew by."""
    before = psutil.Process().memory_info().rss
    references = []
    for number in range(count):
        widget = kind(data=bytes([number + 1]) * (mebibytes << 20))
        references.append(weakref.ref(widget))
        widget.close()
        del widget
    gc.collect()
    alive = [reference() for reference in references if reference() is not None]
    grown = (psutil.Process().memory_info().rss - before) >> 20
    print(f"{kind.__name__}: {len(alive)} of {count} closed widgets of {mebibytes} MiB alive, process grew by {grown} MiB")
    return len(alive), grown


from_text, from_file = left(FromText), left(FromFile)
print("callbacks waiting for changes of the file:", len(FromFile._esm.changed))
as_seen = from_text[0] == 0 and from_file[0] == 50 and len(FromFile._esm.changed) == 50 and from_file[1] > 80
print("expected: 0 of 50 both times;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# anywidget 0.11.0, ipywidgets 8.1.9, psygnal 0.16.1, traitlets 5.16.1
# FromText: 0 of 50 closed widgets of 2 MiB alive, process grew by 2 MiB
# FromFile: 50 of 50 closed widgets of 2 MiB alive, process grew by 98 MiB
# callbacks waiting for changes of the file: 50
# expected: 0 of 50 both times; seen: as described
