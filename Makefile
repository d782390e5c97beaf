# `make help` lists what there is. Python 3.11 to 3.13 and make are all it takes.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 7071
JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help run test lint types format test-worker test-emulators bench infra-check package clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(BIN)/.runtime: requirements.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed; set PYTHON=")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(BIN)/.dev: requirements.txt requirements-dev.txt $(BIN)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

run: $(BIN)/.runtime ## Start everything on http://127.0.0.1:7071 (PORT= changes it)
	@exec $(BIN)/python -m shared.devhost --port $(PORT)

test: $(BIN)/.dev ## Run the tests (Python alone)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

lint: $(BIN)/.dev ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(BIN)/.dev ## Rewrite to the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(BIN)/.dev ## Check types
	$(BIN)/mypy

test-worker: ## Run the app in Azure's own runtime library (Python 3.13)
	@bash tests/worker/run.sh

test-emulators: $(BIN)/.dev ## Run the contract suites against emulators that others wrote (npm)
	@VENV=$(VENV) bash tests/emulators/run.sh

bench: $(BIN)/.dev ## Measure speed beside a bare relay and the peers (WHAT=jobs: of jobs)
	@$(BIN)/python -m benchmarks $(WHAT)

infra-check: $(BIN)/.dev ## Check the Bicep: parsed, checkov, and the compiler where there is one
	@$(BIN)/python -m tools.infra_check

package: ## Make dist/llm-proxy.zip, what Azure gets
	@$(PYTHON) -m tools.package

clean: ## Remove virtual environments and caches, not .local
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .bench
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
