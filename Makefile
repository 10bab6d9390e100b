# Needs python3 (3.11 or newer, with venv) and make; everything else is installed in .venv.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= python3
DATA ?= examples/day.csv
ARGS ?=
# The orders of `make bench`: real days if they are available.
BENCH_DATA ?= $(or $(wildcard ../shared/data/online-retail),$(DATA))

# Relative paths throughout: make cannot quote a directory with spaces in its name.
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
TOOLS := .venv-tools

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy
# Use the certificates that this system trusts, as pip does: a company may have its own.
export UV_SYSTEM_CERTS := 1
# Python keeps compiled code in the environment, even where it may not write it beside the sources.
# Without compiled code, a process of the service needs up to 2 s of CPU to start instead of 0.6 s.
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/.bytecode
unexport PYTHONDONTWRITEBYTECODE
# uv needs a directory for its cache, and finds none without a home directory.
ifeq ($(strip $(HOME)$(XDG_CACHE_HOME)$(UV_CACHE_DIR)),)
export UV_CACHE_DIR := $(VENV)/.cache
endif

# After the tree was moved or copied, its environment still points to the old place.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
$(shell rm -f $(READY))
endif

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: $(READY) ## Start the whole stack on this machine (ARGS="--port 0")
	@$(PY) -m orders dev $(ARGS)

test: $(READY) ## Run every test that this machine can run (ARGS="-k name")
	@$(PY) -m pytest -rs -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

demo: $(READY) ## Send a day of orders through a separate stack (DATA=file.csv)
	@$(PY) -m orders demo "$(DATA)"

simulate: $(READY) ## Run 10,000 seeded histories of crashes and losses (ARGS="--first 17")
	@$(PY) -m tests.simulation $(ARGS)

properties: $(READY) ## Drive one order through 10,000 random lives of 60 steps; plant faults (ARGS="--runs 500")
	@$(PY) -m tests.domain.machine $(ARGS)

shop-day: $(READY) ## Live through a shop's day of 300 orders by the API, to the penny (ARGS="--orders 50")
	@$(PY) -m tests.shop_day $(ARGS)

alerts: $(READY) ## Break a running service part by part; report which alerts fire
	@$(PY) -m tests.operating $(ARGS)

availability: $(READY) ## Measure restarts, crashes, overload and steady load; an hour (ARGS="slow-bodies")
	@$(PY) -m tests.availability $(ARGS)

asyncapi: ## AsyncAPI's parser and generators of types read the contracts of events (npm, 250 MB)
	@mkdir -p $(TOOLS)/asyncapi && cp tests/contract/events/asyncapi/* $(TOOLS)/asyncapi/
	@npm install --prefix $(TOOLS)/asyncapi --ignore-scripts --no-package-lock --no-audit --no-fund \
		--loglevel=error >&2
	@node $(TOOLS)/asyncapi/check.mjs infra/contracts | tee docs/reports/asyncapi.md

brokers: $(READY) ## Redis far away and lost, real brokers with TLS and logins (ARGS=far)
	@$(PY) -m tests.brokers $(ARGS)

databases: $(READY) ## Try every database engine here; half an hour (ARGS="--engine stand-alone")
	@$(PY) -m tests.databases $(ARGS)

sbom: $(READY) ## Print the bill of materials of the image (CycloneDX 1.6)
	@$(PY) -m infra.supply.sbom

fuzz: $(READY) ## Schemathesis in full, with and without a token; an hour (ARGS="--examples 50")
	@$(PY) -m tests.fuzzing $(ARGS)

clients: $(READY) ## Generate ten clients in five languages, and go through the main journey with each (ARGS="--only ogen")
	@$(PY) -m tests.clients.generated $(ARGS)

consumers: $(READY) ## Read every event from Kafka and RabbitMQ in five languages; needs both (ARGS="--only go")
	@$(PY) -m tests.consumers $(ARGS)

lint-openapi: $(READY) ## Spectral, Redocly and validators in Go and Rust for the OpenAPI documents; needs Node
	@$(PY) -m tests.openapi $(ARGS)

gateways: $(READY) ## Put five real gateways in front of the service; 6 minutes (ARGS="--only nginx")
	@$(PY) -m tests.gateways $(ARGS)

issuers: $(READY) ## Start Keycloak, Hydra and oidc-provider, and try their tokens (ARGS="--only keycloak")
	@$(PY) -m tests.issuers $(ARGS)

blue-green: $(READY) ## Switch colours under load, and count failures (ARGS=--compose)
	@$(PY) -m tests.blue_green $(ARGS)

bench: $(READY) ## Compare the service with a bare handler (DATA=folder)
	@$(PY) -m tests.bench --data $(BENCH_DATA) $(ARGS)

bench-compare: $(READY) ## Compare two runs of `make bench` (A=one.json B=other.json)
	@$(PY) -m tests.bench --compare "$(A)" "$(B)"

bench-database: ## Install a faster database for `make bench`; needs cargo, takes minutes
	@sh infra/setup/bench_database.sh .bench

chaos: $(READY) ## Kill every process at every crash point (ARGS="--runs 2 --storm 100")
	@$(PY) -m tests.chaos $(ARGS)

check: $(READY) ## Lint, format, types, import contracts, generated documents
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	@test ! -e infra/docs.py || $(PY) infra/docs.py --check
	@$(PY) -m infra.supply.secrets
	@$(PY) infra/chart/generate.py --check
	@$(PY) -m infra.grafana --check

tools: $(TOOLS)/.ready ## Install the tools that check chart and workflow, and gateways (900 MB, in .venv-tools)

format: $(READY) ## Format the code, and fix what can be fixed
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: $(READY) ## Resolve the locks again (ARGS="--upgrade")
	@$(PY) infra/setup/lock.py $(ARGS)

clean: ## Remove the environment and caches, not the data in .orders/
	@rm -rf $(VENV) $(TOOLS) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): pyproject.toml requirements/bootstrap.lock requirements/dev.lock infra/setup/environment.sh
	@PYTHON="$(PYTHON)" sh infra/setup/environment.sh $(VENV)
	@printf '%s\n' "$(CURDIR)" > $@

# actionlint is a Go program: Go's checksum database verifies it.
$(TOOLS)/.ready: requirements/tools.lock | $(READY)
	@$(PY) -m uv venv --quiet --clear --python "$(PYTHON)" $(TOOLS)
	@$(PY) -m uv pip sync --quiet --python $(TOOLS)/bin/python --require-hashes requirements/tools.lock
	@! command -v go >/dev/null || \
		GOBIN="$(CURDIR)/$(TOOLS)/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
	@touch $@

.PHONY: help run test demo simulate properties shop-day chaos fuzz lint-openapi asyncapi sbom alerts availability brokers clients gateways issuers databases consumers blue-green bench bench-compare bench-database check tools format lock clean
