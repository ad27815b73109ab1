# Requires Python 3.11 or later, a Rust toolchain with clippy and rustfmt, make, and access to the
# package indexes. Everything else is installed below this folder.

PYTHON ?= python3
SPEED ?= 60
ARGS ?=

CARGO := cargo
CORE := --locked --package scheduler-core
# The model checker has its own build folder, because its flag changes every crate.
LOOM := RUSTFLAGS='--cfg loom' CARGO_TARGET_DIR=target/loom

VENV := .venv
# Each run of `test`, `compat`, `wheel` and `sdist` makes new environments.
CI := .tmp/ci
WHEEL := .tmp/wheel
SDIST := .tmp/sdist
CI_PYTHON := $(CI)/venv/bin/python

SOURCES := pyproject.toml Cargo.toml Cargo.lock README.md LICENSE \
	$(shell find python rust -type f '(' -name '*.py*' -o -name '*.rs' -o -name '*.toml' ')' \
		-not -name '*.pyc')
CHECKED := python tests benches tools examples

# The tests import the installed wheel, never the source tree.
unexport PYTHONPATH
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

# $(call stage,NAME): print the name of a stage and the seconds since the start.
BEGAN := $(shell date +%s)
stage = @printf '[%4d s] %s\n' "$$(($$(date +%s) - $(BEGAN)))" '$(strip $(1))'

# $(call environment,FOLDER): a virtual environment whose pip knows dependency groups.
define environment
	rm -rf $(1)
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --upgrade pip
endef

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

# ---- use ---------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/installed ## run a million tasks and check every promise: ARGS="--tasks 10000000"
	$(VENV)/bin/num-agents-scheduler demo $(ARGS)

.PHONY: replay
replay: $(VENV)/installed ## replay a trace of arrivals: FILE=trace.csv, SPEED=60, ARGS=...
	@test -n '$(FILE)' || { \
		echo 'FILE is missing: make replay FILE=trace.csv SPEED=60' >&2; exit 2; }
	$(VENV)/bin/num-agents-scheduler replay '$(FILE)' --speed $(SPEED) $(ARGS)

# Install the release wheel of this tree into a virtual environment.
$(VENV)/installed: $(SOURCES) | tools
	$(call stage, build the release wheel and install it into $(VENV))
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --upgrade pip
	PIP_QUIET=0 $(VENV)/bin/python -m pip install '.[cli,plot]'
	@touch $@

# ---- check -------------------------------------------------------------------------------------

CHECKS := lint-rust test-rust ci-venv lint-python test-benches test-python test-others

.PHONY: test
test: $(CHECKS) ## everything that CI runs: PYTHONS="python3.12 python3.14"

