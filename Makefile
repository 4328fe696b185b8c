# make demo   install, run the main job on a small built-in data set, and say where the report is
# make test   install, and run the tests
# make check  format, lint, types and tests

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check

demo: $(VENV)/demo
	$(BIN)/hiercls run configs/digits-mixed.yaml --workers 2

test: $(VENV)/test
	$(BIN)/python -m pytest tests examples/plugin-nearest-mean/tests

check: $(VENV)/test
	$(BIN)/ruff format --check hiercls plugins tests benchmarks examples
	$(BIN)/ruff check hiercls plugins tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/python -m pytest tests examples/plugin-nearest-mean/tests

# torch first and alone: any other order lets the resolver fetch a build with gigabytes of CUDA.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/torch: constraints.txt | $(BIN)/python
	$(PIP) torch
	touch $@

$(VENV)/demo: pyproject.toml $(VENV)/torch
	$(PIP) -e .
	touch $@

$(VENV)/test: pyproject.toml examples/plugin-nearest-mean/pyproject.toml $(VENV)/torch
	$(PIP) -e '.[vision,dev]'
	$(PIP) --no-deps -e examples/plugin-nearest-mean
	touch $@
