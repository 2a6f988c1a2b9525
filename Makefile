# Every target sets up what it needs from a bare python3 (3.11 or newer); `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
WORKERS ?= auto
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install hooks demo lint fast test slow-tests coverage check audit wheel docker \
        prove-hooks prove-docker validate validate-short kill-campaign fuzz mutation \
        format bench bench-check lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

install: $(STAMP) ## Create .venv with the locked versions of everything

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "FractalTrader needs Python 3.11 or newer; set PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

hooks: $(STAMP) ## Run the checks and the fast tests before every commit
	$(BIN)/pre-commit install

demo: $(STAMP) ## Watch the bot trade on the local exchange (under a minute)
	$(BIN)/fractal demo

lint: $(STAMP) ## Format, lint, types, arrows, security, secrets, spelling, YAML (the hooks)
	SKIP=fast-tests $(BIN)/pre-commit run --all-files

fast: $(STAMP) ## Run the tests that take no time (what the hook before a commit runs)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --hypothesis-profile=fast \
	  -m "not slow and not integration"

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

slow-tests: $(STAMP) ## Measure which tests are too slow for the fast stage (on a calm machine)
	$(BIN)/python -m pytest --hypothesis-profile=fast -m "not integration" --write-slow-tests

# Slow tests take two to three times as long when traced. Those of these rooms cover what no other
# test does; all others run as they are.
TRACED := tests/certify tests/validation tests/chart tests/data tests/keys tests/simulator/test_tape.py \
          tests/cli/test_errors_and_limits.py tests/cli/test_keys_commands.py

coverage: $(STAMP) ## Run the tests; fail below the floor of covered lines and branches
	rm -f .coverage .coverage.*
	$(BIN)/python -m pytest --numprocesses $(WORKERS) -m slow $(TRACED:%=--ignore=%)
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) -m slow $(TRACED)
	$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) -m "not slow"
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage xml --quiet
	$(BIN)/coverage report

check: lint coverage bench-check wheel ## Everything CI checks on a push, but for what needs a registry
	@echo "make check: all passed"

audit: $(STAMP) ## Look the locked versions up among the known vulnerabilities (needs the network)
	$(BIN)/pip-audit --strict --require-hashes --disable-pip --requirement requirements.lock

wheel: $(STAMP) ## Prove that the wheel alone runs the demo, and that the sdist builds the same one
	scripts/prove_wheel.sh $(PYTHONS)

docker: ## Prove the Dockerfile with an engine
	docker build --target dev --tag fractaltrader-dev .
	docker compose --profile test up --abort-on-container-exit --exit-code-from tests
	docker build --tag fractaltrader .
	docker run --rm --read-only --network none --tmpfs /tmp --volume /var/lib/fractal fractaltrader demo

prove-hooks: $(STAMP) ## Plant a defect of each kind and see its hook refuse it
	$(BIN)/python scripts/prove_hooks.py

prove-docker: ## Prove the Dockerfile without an engine (as root, with buildah and debootstrap)
	scripts/prove_docker.sh

validate-short: $(STAMP) ## Simulated hours of faults, a minute
	$(BIN)/fractal validate --days 1 --scenario all --seeds 1

validate: $(STAMP) ## Simulated weeks of faults, then the crash matrix (hours)
	$(BIN)/fractal validate --days 7 --scenario all --seeds 20
	$(BIN)/fractal validate --crash-matrix

kill-campaign: $(STAMP) ## `kill -9` of the bot 200 times, eight writers for a minute (minutes)
	$(BIN)/python tests/live/kill_campaign.py 200

fuzz: $(STAMP) ## Throw 100,000 inputs at the local exchange (about five minutes)
	$(BIN)/python tests/simulator/fuzzing.py 100000

mutation: $(STAMP) ## Break each rule of risk, errors, state and executor; the tests must notice
	PYTHONHASHSEED=0 $(BIN)/python scripts/mutation.py

format: $(STAMP) ## Format the code and apply safe lint fixes
	$(BIN)/ruff check --fix --quiet src tests benchmarks scripts
	$(BIN)/black --quiet src tests benchmarks scripts

bench: $(STAMP) ## Measure detection, backtest and signing speed
	$(BIN)/python -m benchmarks

bench-check: $(STAMP) ## Fail where a speed fell behind benchmarks/ratios.toml
	$(BIN)/python -m benchmarks.ratios

RESOLVE = uv pip compile pyproject.toml --universal --python-version 3.11 \
  --generate-hashes --no-emit-index-url --no-header --no-annotate --quiet

lock: ## Resolve the locks anew: of everything, and of the bot alone (needs uv)
	$(RESOLVE) --extra all --group dev --output-file requirements.lock
	$(RESOLVE) --constraint requirements.lock --output-file requirements-bot.lock

clean: ## Remove the environment and caches
	rm -rf $(VENV) .coverage .coverage.* coverage.xml .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
