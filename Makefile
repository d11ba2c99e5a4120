# Everything a contributor types. A fresh machine needs Python 3.11 or newer and make, nothing else.

VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.setup-done
PIP    := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest

# Two workers on two cores; a file's tests stay together, so that its servers are started once, in the order of
# tests/conftest.py.
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder
QUICK  := tests/core tests/house $(wildcard tests/slack/test_lint*.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench faults simulate pictures lock

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Make .venv with everything in requirements.lock (does nothing if that is done)

demo: $(STAMP) ## The practice workspace in your browser: one line says where; Ctrl-C ends it
	$(BIN)/rollbot demo

test: $(STAMP) ## Run all tests
	$(PYTEST) $(SPREAD)

check: $(STAMP) ## Format, lint, types, import contracts and the quick tests; under a minute
	$(BIN)/ruff format --check --output-format concise .
	$(BIN)/ruff check --output-format concise .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(PYTEST) --quiet --durations=3 $(QUICK)

format: $(STAMP) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(STAMP) ## Measure, and print the numbers beside what is promised
	$(BIN)/python -m tests.bench

faults: $(STAMP) ## Kill, stall and cut it, the long way
	ROLLBOT_FAULTS=all $(PYTEST) $(SPREAD) tests/faults

simulate: $(STAMP) ## 10,000 nights in virtual time; a failing seed is named (SEED=N reads that one line by line)
	$(BIN)/python -m tests.faults.simulate $(if $(SEED),--seed $(SEED),--count 10000)

pictures: $(STAMP) ## Take the README's pictures anew, from the practice workspace in Chromium
	ROLLBOT_PICTURES=docs/pictures $(PYTEST) tests/practice/page/test_whole_incident.py -k tour

lock: $(STAMP) ## Write requirements.lock anew from pyproject.toml (make lock UPGRADE=--upgrade for newer versions)
	$(BIN)/uv pip compile --quiet pyproject.toml --extra dev --universal --fork-strategy fewest --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE) --output-file requirements.lock
	@if grep -n '://\|^-' requirements.lock; then echo "requirements.lock names a registry: not usable elsewhere" >&2; exit 1; fi

$(STAMP): requirements.lock pyproject.toml
	@if [ ! -x $(BIN)/python ]; then \
	  for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "make setup: Python 3.11 or newer is needed, found $$(python3 --version 2>/dev/null || echo none). Install it, or name it: make setup PYTHON=..." >&2; exit 1; \
	  fi; \
	  if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "make setup: $$python lacks the venv and ensurepip modules. On Debian and Ubuntu: apt-get install $$(basename $$python)-venv" >&2; exit 1; \
	  fi; \
	  echo "make setup: $$("$$python" --version), two or three minutes, in which nothing is printed"; \
	  "$$python" -m venv $(VENV); \
	fi
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $(STAMP)
