# Needs Python >= 3.11 and make. All else is installed below this folder.

PYTHON ?= python3
NEWEST := 3.3.2
LAST_2 := 2.11.2
MATRIX := airflow-$(NEWEST) airflow-$(LAST_2) lowest
BIN := .venv/bin
UV := $(BIN)/uv

# An environment that is active means nothing here.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 18

.PHONY: demo
demo: .venv/ready ## one day of a sandbox account into files and SQL, and a table of what landed
	$(BIN)/python demo/run.py

.PHONY: test
test: .venv/ready ## every test, on the newest Airflow
	@$(get-packages)
	@$(call get-mysql,.venv,airflow-$(NEWEST))
	$(BIN)/python -m pytest --numprocesses 2

.PHONY: chaos
chaos: .venv/ready ## twenty thousand random plans of faults, and two hundred kills of each kind
	NP6_CHAOS=20000 NP6_KILLS=200 $(BIN)/python -m pytest -s --timeout 7200 tests/test_chaos.py tests/test_kill.py tests/test_sql_servers.py

.PHONY: bench
bench: .venv/ready ## ours beside what people write by hand, and what huge and hostile answers cost
	$(BIN)/python benchmarks/hostile.py
	$(BIN)/python -m benchmarks.compare
	$(BIN)/python -m benchmarks.compare --only jsonl.zst parquet --growth 50000 500000 5000000

.PHONY: lint
lint: .venv/ready ## style, types, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: format
format: .venv/ready ## bring the code into the style that lint wants
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: matrix
matrix: $(MATRIX:%=core-%) ## the core tests on each supported Airflow, and on the lowest versions allowed

.PHONY: $(MATRIX:%=core-%)
$(MATRIX:%=core-%): core-%: .venv-%/ready
	@$(get-packages)
	@$(call get-mysql,.venv-$*,$*)
	NP6_LARGE=5000 NP6_ROUNDS=3 NP6_KILLS=10 .venv-$*/bin/python -m pytest --numprocesses 2 -m core

.PHONY: warehouses
warehouses: .venv-warehouses/ready ## the DAGs that load warehouses, with the providers that these need: 1.5 GB
	NP6_WAREHOUSES=1 .venv-warehouses/bin/python -m pytest tests/test_warehouses.py

.PHONY: airflow
airflow: export AIRFLOW_HOME := $(CURDIR)/.airflow
airflow: export AIRFLOW__API__HOST := 127.0.0.1
airflow: export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
airflow: export AIRFLOW__CORE__LOAD_EXAMPLES := False
airflow: export AIRFLOW__CORE__PARALLELISM := 4
airflow: export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS := True
airflow: export AIRFLOW_CONN_NP6_DEFAULT := {"conn_type": "np6", "host": "http://127.0.0.1:8086", "password": "sandbox-key"}
airflow: export AIRFLOW_CONN_NP6_SQL := {"conn_type": "sqlite", "host": "$(CURDIR)/.airflow/np6.db"}
airflow: .venv/ready ## Airflow's pages on port 8080 with the sandbox behind them, until Ctrl-C
	$(BIN)/airflow db migrate
	$(BIN)/airflow pools set np6_api 4 "Requests to NP6"
	trap : INT TERM; \
	$(BIN)/python -m airflow_provider_np6.sandbox --port 8086 --key sandbox-key & trap "kill $$!" EXIT; \
	PATH="$(CURDIR)/$(BIN):$$PATH" airflow standalone

.PHONY: constraints
constraints: $(UV) ## choose the versions again: the newest for each Airflow, the lowest that pyproject.toml allows
	echo "apache-airflow==$(NEWEST)" | $(COMPILE) --group lint --output-file constraints/airflow-$(NEWEST).txt
	echo "apache-airflow==$(LAST_2)" | $(COMPILE) --output-file constraints/airflow-$(LAST_2).txt
	$(LOWEST) | $(COMPILE) --resolution lowest-direct --output-file constraints/lowest.txt

.PHONY: clean
clean: ## remove all that the other targets made
	rm -rf .venv .venv-* .airflow .demo .hypothesis .*_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

REQUIREMENTS := pyproject.toml --extra postgres --extra sqlite --extra duckdb --extra parquet --extra plot --extra s3 --group test
INSTALL := $(UV) pip install --quiet --editable . --requirement $(REQUIREMENTS)
COMPILE := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate \
	$(REQUIREMENTS) --extra mysql -
# Every NAME>=VERSION of pyproject.toml made NAME==VERSION; and what Airflow 2.11.0 needs but only 2.11.2 says.
LOWEST := { sed -n '/^dependencies/,/^s3/ s/.*"\(.*\)>=\(.*\)".*/\1==\2/p' pyproject.toml; echo "universal-pathlib<0.3"; }

$(UV):
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv

.venv/ready: constraints/airflow-$(NEWEST).txt pyproject.toml | $(UV)
	$(INSTALL) --group lint --constraint $< --python .venv
	@touch $@

.venv-%/ready: constraints/%.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python .venv .venv-$*
	$(INSTALL) --constraint $< --python .venv-$*
	@touch $@

# Without constraints: the providers of Google and Snowflake need versions other than those that are tested.
.venv-warehouses/ready: pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python .venv .venv-warehouses
	$(INSTALL) --group warehouses "apache-airflow==$(NEWEST)" --python .venv-warehouses
	@touch $@

# docker-compose reads docker-compose.yaml without a Docker engine, MariaDB is a server that tests start, and
# mysqlclient is built with the rest. Where they are missing and cannot be installed, their tests are skipped.
PACKAGES := docker-compose mariadb-server gcc libmariadb-dev pkg-config

define get-packages
dpkg --status $(PACKAGES) >/dev/null 2>&1 || { \
	test "$$(id -u)" = 0 && apt-get update && apt-get install --yes --no-install-recommends $(PACKAGES); \
} >/dev/null 2>&1 || true
endef

define get-mysql
$(1)/bin/python -c "import MySQLdb" 2>/dev/null || \
	$(UV) pip install --quiet --editable .[mysql] --constraint constraints/$(2).txt --python $(1) 2>/dev/null || true
endef
