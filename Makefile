# `make help` lists the targets. Everything runs from .venv, which is created from the lock files on first use.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
VERSION := $(shell sed -n 's/^version = //p' setup.cfg)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run test unit check format chaos bench browser images smoke infra checkov calibrate figures evaluate lock release clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed. Select it with: make PYTHON=python3.12 …" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# What `make run` needs: the worker, the embedded stack and the embedded reader.
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

# Test files run in parallel, the long ones first: they wait for queues more than they compute.
JOBS ?= 4
TESTS = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
test: $(VENV)/.dev ## run the tests (ARGS="…" for pytest, JOBS=0 without parallel processes)
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

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

# One resolution: dev.lock has everything; the smaller files use its versions.
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

# checkov has a separate environment: its pins conflict with ours.
CHECKOV := build/checkov
$(CHECKOV)/.ready:
	@echo "Installing checkov into $(CHECKOV) (once) …"
	@$(PYTHON) -m venv $(CHECKOV) && $(CHECKOV)/bin/pip --disable-pip-version-check --quiet install checkov==3.3.30
	@touch $@

infra: $(VENV)/.dev checkov ## check Terraform: format, its tests, comparison with the code, checkov
	@$(BIN)/python -m pytest tests/infra $(ARGS)

checkov: $(CHECKOV)/.ready
	@cd infra && ../$(CHECKOV)/bin/checkov --config-file .checkov.yaml

calibrate: $(VENV)/.dev ## compare the scaling simulator with the real worker, some minutes (ARGS="--keep" writes nothing)
	@$(BIN)/python tests/benchmarks/calibration.py $(ARGS)

# PODMAN=docker works too. BASE takes a digest (…@sha256:…) for a release; PODMAN_BUILD_FLAGS takes what this
# machine needs to reach a package index.
PODMAN ?= podman
BASE ?= docker.io/library/python:3.11-slim-bookworm
PODMAN_BUILD_FLAGS ?=
BUILD = $(PODMAN) build $(if $(findstring podman,$(PODMAN)),--format docker) $(PODMAN_BUILD_FLAGS) \
	--build-arg BASE=$(BASE) --build-arg VERSION=$(VERSION) \
	--build-arg REVISION=$(shell git rev-parse HEAD 2>/dev/null || echo unknown)
images: ## build the worker image and the reader image (docker/README.md)
	$(BUILD) -f docker/worker.Dockerfile -t receipts-worker .
	$(BUILD) -f docker/reader.Dockerfile -t receipts-reader .

smoke: $(VENV)/.run ## run both images against the embedded stack, the worker at 0.25 CPU and 512 MiB, and report
	@$(BIN)/python docker/smoke.py --engine $(PODMAN) $(ARGS)

figures: $(VENV)/.dev ## recalculate the figures of docs/scaling.md, some minutes (ARGS=--check only compares)
	@$(BIN)/python docs/scaling/figures.py $(ARGS)

# Real receipts beside the project if there are any, else the project's own samples.
TRUTH ?= $(wildcard ../shared/receipts/dev/truth.jsonl)
evaluate: $(VENV)/.dev ## measure the embedded reader on the samples, or on your receipts (TRUTH=… ARGS="--html report.html")
	@$(BIN)/receipts evaluate $(if $(TRUTH),--truth $(TRUTH)) $(ARGS)

# The build reads a copy of HEAD, so that no file of an earlier build or of the working tree gets into it.
RELEASE := build/release
release: ## check, build sdist and wheel into dist/, tag: the version is that of setup.cfg (CONTRIBUTING.md)
	@test -z "$$(git status --porcelain)" || \
		{ echo "make release: the working tree has changes that are not committed. Commit or stash them first." >&2; exit 1; }
	@grep -Eq '^## $(subst .,\.,$(VERSION)) - [0-9]{4}-[0-9]{2}-[0-9]{2}$$' CHANGELOG.md || \
		{ echo "make release: CHANGELOG.md has no section '## $(VERSION) - YYYY-MM-DD'. Rename 'Unreleased', or set version in setup.cfg." >&2; exit 1; }
	@! git rev-parse --quiet --verify refs/tags/v$(VERSION) >/dev/null || \
		{ echo "make release: the tag v$(VERSION) exists. Set the next version in setup.cfg." >&2; exit 1; }
	@$(MAKE) --no-print-directory $(VENV)/.run
	@rm -rf dist $(RELEASE) && mkdir -p dist $(RELEASE) && git archive HEAD | tar -x -C $(RELEASE)
	@cd $(RELEASE) && for kind in sdist wheel; do PYTHONWARNINGS=ignore ../../$(BIN)/python -c \
		"import setuptools.build_meta as build; build.build_$$kind('../../dist')" >/dev/null || exit 1; done
	@git tag --annotate v$(VERSION) --message "Version $(VERSION)"
	@echo "Built and tagged v$(VERSION):" dist/* && echo "Publish the tag with: git push origin v$(VERSION)"

clean: ## remove everything built or installed
	@rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
