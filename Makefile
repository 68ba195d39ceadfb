# Each target says what it does; `make help` lists them.
# `make demo` and `make test` work in a fresh clone: they install what they need into .venv first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
LOCK := $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --no-header

# What counts lines costs a third of the time, so it counts where nearly all of them are run. Tests that hurt servers
# and look at the clock, draw pages or attack have a core each.
TIMED := tests/faults tests/browser tests/isolation

.DEFAULT_GOAL := help
.PHONY: help demo test check bench faults tools countries clean lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Run Grove with three clients and a month of events (ONCE=1: check it and leave)
	@$(BIN)/python -m app demo $(if $(ONCE),--once)

test: $(VENV)/.installed ## Run the tests, with the coverage gate (ARGS=... goes to pytest instead)
ifdef ARGS
	@$(BIN)/python -m pytest $(ARGS)
else
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --numprocesses=3 --dist=loadfile $(addprefix --ignore=,$(TIMED)); counted=$$?; \
	[ $$counted -lt 2 ] || exit $$counted; \
	$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile $(TIMED) && exit $$counted
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
endif

check: $(VENV)/.installed ## Check style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed ## Measure ingest, or WHAT=profile, enrichment, gateway, grafana, many, fair, overload or soak (ARGS=... goes to it), against limits of the machine
	@$(BIN)/python -m bench$(addprefix .,$(WHAT)) $(ARGS)

faults: $(VENV)/.installed ## Do N=200 random faults to a server under load, of SEED=..., and judge what it stored
	@N=$(N) SEED=$(SEED) $(BIN)/python -m tests.faults.mix

tools: ## Install the Debian packages that some tests use, where that is possible
	@./.ci/tools

countries: ## Fetch a free file of countries by npm, to where Grove looks for one
	@./infra/fetch-countries $(or $(GROVE_DATA_DIR),.grove)/countries.mmdb

lock: ## Lock and hash the requirements anew
	python3 -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --group dev -o requirements-dev.lock
	rm -rf $(VENV)-lock

clean: ## Remove what was installed or made here, but not the data in .grove
	rm -rf $(VENV) $(VENV)-lock build dist artifacts sdk/node_modules *.egg-info .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements-dev.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
