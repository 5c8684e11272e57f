# `make help` lists the targets. Everything runs from .venv, which is created from the lock files on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run test unit check format chaos bench browser images smoke infra checkov calibrate figures evaluate lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed. Select it with: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# Everything for `make run`: the worker, the embedded stack and the embedded reader.
$(VENV)/.run: requirements/run.lock setup.cfg pyproject.toml | $(BIN)/python
	@echo "Installing from requirements/run.lock into $(VENV) (once) …"
	@$(PIP) install --require-hashes --no-deps -r requirements/run.lock
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The tools for tests and checks.
$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	@echo "Installing from requirements/dev.lock into $(VENV) (once) …"
	@$(PIP) install --require-hashes --no-deps -r requirements/dev.lock
	@touch $@

install: $(VENV)/.dev ## create .venv from the lock files

run: $(VENV)/.run ## run the whole system on this machine with sample receipts (ARGS="…" for `receipts local`)
	@$(BIN)/receipts local $(ARGS)

# Test files run in parallel, because they mostly wait for queues.
JOBS ?= 4
TESTS = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
test: $(VENV)/.dev ## run the tests (ARGS="…" for pytest, JOBS=0 for no parallelism)
	@$(TESTS) $(ARGS)

unit: $(VENV)/.dev ## run the tests without I/O, about a minute (ARGS="…" for pytest)
	@$(BIN)/python -m pytest tests/unit --numprocesses 2 $(ARGS)

browser: $(VENV)/.dev ## test the console in Chromium (apt-get install chromium); screenshots go to build/screenshots
	@$(BIN)/python -m pytest tests/browser $(ARGS)

chaos: $(VENV)/.dev ## chaos tests: 2,000 uploads under faults, an endpoint with changing capacity, 32 photos at once
	@$(BIN)/python -m tests.chaos $(ARGS)
	@$(BIN)/python -m tests.chaos.capacity
	@$(BIN)/python -m tests.benchmarks memory --strict

bench: $(VENV)/.dev ## measure speed, CPU and memory into build/bench.json, about 25 minutes (ARGS=--quick, or ARGS="cpu --runs 3")
	@$(BIN)/python -m tests.benchmarks $(ARGS)

check: $(VENV)/.dev ## check format, lint, imports and types, and run the tests, as CI does
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy
	@$(TESTS) --cov --cov-report=term:skip-covered $(ARGS)

format: $(VENV)/.dev ## format the code and fix lint errors
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# dev.lock resolves everything; the smaller lock files are constrained to its versions.
UV_LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--override requirements/overrides.txt
UV_COMPILE := $(UV_LOCK) setup.cfg
LESS := requirements/build.in -c requirements/dev.lock
lock: | $(BIN)/python ## resolve the lock files (ARGS=--upgrade for the newest versions)
	@test -x $(BIN)/uv || $(PIP) install uv
	@$(UV_COMPILE) requirements/build.in --extra local --extra reader --extra analysis --extra dev $(ARGS) -o requirements/dev.lock
	@$(UV_COMPILE) $(LESS) --extra local --extra reader -o requirements/run.lock
	@$(UV_LOCK) requirements/reader.in -c requirements/dev.lock -o requirements/reader.lock
	@$(UV_COMPILE) $(LESS) -o requirements/worker.lock

# checkov has its own environment, because its pinned versions conflict with ours.
CHECKOV := build/checkov
$(CHECKOV)/.ready:
	@echo "Installing checkov into $(CHECKOV) (once) …"
	@$(PYTHON) -m venv $(CHECKOV) && $(CHECKOV)/bin/pip --disable-pip-version-check --quiet install checkov==3.3.30
	@touch $@

infra: $(VENV)/.dev checkov ## Terraform: format, its own tests, tests against the code, checkov
	@$(BIN)/python -m pytest tests/infra $(ARGS)

checkov: $(CHECKOV)/.ready
	@cd infra && ../$(CHECKOV)/bin/checkov --config-file .checkov.yaml

calibrate: $(VENV)/.dev ## compare the scaling simulator with the real worker, some minutes (ARGS="--keep" writes nothing)
	@$(BIN)/python tests/benchmarks/calibration.py $(ARGS)

# PODMAN=docker works, too. For a release, set BASE to a digest (…@sha256:…). PODMAN_BUILD_FLAGS is for options that this
# machine needs to reach a package index.
PODMAN ?= podman
BASE ?= docker.io/library/python:3.11-slim-bookworm
PODMAN_BUILD_FLAGS ?=
BUILD = $(PODMAN) build $(if $(findstring podman,$(PODMAN)),--format docker) $(PODMAN_BUILD_FLAGS) \
	--build-arg BASE=$(BASE) --build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)
images: ## build the images of worker and reader (docker/README.md)
	$(BUILD) -f docker/worker.Dockerfile -t receipts-worker .
	$(BUILD) -f docker/reader.Dockerfile -t receipts-reader .

smoke: $(VENV)/.run ## run both images against the embedded stack, the worker at 0.25 CPU and 512 MiB
	@$(BIN)/python docker/smoke.py --engine $(PODMAN) $(ARGS)

figures: $(VENV)/.dev ## recompute the figures of docs/scaling.md, some minutes (ARGS=--check only compares)
	@$(BIN)/python docs/scaling/figures.py $(ARGS)

TRUTH ?= ../shared/receipts/dev/truth.jsonl
evaluate: $(VENV)/.dev ## evaluate the embedded reader on receipts with known truth, some minutes (TRUTH=… ARGS="--html report.html")
	@$(BIN)/receipts evaluate --truth $(TRUTH) $(ARGS)

clean: ## remove everything built or installed
	@rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