.PHONY: compat
compat: ci-venv ## test one wheel on each Python from 3.11 up: PYTHONS="python3.12 python3.14"
	$(call stage, Python tests on each Python of this machine)
	$(CI_PYTHON) tools/compat.py $(CI)/dist/*.whl

.PHONY: lint-rust
lint-rust: tools rust-linters
	$(call stage, rustfmt)
	$(CARGO) fmt --all --check
	$(call stage, clippy)
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- --deny warnings
	$(LOOM) $(CARGO) clippy $(CORE) --release --test loom -- --deny warnings
	$(call stage, rustdoc)
	RUSTDOCFLAGS='--deny warnings --allow rustdoc::private_intra_doc_links' \
		$(CARGO) doc $(CORE) --no-deps --document-private-items

.PHONY: test-rust
test-rust: tools
	$(call stage, Rust tests: units and model and benchmarks in test mode)
	$(CARGO) test $(CORE) --features check-invariants --all-targets
	$(CARGO) test $(CORE) --doc
	$(call stage, Rust tests: generations that wrap)
	$(CARGO) test $(CORE) --features check-invariants,tiny-generations \
		--test generations --test model
	$(call stage, Rust tests: stamps that come round)
	$(CARGO) test $(CORE) --features check-invariants,tiny-stamps --test stamps --test model
	$(call stage, Rust tests: the waiting protocol under loom)
	$(LOOM) $(CARGO) test $(CORE) --release --test loom

.PHONY: ci-venv
ci-venv: tools
	$(call stage, build the release wheel and install it into a new environment)
	rm -rf $(CI)
	$(call environment,$(CI)/venv)
	$(CI_PYTHON) -m pip install --group dev
	PATH="$(CURDIR)/$(CI)/venv/bin:$$PATH" maturin build --release --locked --out $(CI)/dist
	$(CI_PYTHON) -m pip install "$$(echo $(CI)/dist/*.whl)[cli,plot]"
	@$(CI_PYTHON) -c 'import sys, num_agents; \
		sys.exit(0 if num_agents.__path__[0].startswith(sys.prefix) \
		else f"not the installed package: {num_agents.__path__}")'

.PHONY: lint-python
lint-python:
	$(call stage, ruff)
	$(CI)/venv/bin/ruff format --check $(CHECKED)
	$(CI)/venv/bin/ruff check $(CHECKED)
	$(call stage, mypy)
	$(CI_PYTHON) -m mypy $(CHECKED)
	$(call stage, stubtest)
	$(CI_PYTHON) -m mypy.stubtest --mypy-config-file pyproject.toml num_agents.scheduler._native

.PHONY: test-benches
test-benches:
	$(call stage, Python benchmarks: a smoke run)
	$(CI_PYTHON) -m pytest benches --bench-size 1000 --quiet --benchmark-quiet

.PHONY: test-python
test-python:
	$(call stage, Python tests)
	$(CI_PYTHON) -m pytest

# PYTHONS, if set, names the interpreters.
.PHONY: test-others
test-others:
	$(call stage, Python tests on the other Pythons of this machine)
	$(CI_PYTHON) tools/compat.py --others $(CI)/dist/*.whl

# ---- distribute --------------------------------------------------------------------------------

# Keep the paths of this machine out of the files that are distributed.
ANYWHERE = --remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo \
	--remap-path-prefix=$(CURDIR)=.
# Before Python 3.14, a thread that still runs when the interpreter ends is unwound by the system's
# unwinder. zig would link in its own unwinder, which crashes then.
UNWINDER = -C link-arg=$(shell cc -print-file-name=libgcc_s.so.1)

.PHONY: wheel
wheel: tools ## a portable manylinux2014 wheel in dist/, inspected and tested
	$(call stage, build with zig as the linker)
	rm -rf $(WHEEL)
	$(call environment,$(WHEEL)/tools)
	$(WHEEL)/tools/bin/python -m pip install --group dev --group wheel
	PATH="$(CURDIR)/$(WHEEL)/tools/bin:$$PATH" RUSTFLAGS="$(ANYWHERE) $(UNWINDER)" \
		maturin build --release --locked --zig \
		--compatibility manylinux2014 --out $(WHEEL)/dist
	$(call stage, inspect)
	$(WHEEL)/tools/bin/abi3audit --strict --report $(WHEEL)/dist/*.whl
	$(WHEEL)/tools/bin/auditwheel show $(WHEEL)/dist/*.whl
	$(call stage, install into a new environment and test there)
	$(call environment,$(WHEEL)/venv)
	$(WHEEL)/venv/bin/python -m pip install --group dev
	$(WHEEL)/venv/bin/python -m pip install "$$(echo $(WHEEL)/dist/*.whl)[cli,plot]"
	$(WHEEL)/venv/bin/python -m pytest
	mkdir -p dist
	cp $(WHEEL)/dist/*.whl dist/

.PHONY: sdist
sdist: tools ## a source distribution in dist/, built and tried in an empty folder
	$(call stage, pack)
	rm -rf $(SDIST)
	$(call environment,$(SDIST)/tools)
	$(SDIST)/tools/bin/python -m pip install --group dev
	$(SDIST)/tools/bin/maturin sdist --out $(SDIST)/dist
	$(call stage, build from it and install into a new environment)
	$(call environment,$(SDIST)/venv)
	mkdir $(SDIST)/empty
	cd $(SDIST)/empty && ../venv/bin/python -m pip install "$$(echo ../dist/*.tar.gz)[cli]"
	cd $(SDIST)/empty && ../venv/bin/num-agents-scheduler demo --tasks 10000 --seconds 1
	mkdir -p dist
	cp $(SDIST)/dist/*.tar.gz dist/

# ---- maintain ----------------------------------------------------------------------------------

.PHONY: format
format: ## format the code with rustfmt and ruff; needs one `make test` before
	$(CARGO) fmt --all
	$(CI)/venv/bin/ruff format $(CHECKED)
	$(CI)/venv/bin/ruff check --fix $(CHECKED)

.PHONY: clean
clean: ## remove everything that make built
	rm -rf $(VENV) .tmp dist target .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks

# Name the tools that make cannot install.
.PHONY: tools
tools:
	@command -v $(PYTHON) >/dev/null || { \
		echo 'There is no $(PYTHON). Install Python 3.11 or later, or name it:' \
			'make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
			'Name another: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) cannot make virtual environments: its modules venv and ensurepip are' \
			'missing. On Debian and Ubuntu they are in the package python3-venv.' >&2; exit 1; }
	@command -v $(CARGO) >/dev/null || { \
		echo 'There is no cargo. Install a Rust toolchain: https://rustup.rs' >&2; exit 1; }

.PHONY: rust-linters
rust-linters:
	@$(CARGO) clippy --version >/dev/null 2>&1 || { \
		echo 'This Rust toolchain has no clippy: rustup component add clippy' >&2; exit 1; }
	@$(CARGO) fmt --version >/dev/null 2>&1 || { \
		echo 'This Rust toolchain has no rustfmt: rustup component add rustfmt' >&2; exit 1; }
