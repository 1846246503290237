# make demo       a virtual environment, a silicon potential, its errors and 2 ps of dynamics
# make test       all tests but the exhaustive ones
# make test-slow  the exhaustive ones
# make bench      accuracy and speed, printed

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: demo test test-slow lint bench clean

NATIVE  = CMakeLists.txt native/CMakeLists.txt $(wildcard native/*/*.?pp native/*/*/*.?pp native/include/ace/*.h)

$(VENV)/user: pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable ".[ase,plot]"
	touch $@

$(VENV)/dev: $(VENV)/user
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/user
	$(BIN)/acepot fit models/Si-mlearn/fit.toml --out build/demo
	$(BIN)/python examples/02_md.py build/demo/model.acepot

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow"

test-slow: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m slow

bench: $(VENV)/dev
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/rows.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/ipi.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
