# `make` lists the targets. Everything runs in .venv, which `make env` builds.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
IMPORTS := drytorch_schemas, drytorch_client, drytorch_broker, drytorch_trackers, drytorch, hydra, sklearn, torch, zmq

.DEFAULT_GOAL := help
.PHONY: help env lint test soak demo bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "%-6s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

env: $(STAMP) ## build .venv with what development and the tests need

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "drytorch-bus needs Python 3.11 or later, but $(PYTHON) is $$($(PYTHON) --version 2>&1);" \
	         "name another one with 'make env PYTHON=...'." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,torch,drytorch,hydra,postgres]'
	cd .venv && bin/python -c 'import $(IMPORTS)'
	@touch $@

lint: env ## ruff, its formatter and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint ## lint, then every test but the soak tests
	$(BIN)/pytest -q -m "not soak and not alone" -n 3 --dist worksteal
	$(BIN)/pytest -q -m "alone"

soak: env ## the long tests under faults
	$(BIN)/pytest -m soak

demo: env ## train on handwritten digits with trackers attached, and show the results
	$(BIN)/python examples/digits.py --par-dir experiments
	@$(BIN)/python examples/show_results.py experiments

bench: env ## measure what reporting costs a training loop
	$(BIN)/python -m benchmarks.run

clean: ## remove caches and built files, but not .venv
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -print0 | xargs -0 rm -rf
