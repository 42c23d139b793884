# epochmark: `make run` does the main job, `make test` runs all tests; both set up what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NATIVE := $(shell find src/epochmark/native -name "CMakeLists.txt" -o -name "*.cpp" -o -name "*.h")
PROCESSES ?= 2
FAST_TESTS := PYTHONPATH=$(CURDIR)/src $(BIN)/python -m pytest -m 'not slow'
SOURCES := pyproject.toml README.md LICENSE $(shell find src -type f ! -name '*.pyc' ! -name '*.so' ! -name '*.dylib')

define COMPILER_IS_THERE
command -v $${CXX:-c++} >/dev/null || { \
  echo "epochmark's native engine needs a C++17 compiler, and there is none on the PATH." >&2; \
  echo "Debian, Ubuntu: apt install g++   Fedora: dnf install gcc-c++   macOS: xcode-select --install" >&2; \
  exit 1; }; \
echo "installing epochmark into $(VENV) and compiling its kernels (about a minute)"
endef

.PHONY: help run quick test engines bench check format docs wheel clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: $(VENV)/installed  ## train mnist-cnn on this machine and say how fast it was
	@$(BIN)/epochmark run; status=$$?; $(BIN)/epochmark report \
	  && echo "$(BIN)/epochmark doctor    checks GPU, engines and power of this machine" && exit $$status

quick: $(VENV)/quick  ## the loop to work with: check, and the fast tests (under 90 seconds)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@# two processes, since neither half is timed
	@{ $(BIN)/mypy && $(FAST_TESTS) tests/report; } & others=$$!; \
	  $(FAST_TESTS) tests/unit; unit=$$?; wait $$others && exit $$unit

test: check  ## check, then run every test (real workers, real MNIST)
	@# side by side, each process on cores of its own; then what needs the whole machine
	$(BIN)/python -m pytest -m 'not alone' --numprocesses $(PROCESSES) --dist loadfile \
	  --no-loadscope-reorder
	$(BIN)/python -m pytest -m alone

engines: $(VENV)/installed  ## install every engine into environments of their own (about 5 GB)
	$(BIN)/epochmark engines install --all

bench: $(VENV)/installed  ## the native engine against its targets (15 to 25 quiet minutes, after `make engines`)
	$(BIN)/python benchmarks/native_targets.py

check: $(VENV)/developing  ## formatting, linting and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/developing  ## put the code into the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/developing  ## write the generated parts of docs/
	$(BIN)/python -m tools.write_docs

wheel: $(VENV)/developing  ## build a wheel that installs without a compiler, and the sdist, into dist/
	$(BIN)/python tools/build_wheel.py

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "epochmark needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Name another one: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) has no venv module (Debian, Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/created $(SOURCES)
	@$(COMPILER_IS_THERE)
	@# --no-compile: Python compiles what is really imported, pip every file of every package
	@$(BIN)/python -m pip install --quiet --no-compile --only-binary vl-convert-python '.[report]' || { \
	  echo "trying again without the charts, whose package may not exist for this system" >&2; \
	  $(BIN)/python -m pip install --quiet --no-compile .; }
	@touch $@

# It has all that `installed` has, so the kernels are compiled once for both
$(VENV)/developing: $(VENV)/created $(SOURCES)
	@$(COMPILER_IS_THERE)
	@# --no-compile: as above
	$(BIN)/python -m pip install --quiet --no-compile '.[dev]'
	@touch $(VENV)/installed $@

# What `quick` needs beside the sources as they are: it installs nothing after an edit of Python
$(VENV)/quick: pyproject.toml $(NATIVE)
	$(MAKE) $(VENV)/developing
	cp $(VENV)/lib/python3*/site-packages/epochmark/native/libepochmark_native.* src/epochmark/native/
	@touch $@

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
