#!/usr/bin/env bash
# myst-nb: a build writes every notebook once more, into "jupyter_execute" beside the output folder (not in it), also with
# nb_execution_mode = "off", where nothing is executed. With an output folder that lies straight inside the source folder
# (docs -> docs/_site) that is the source folder itself: the first build is clean, and the second finds each notebook twice,
# warns of documents that no toctree has and of links that lead nowhere from the copy's place, and fails under -W.
# Sphinx leaves its own output folder out of the sources by itself; of this one it knows nothing.
# Whom it hurts: who builds into a folder of the sources under -W, in CI that keeps the folder, or twice at a desk; and who
# commits docs/ whole: the notebooks are there twice then.
# Expected: nothing outside the output folder, or nothing at all where execution is off.
# What helps: an output folder two levels down (docs/_build/html), with _build in exclude_patterns.
# Seen with myst-nb 1.4.0, Sphinx 9.0.4 and myst-parser 5.2.0 from PyPI, Python 3.11, on 2026-12-01.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'sphinx==9.0.4' 'myst-nb==1.4.0' 'myst-parser==5.2.0'
cd "$folder"
mkdir -p docs/data
cat > docs/conf.py <<'PYTHON'
project = "two builds"
extensions = ["myst_nb"]
nb_execution_mode = "off"
PYTHON
printf '# Home\n\n```{toctree}\nplot\ndata/about\n```\n' > docs/index.md
printf '# About\n\nNumbers.\n' > docs/data/about.md
cat > docs/plot.ipynb <<'JSON'
{"cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Plot\n", "\n", "See [about](data/about.md)."]},
           {"cell_type": "code", "id": "b", "metadata": {}, "execution_count": 1, "outputs": [], "source": ["1 + 1"]}],
 "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}, "nbformat": 4, "nbformat_minor": 5}
JSON
build() { "$folder/venv/bin/python" -m sphinx -W --keep-going -q -b html docs docs/_site; }
build && echo "first build: no warning"
echo "beside the output folder: $(cd docs && ls -d jupyter_execute/*)"
if build 2> warnings; then second=passed; else second=failed; fi
sed "s#$folder/##" warnings
echo "second build, nothing changed: $second"
test -f docs/jupyter_execute/plot.ipynb
test "$second" = failed
grep -q "isn't included in any toctree" warnings
grep -q "cross-reference target not found: 'data/about.md'" warnings
# Output seen:
# first build: no warning
# beside the output folder: jupyter_execute/plot.ipynb
# docs/jupyter_execute/plot.ipynb: WARNING: document isn't included in any toctree [toc.not_included]
# docs/jupyter_execute/plot.ipynb:10004: WARNING: 'myst' cross-reference target not found: 'data/about.md' [myst.xref_missing]
# second build, nothing changed: failed
