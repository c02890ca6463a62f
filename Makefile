# One verb per chore, the same here and in CI. Each verb installs what it needs first.
SHELL := /bin/bash
BIN := .venv/bin

.PHONY: install tools demo test check soak bench bench-peers clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt deploy/bootstrap
	@bash deploy/bootstrap python
	@touch $@

tools: install
	@bash deploy/bootstrap tools

demo: install
	@bash deploy/bootstrap demo
	@$(BIN)/headrace demo

test: tools
	@$(BIN)/python -m pytest

check: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

soak: tools
	@$(BIN)/python -m pytest -m soak

bench: install
	@$(BIN)/python -m headrace.main bench small

bench-peers: install
	@bash deploy/bootstrap peers
	@$(BIN)/python -m headrace.main bench peers

clean:
	rm -rf .venv .headrace node_modules
