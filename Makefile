# `make help` lists the targets. Everything runs from .venv, which is made from the lock files on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run test unit check format chaos bench browser images smoke infra checkov calibrate figures evaluate lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# What `make run` needs: the worker, the embedded stack and the embedded model.
$(VENV)/.run: requirements/run.lock setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing from requirements/run.lock into $(VENV) (once) …"
	@$(PIP) install --require-hashes --no-deps -r requirements/run.lock
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What tests and checks need on top.
$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "Installing from requirements/dev.lock into $(VENV) (once) …"
	@$(PIP) install --require-hashes --no-deps -r requirements/dev.lock
	@touch $@

install: $(VENV)/.dev ## make .venv from the lock files

run: $(VENV)/.run ## the whole system on this machine: sample receipts in, a table out (ARGS="…" for `receipts local`)
	@$(BIN)/receipts local $(ARGS)

# Files of tests run side by side, the long ones first: they wait for queues more than they compute.
JOBS ?= 4
TESTS = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
test: $(VENV)/.dev ## run the tests (ARGS="…" for pytest, JOBS=0 for one after the other)
	@$(TESTS) $(ARGS)

unit: $(VENV)/.dev ## run the tests without I/O, about a minute (ARGS="…" for pytest)
	@$(BIN)/python -m pytest tests/unit --numprocesses 2 $(ARGS)

browser: $(VENV)/.dev ## use the console in Chromium (apt-get install chromium): screenshots in build/screenshots
	@$(BIN)/python -m pytest tests/browser $(ARGS)

chaos: $(VENV)/.dev ## break the promises: 2,000 uploads in a storm, an endpoint whose capacity changes, 32 photos at once
	@$(BIN)/python -m tests.chaos $(ARGS)
	@$(BIN)/python -m tests.chaos.capacity
	@$(BIN)/python -m tests.benchmarks memory --strict

bench: $(VENV)/.dev ## measure speed, CPU and memory, some 25 minutes: build/bench.json (ARGS=--quick, or ARGS="cpu --runs 3")
	@$(BIN)/python -m tests.benchmarks $(ARGS)

check: $(VENV)/.dev ## format, lint, imports, types and the tests: what CI runs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(TESTS) --cov --cov-report=term:skip-covered $(ARGS)

format: $(VENV)/.dev ## put the code in its format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# One resolution: dev.lock has everything, the smaller files are held to its versions.
UV_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--override requirements/overrides.txt
UV_COMPILE := $(UV_LOCK) setup.cfg
LESS := requirements/build.in -c requirements/dev.lock
lock: | $(BIN)/python ## resolve the lock files anew (ARGS=--upgrade for the newest versions)
	@test -x $(BIN)/uv || $(PIP) install uv
	@$(UV_COMPILE) requirements/build.in --extra local --extra reader --extra analysis --extra dev $(ARGS) -o requirements/dev.lock
	@$(UV_COMPILE) $(LESS) --extra local --extra reader -o requirements/run.lock
	@$(UV_LOCK) requirements/reader.in -c requirements/dev.lock -o requirements/reader.lock
	@$(UV_COMPILE) $(LESS) -o requirements/worker.lock

# checkov has an environment of its own: its pins and ours would fight.
CHECKOV := build/checkov
$(CHECKOV)/.ready:
	@echo "Installing checkov into $(CHECKOV) (once) …"
	@$(PYTHON) -m venv $(CHECKOV) && $(CHECKOV)/bin/pip --disable-pip-version-check --quiet install checkov==3.3.30
	@touch $@

infra: $(VENV)/.dev checkov ## Terraform: format, its tests and those that hold it to the code, checkov
	@$(BIN)/python -m pytest tests/infra $(ARGS)

checkov: $(CHECKOV)/.ready
	@cd infra && ../$(CHECKOV)/bin/checkov --config-file .checkov.yaml

calibrate: $(VENV)/.dev ## hold the scaling simulator against the real worker, some minutes (ARGS="--keep" writes nothing)
	@$(BIN)/python tests/benchmarks/calibration.py $(ARGS)

# PODMAN=docker does as well. BASE takes a digest (…@sha256:…) for a release; PODMAN_BUILD_FLAGS whatever this machine needs
# to reach a package index.
PODMAN ?= podman
BASE ?= docker.io/library/python:3.11-slim-bookworm
PODMAN_BUILD_FLAGS ?=
BUILD = $(PODMAN) build $(if $(findstring podman,$(PODMAN)),--format docker) $(PODMAN_BUILD_FLAGS) \
	--build-arg BASE=$(BASE) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)
images: ## build the worker's and the model's image (docker/README.md)
	$(BUILD) -f docker/worker.Dockerfile -t receipts-worker .
	$(BUILD) -f docker/reader.Dockerfile -t receipts-reader .

smoke: $(VENV)/.run ## run both images against the embedded stack, the worker at 0.25 CPU and 512 MiB, and say what was seen
	@$(BIN)/python docker/smoke.py --engine $(PODMAN) $(ARGS)

figures: $(VENV)/.dev ## work out the figures of docs/scaling.md anew, some minutes (ARGS=--check only compares)
	@$(BIN)/python docs/scaling/figures.py $(ARGS)

TRUTH ?= ../shared/receipts/dev/truth.jsonl
evaluate: $(VENV)/.dev ## measure the embedded reader on receipts of known truth, some minutes (TRUTH=… ARGS="--html report.html")
	@$(BIN)/receipts evaluate --truth $(TRUTH) $(ARGS)

clean: ## remove what was built and installed
	@rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
