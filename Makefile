# `make` or `make help` lists what there is. Every target that needs the workspace sets it up first.
SHELL := /bin/bash
.DEFAULT_GOAL := help

TRIALS ?= 10
DATA ?= data/demo
SEED ?= 0
ONLY ?=

ENV := source .ws/env.sh
PYTHON_FILES := benchmarks nodes scripts sdk setup.py src test

.PHONY: help setup demo test bench lint format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

setup: ## from a bare machine to a built workspace; free when nothing changed
	@bash scripts/setup.sh

demo: setup ## simulated Baxter records trials: TRIALS=10 DATA=data/demo SEED=0
	@$(ENV) && bash scripts/demo.sh "$(TRIALS)" "$(DATA)" "$(SEED)"

test: setup ## unit tests and rostests; ONLY=name runs those whose file name contains it
	@$(ENV) && bash scripts/test.sh "$(ONLY)"

bench: setup ## every benchmark, one line a figure; ONLY=name runs one
	@$(ENV) && python benchmarks/run.py $(if $(ONLY),--only "$(ONLY)")

lint: setup ## style, imports, docstrings and types
	@$(ENV) && ruff check $(PYTHON_FILES) && ruff format --check $(PYTHON_FILES) && mypy

format: setup ## rewrite the Python files in the project's format
	@$(ENV) && ruff check --fix $(PYTHON_FILES); ruff format $(PYTHON_FILES)

clean: ## remove what set-up and runs made, except recorded data
	rm -rf .ws .venv .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
