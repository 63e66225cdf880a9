# All runs in one virtual environment, .venv. To choose its Python: make PYTHON=python3.12 ...
PYTHON  ?= python3
BIN     := .venv/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
PYTEST  := $(BIN)/python -m pytest --no-header -n 2
SOURCES := fuseflow tests tools setup.py

# A stamp per set of extras: what is installed stays installed until the inputs of the build change.
DEV     := .venv/dev.stamp
DEMO    := .venv/demo.stamp
INPUTS  := pyproject.toml setup.py
NATIVE  := $(wildcard proto/fuseflow/v1/*.proto) \
           $(shell find fuseflow -name '*.pyx' -o -name '*.pxd')

.DEFAULT_GOAL := help
.PHONY: help demo test check venv build proto schema format format-check lint types layers unit slow \
        fuzz onnx-backend debug-test bench figures size dist clean

help: ## print this list
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' Makefile | while read -r name text; do \
	    printf '  %-13s %s\n' "$$name" "$$text"; done

# A developer's environment serves the demo too; without one the demo installs only what it needs.
demo: $(if $(wildcard $(DEV)),build,$(DEMO)) ## set up, then run real models through the pipeline
	@$(BIN)/ff-sweep -v zoo:gcn zoo:graphsage zoo:sae zoo:gpt \
	    --fuse strategy unfused layer full auto -o out/demo

test: check ## set up, then run everything that CI runs

check: format-check lint types layers unit ## format, lint, types, layers, tests: before a commit

venv: $(DEV) ## create .venv and install the package, editable, with the developers' tools

build: $(DEV) ## refresh the compiled extensions and the protobuf code in place
	@$(BIN)/python setup.py --quiet build_proto --inplace build_ext --inplace

proto: $(DEV) ## refresh only the protobuf code in place
	@$(BIN)/python setup.py --quiet build_proto --inplace

schema: build ## record the schema as a descriptor set, for readers in other languages
	@$(BIN)/python -m tools.update_descriptor

format: $(DEV) ## rewrite the sources in the one format
	@$(BIN)/ruff check --quiet --fix $(SOURCES) || true
	@$(BIN)/ruff format --quiet $(SOURCES)

format-check: $(DEV) ## say which sources are not in the one format
	@echo 'format'
	@$(BIN)/ruff format --quiet --check $(SOURCES) || { echo 'run: make format'; exit 1; }

lint: $(DEV) ## look for likely mistakes
	@echo 'lint'
	@$(BIN)/ruff check --quiet $(SOURCES)

types: build ## check the types
	@echo 'types'
	@$(BIN)/python -m mypy --no-error-summary

layers: $(DEV) ## check who imports whom
	@echo 'layers'
	@$(BIN)/python -m tools.check_layers

unit: build ## run the tests, without the slow ones
	@echo 'tests'
	@$(PYTEST)

slow: build ## run the slow tests
	@$(PYTEST) -m slow

fuzz: build ## look for graphs that are compiled wrongly, for FUZZ_MINUTES (default 5)
	@$(BIN)/python -m tools.fuzz --minutes $(or $(FUZZ_MINUTES),5)

onnx-backend: build ## count the node tests of onnx that are imported and evaluated right
	@$(BIN)/python -W ignore -m tests.frontend.onnx.backend

# Compiled with checks into a folder of its own; Python itself is not, so the checks come first.
SANITIZE ?= address,undefined
CHECKED  := build/sanitize-$(SANITIZE)
comma    := ,
RUNTIMES := $(subst address,asan,$(subst undefined,ubsan,$(subst thread,tsan,$(SANITIZE))))
RUNTIME   = $(foreach part,$(subst $(comma), ,$(RUNTIMES)),$(shell cc -print-file-name=lib$(part).so))

debug-test: build ## run the tests of the simulator with every access checked: SANITIZE=thread for races
	@FUSEFLOW_DEBUG=1 FUSEFLOW_SANITIZE=$(SANITIZE) $(BIN)/python setup.py --quiet build \
	    --build-base $(CHECKED) --build-lib $(CHECKED)/lib build_ext --parallel 2
	@LD_PRELOAD='$(RUNTIME) $(shell cc -print-file-name=libstdc++.so)' \
	    ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=$(CHECKED)/lib $(BIN)/python -P -m pytest --no-header --capture=sys \
	    -o 'pythonpath=$(CHECKED)/lib .' -p no:cacheprovider \
	    -W error::pytest.PytestUnraisableExceptionWarning \
	    $(or $(DEBUG_TESTS),tests/sim/engine tests/sim/memory tests/sim/test_golden_primitives.py)

bench: build ## print how fast the fusion stage and the simulator are on this machine
	@$(BIN)/python -m tools.bench_fuse
	@$(BIN)/python -m tools.bench

figures: build ## recreate the tables and figures of the paper: FIGURES_SIZE=smoke, small or paper
	@$(BIN)/python -m tools.figures --size $(or $(FIGURES_SIZE),smoke) $(FIGURES_ARGS)

size: $(DEV) ## print the size of every source file and the longest functions
	@$(BIN)/python -m tools.size_report

dist: $(DEV) ## build the source distribution and the wheel
	@echo 'Building into dist'
	@$(BIN)/python -m build --quiet --outdir dist

clean: ## remove what the build and the tools made, but not .venv
	@rm -rf build dist out fuseflow/v1 *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find fuseflow tests tools -name '__pycache__' -prune -exec rm -rf {} +
	@find fuseflow -name '*.so' -delete

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo 'fuseflow needs Python 3.11 or newer, and $(PYTHON) is not.' \
	         'Name another one: make PYTHON=python3.12 ...' >&2; exit 1; }
	@{ command -v cc || command -v gcc || command -v clang; } >/dev/null || { \
	    echo 'fuseflow needs a C compiler (cc, gcc or clang) to build its simulator.' >&2; exit 1; }
	@echo 'Creating .venv'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(DEV): $(INPUTS) | $(BIN)/python
	@echo "Installing fuseflow and its developers' tools (with PyTorch: minutes, the first time)"
	@$(PIP) install --editable '.[dev]'
	@touch $@

$(DEMO): $(INPUTS) $(NATIVE) | $(BIN)/python
	@echo 'Installing fuseflow with PyTorch and ONNX (minutes, the first time)'
	@$(PIP) install --editable '.[torch,onnx]'
	@touch $@
