# Needs Python >= 3.11 and make. Only `make services` installs anything outside of this folder.

PYTHON ?= python3
NEWEST := 3.3.2
LAST_2 := 2.11.2
MATRIX := airflow-$(NEWEST) airflow-3.2.2 airflow-3.1.8 airflow-$(LAST_2) lowest
PYTHONS ?= python3.11 python3.12 python3.13
BIN := .venv/bin
UV := $(BIN)/uv

# An active environment has no effect here.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

.PHONY: help
help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

.PHONY: demo
demo: .venv/ready ## one day of a sandbox account into files and SQL, counted, with bounce rates
	$(BIN)/python demo/run.py

# What tests, pictures, the benchmark and the cluster start, and what mysqlclient is built from.
SERVICES := chromium curl default-jre-headless docker-compose gcc libh2-java libmariadb-dev mariadb-server pgbouncer pkg-config redis-server zstd

.PHONY: services
services: ## install the Debian packages that some tests need (as root), and mysqlclient
	.ci/services $(SERVICES)
	@timeout 120 npm install --silent --no-save --prefix .venv-azurite azurite || echo "Azurite is not installed: its tests are skipped"
	@rm -f .venv/ready .venv-airflow-*/ready .venv-lowest*/ready
	$(MAKE) .venv/ready

.PHONY: test
test: .venv/ready ## all tests on the newest Airflow; those whose server is missing are skipped
	$(BIN)/python -m pytest --numprocesses 2

.PHONY: unit
unit: .venv/ready ## the unit tests alone
	$(BIN)/python -m pytest --numprocesses 2 tests/unit

.PHONY: chaos
chaos: .venv/ready ## twenty thousand servers that lie, as many random plans of faults, and two hundred kills of each kind
	NP6_CHAOS=20000 NP6_KILLS=200 $(BIN)/python -m pytest -s --timeout 7200 tests/unit/np6/test_lying_servers.py tests/integration/test_chaos.py tests/integration/test_kill.py tests/integration/test_sql_servers.py

.PHONY: mutants
mutants: .venv/ready ## change what verifies responses in some thousand small ways, and see whether its tests notice
	$(UV) pip install --quiet --group mutants --python .venv
	NP6_SCRATCH=$$(mktemp -d) PYTEST_XDIST_WORKER=gw0 $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

.PHONY: pictures
pictures: .venv/ready ## take the screenshots of docs/in-airflow.md again
	NP6_SERVERS=1 NP6_PICTURES=docs/images $(BIN)/python -m pytest --basetemp /tmp/np6-pictures tests/end_to_end/browser

.PHONY: bench
bench: .venv/ready .venv-peers/ready ## compare this provider with others, in docs/performance.md, and try hostile responses: 20 minutes
	@which curl zstd >/dev/null || { echo "curl or zstd is not installed: run \`make services\`"; exit 1; }
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.hostile

