# `make` lists the targets. Everything runs in .venv, which `make env` builds.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
IMPORTS := drytorch_schemas, drytorch_client, drytorch_broker, drytorch_trackers, drytorch, hydra, sklearn, torch, zmq

# what `make stall` compares with, in an environment of its own
RIVALS := psutil torch==2.13.0 drytorch==0.1.0rc11 mlflow==3.17.2 tensorboard==2.21.0 \
          trackio==0.43.0 wandb==0.31.0
SEED ?= 1000
MINUTES ?= 3

.DEFAULT_GOAL := help
.PHONY: help env lint test soak chaos demo bench stall clean

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

chaos: env ## rounds of random faults: make chaos SEED=100 MINUTES=30
	SEED=$(SEED) MINUTES=$(MINUTES) $(BIN)/pytest -q tests/chaos -m soak

demo: env ## train on handwritten digits with trackers attached, and show the results
	$(BIN)/python examples/digits.py --par-dir experiments
	@$(BIN)/python examples/show_results.py experiments

bench: env ## measure what reporting costs a training loop
	$(BIN)/python -m benchmarks.run

stall: ## measure what a loop feels when a logger's helper breaks; as root
	test -x .venv-stall/bin/python || $(PYTHON) -m venv .venv-stall
	.venv-stall/bin/python -m pip install --quiet -e . $(RIVALS)
	.venv-stall/bin/python -m benchmarks.stall --svg docs/stall.svg

clean: ## remove caches and built files, but not .venv
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -print0 | xargs -0 rm -rf
