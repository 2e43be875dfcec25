# Two commands carry this project: `make demo` and `make test`. They need python3 (3.11 or newer) and make, nothing else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := 0.13.9

# Dozens of processes start in each of these commands: where bytecode is not kept, each compiles torch and Django anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve desk test test-long test-all lint types schema bench starter clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(VENV)/ready: pyproject.toml uv.lock
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	$(BIN)/uv sync --frozen --quiet --inexact --python $(BIN)/python
	touch $@

demo: $(VENV)/ready ## play the main job through the public API and print a report
	$(BIN)/python -m demo.run

serve: $(VENV)/ready ## the same system, left running; prints how to sign in
	$(BIN)/python -m vouch.runtime.serve

desk: $(VENV)/ready ## a moderator's day to walk through, with the demo's data (docs/desk.md)
	$(BIN)/python -m demo.desk

# One file's tests stay with one worker: they share what is dear to set up.
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/ready ## the suite on real PostgreSQL, Redis, Celery and (where installed) Chromium: a quarter of an hour
	$(PYTEST) -m "not slow and not long"

test-long: $(VENV)/ready ## what takes more than three seconds: the whole system, trainings, walks in the browser
	$(PYTEST) -m "long and not slow"

test-all: $(VENV)/ready ## all of that, and the slow tests (an hour)
	$(PYTEST)

bench: $(VENV)/ready ## speed and memory of the engine beside plain paths, to var/bench.json (about ten minutes)
	@mkdir -p var
	$(BIN)/python -m cloning.engine.bench --json var/bench.json

starter: $(VENV)/ready ## make the starter voice base again from synthesised speech (hours; stop and start as you like)
	$(BIN)/python -m demo.starter --work var/starter

lint: $(VENV)/ready ## ruff, import contracts, no platform/__init__.py, migrations and API schema up to date
	@test ! -e platform/__init__.py || { echo "platform/__init__.py would shadow Python's own module 'platform': remove it."; exit 1; }
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.tools.check_django

types: $(VENV)/ready ## mypy with django-stubs
	$(BIN)/mypy

schema: $(VENV)/ready ## write the OpenAPI snapshot that the tests compare
	$(BIN)/python -m tests.tools.check_django --write-schema

clean: ## remove what was built (not var/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
