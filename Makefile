# Every target sets up what it needs: a fresh clone and Python 3.11 or newer are enough.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DEMO_ARGS ?=
RUN_ARGS ?=
TEST_ARGS ?= -n auto
BENCH ?=

.PHONY: help run demo test test-remotes check format bench lock clean
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run ## open the console (without a terminal: play the demo headless)
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/warroom $(RUN_ARGS); else $(BIN)/warroom demo --headless; fi

demo: $(VENV)/.run ## rehearse on a synthetic incident in a store of its own
	@$(BIN)/warroom demo $(DEMO_ARGS)

test: $(VENV)/.dev ## run the tests
	@$(BIN)/python -m pytest $(TEST_ARGS) || \
		{ echo "Once more, one at a time, what failed in company:"; $(BIN)/python -m pytest -n 0 --last-failed --last-failed-no-failures none; }

test-remotes: $(VENV)/.dev ## run the tests that need a Ceph gateway (starts one; as root it installs it from apt)
	@tests/remotes/ceph.sh $(BIN)/python

check: $(VENV)/.dev ## lint, format, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## put the code into the house format
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

bench: $(VENV)/.dev ## measure against bounds in the same run; BENCH=name runs one
	@$(BIN)/python -m tests.bench $(BENCH)

lock: $(VENV)/.dev ## resolve the dependencies again, with hashes and without registry addresses
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--extra build pyproject.toml -o .ci/requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade \
		--extra build --extra dev -c .ci/requirements.lock pyproject.toml -o .ci/requirements-dev.lock

clean: ## remove the environment and the caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "warroom needs Python 3.11 or newer, and none was found on PATH."; \
		echo "Install it, or name one: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }

$(VENV)/.run: $(VENV)/bin/python .ci/requirements.lock pyproject.toml
	@echo "Setting up .venv (once) ..."
	@$(PIP) install --require-hashes -r .ci/requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run .ci/requirements-dev.lock
	@echo "Setting up the development tools in .venv (once) ..."
	@$(PIP) install --require-hashes -r .ci/requirements-dev.lock
	@touch $@
