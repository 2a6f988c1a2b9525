# Every target sets up what it needs from a bare python3 (3.11 or newer); `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
WORKERS ?= auto
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test check validate kill-campaign fuzz format bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

install: $(STAMP) ## Create .venv with the locked versions of everything

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "FractalTrader needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Watch the bot trade on the local exchange (under a minute)
	$(BIN)/fractal demo

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

validate: $(STAMP) ## Simulated weeks of faults, then the crash matrix (hours)
	$(BIN)/fractal validate --days 7 --scenario all --seeds 20
	$(BIN)/fractal validate --crash-matrix

kill-campaign: $(STAMP) ## `kill -9` of the bot 200 times, eight writers for a minute (minutes)
	$(BIN)/python tests/live/kill_campaign.py 200

check: $(STAMP) ## Everything CI checks: format, lint, types, arrows, security, tests
	$(BIN)/black --check --quiet src tests benchmarks
	$(BIN)/ruff check --quiet src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src
	$(MAKE) test

fuzz: $(STAMP) ## Throw 100,000 inputs at the local exchange (about five minutes)
	$(BIN)/python tests/simulator/fuzzing.py 100000

format: $(STAMP) ## Format the code and apply safe lint fixes
	$(BIN)/ruff check --fix --quiet src tests benchmarks
	$(BIN)/black --quiet src tests benchmarks

bench: $(STAMP) ## Measure detection, backtest and signing speed
	$(BIN)/python -m benchmarks

lock: ## Resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra all --group dev \
	  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet --output-file requirements.lock

clean: ## Remove the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