.PHONY: lint
lint: .venv/ready ## check style, types and imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: docs
docs: .venv-docs/ready ## build the documentation in .venv-docs/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --site-dir .venv-docs/site
	@! grep --files-with-matches ':[a-z]*:<code' .venv-docs/site/*.html || { echo "a role of reST is left there"; exit 1; }

.PHONY: format
format: .venv/ready ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: matrix
matrix: $(UV) ## the core tests on each supported Airflow with each of PYTHONS, and on the lowest versions allowed
	.ci/matrix "$(MATRIX)" "$(PYTHONS)"

# With the Python of .venv; or with another, WITH=python3.12, in an environment with another name, CELL=-py3.12.
WITH := .venv
CELL :=

.PHONY: $(MATRIX:%=core-%)
$(MATRIX:%=core-%): core-%: .venv-%$(CELL)/ready
	NP6_LARGE=5000 NP6_ROUNDS=3 NP6_KILLS=10 .venv-$*$(CELL)/bin/python -m pytest --numprocesses 2 -m core

.PHONY: warehouses
warehouses: .venv-warehouses/ready ## the DAGs that load warehouses, with the providers that these need: 1.5 GB
	NP6_WAREHOUSES=1 .venv-warehouses/bin/python -m pytest tests/integration/test_warehouses.py

.PHONY: dist
dist: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
dist: .venv/ready .venv-release/ready ## build wheel, sdist and SBOM in dist/, and test the wheel on its own
	rm -rf dist
	$(UV) build --quiet --out-dir dist
	.venv-release/bin/twine check --strict dist/*.whl dist/*.tar.gz
	$(UV) venv --quiet --clear --python .venv .venv-wheel
	$(UV) pip install --quiet --python .venv-wheel --constraint constraints/airflow-$(NEWEST).txt \
		"apache-airflow==$(NEWEST)" dist/*.whl
	.venv-release/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml --mc-type library \
		--output-file dist/sbom.cdx.json .venv-wheel/bin/python
	NP6_DIST=dist NP6_WHEEL=.venv-wheel/bin/python $(BIN)/python -m pytest tests/end_to_end/test_release.py

.PHONY: audit
audit: .venv-release/ready ## known vulnerabilities of the versions that the newest Airflow is tested with
	.venv-release/bin/pip-audit --strict --vulnerability-service pypi --progress-spinner off --disable-pip --no-deps \
		--requirement constraints/airflow-$(NEWEST).txt

.PHONY: airflow
airflow: export AIRFLOW_HOME := $(CURDIR)/.airflow
airflow: export AIRFLOW__API__HOST := 127.0.0.1
airflow: export AIRFLOW__CORE__DAGS_FOLDER := $(CURDIR)/dags
airflow: export AIRFLOW__CORE__LOAD_EXAMPLES := False
airflow: export AIRFLOW__CORE__PARALLELISM := 4
airflow: export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS := True
airflow: export AIRFLOW__CORE__TEST_CONNECTION := Enabled
airflow: export AIRFLOW_CONN_NP6_DEFAULT := {"conn_type": "np6", "host": "http://127.0.0.1:8086", "password": "sandbox-key"}
airflow: export AIRFLOW_CONN_NP6_SQL := {"conn_type": "sqlite", "host": "$(CURDIR)/.airflow/np6.db"}
airflow: .venv/ready ## Airflow's UI on port 8080, connected to the sandbox, until Ctrl-C
	$(BIN)/airflow db migrate
	$(BIN)/airflow pools set np6_api 4 "Requests to NP6"
	trap : INT TERM; \
	$(BIN)/python -m airflow_provider_np6.sandbox & trap "kill $$!" EXIT; \
	PATH="$(CURDIR)/$(BIN):$$PATH" airflow standalone

.PHONY: cluster
cluster: .venv/ready ## the deployment of docker-compose.yaml without containers, sandbox included, until Ctrl-C
	$(BIN)/python -m cluster

.PHONY: cluster-test
cluster-test: .venv/ready ## pull a month of 20 actions in that deployment while it is disturbed: 30 to 60 minutes
	$(BIN)/python -m pytest -s -m cluster tests/end_to_end/cluster

# The two in the middle use versions of two weeks after their release: later ones break them.
.PHONY: constraints
constraints: $(UV) ## choose all versions again: the newest for each Airflow, and the lowest that pyproject.toml allows
	echo "apache-airflow==$(NEWEST)" | $(COMPILE) --group browser --group cluster --group jdbc --group lint --group stores --output-file constraints/airflow-$(NEWEST).txt
	echo "apache-airflow==3.2.2" | $(COMPILE) --exclude-newer 2026-06-15 --output-file constraints/airflow-3.2.2.txt
	echo "apache-airflow==3.1.8" | $(COMPILE) --exclude-newer 2026-03-25 --output-file constraints/airflow-3.1.8.txt
	echo "apache-airflow==$(LAST_2)" | $(COMPILE) --output-file constraints/airflow-$(LAST_2).txt
	$(LOWEST) | $(COMPILE) --resolution lowest-direct --output-file constraints/lowest.txt
	$(RESOLVE) --group release --output-file constraints/release.txt
	$(RESOLVE) --group peers --output-file constraints/peers.txt
	$(RESOLVE) --group docs --output-file constraints/docs.txt

.PHONY: clean
clean: ## remove everything that the other commands made
	rm -rf .venv .venv-* .airflow .cluster .demo .hypothesis .*_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

REQUIREMENTS := pyproject.toml --extra postgres --extra sqlite --extra parquet --extra s3 --group test
# mysqlclient is built from source, where MariaDB's headers are installed.
MYSQL = $(shell command -v gcc >/dev/null && pkg-config --exists libmariadb 2>/dev/null && echo --extra mysql)
INSTALL = $(UV) pip install --quiet --editable . --requirement $(REQUIREMENTS) $(MYSQL)
RESOLVE := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate
COMPILE := $(RESOLVE) $(REQUIREMENTS) --extra mysql -
# Each NAME>=VERSION of pyproject.toml as NAME==VERSION; and what Airflow 2.11.0 needs but only 2.11.2 declares.
LOWEST := { sed -n '/^dependencies/,/boto3/ s/.*"\(.*\)>=\(.*\)".*/\1==\2/p' pyproject.toml; echo "universal-pathlib<0.3"; }

$(UV):
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv

.venv/ready: constraints/airflow-$(NEWEST).txt pyproject.toml | $(UV)
	$(INSTALL) --group browser --group cluster --group jdbc --group lint --group stores --constraint $< --python .venv
	@touch $@

.venv-%$(CELL)/ready: constraints/%.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python $(WITH) .venv-$*$(CELL)
	$(INSTALL) --constraint $< --python .venv-$*$(CELL)
	@touch $@

.venv-release/ready: constraints/release.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python .venv .venv-release
	$(UV) pip install --quiet --group release --constraint $< --python .venv-release
	@touch $@

.venv-peers/ready: constraints/peers.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python .venv .venv-peers
	$(UV) pip install --quiet --group peers --constraint $< --python .venv-peers
	@touch $@

# Pages are built from the source alone: neither Airflow nor this package is installed there.
.venv-docs/ready: constraints/docs.txt | $(UV)
	$(UV) venv --quiet --clear --python .venv .venv-docs
	$(UV) pip install --quiet --requirement $< --python .venv-docs
	@touch $@

# Without constraints: the providers of Google and Snowflake need other versions than the tested ones.
.venv-warehouses/ready: pyproject.toml | $(UV)
	$(UV) venv --quiet --clear --python .venv .venv-warehouses
	$(INSTALL) --group warehouses "apache-airflow==$(NEWEST)" --python .venv-warehouses
	@touch $@
