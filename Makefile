# Every target makes .venv by itself from the lock, once; nothing has to be activated.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
XDIST ?= 2
TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/reconciler-deploy-checks
SBOM ?= dist/sbom.cdx.json

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types layers schemas build bench image deploy-checks audit audit-snapshot sbom lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

demo: $(STAMP) ## the full demonstration on a simulated cluster, in under a minute
	@$(BIN)/python -m reconciler demo

test: $(STAMP) ## every test
	@$(BIN)/python -m pytest -q -n $(XDIST)

lint: $(STAMP) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(STAMP) ## apply the fixes and the format of ruff
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(STAMP) ## mypy --strict
	@$(BIN)/mypy --strict reconciler

layers: $(STAMP) ## imports point downwards only
	@$(BIN)/python -m pytest -q tests/test_layers.py

schemas: $(STAMP) ## generate schemas/manifest.json and schemas/README.md from the kind files
	@$(BIN)/python -m reconciler.kinds >schemas/manifest.json.new && mv schemas/manifest.json.new schemas/manifest.json
	@$(BIN)/python -m reconciler.kinds.reference_page >schemas/README.md.new && mv schemas/README.md.new schemas/README.md

build: $(STAMP) ## sdist and wheel in dist/
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist .

bench: $(STAMP) ## run the benchmarks (minutes)
	@$(BIN)/python -m tests.benchmarks

image: $(STAMP) ## build the image from Debian's packages and run it (root, buildah, debootstrap; minutes)
	@$(BIN)/python -m pytest -q tests/deploy/image.py

deploy-checks: $(TOOLS)/.installed $(STAMP) ## validate the files in deploy/ with the tools of their formats
	@DEPLOY_TOOLS=$(TOOLS) $(BIN)/python -m pytest -q tests/deploy/checks.py

audit: $(STAMP) ## look for known vulnerabilities of the locked packages
	@$(BIN)/python deploy/checks/audit.py $(AUDITFLAGS) $(LOCKS)

audit-snapshot: $(STAMP) ## write the advisories of a fresh clone, for machines without an advisory service: ADVISORIES=FOLDER
	@$(BIN)/python deploy/checks/audit.py --refresh $(ADVISORIES) $(LOCKS)

LOCKS := requirements.lock requirements-dev.lock requirements-build.lock deploy/checks/requirements.lock

sbom: $(TOOLS)/.installed ## write the locked packages as CycloneDX to $(SBOM)
	@mkdir -p $(dir $(SBOM))
	@$(TOOLS)/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
	  --of JSON -o $(SBOM)

lock: $(STAMP) ## resolve the dependencies and pin them with hashes
	@$(BIN)/pip-compile $(LOCKFLAGS) --upgrade --extra agent --extra simulator --output-file requirements.lock pyproject.toml
	@$(BIN)/pip-compile $(LOCKFLAGS) --upgrade --extra agent --extra otel --extra simulator --extra dev --constraint requirements.lock \
	  --output-file requirements-dev.lock pyproject.toml
	@$(BIN)/pip-compile $(LOCKFLAGS) --upgrade --only-build-deps --build-deps-for wheel \
	  --constraint requirements-dev.lock --output-file requirements-build.lock pyproject.toml
	@$(BIN)/pip-compile $(LOCKFLAGS) --upgrade --output-file deploy/checks/requirements.lock deploy/checks/requirements.in

LOCKFLAGS := --quiet --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-find-links \
  --no-emit-trusted-host --no-header --no-annotate --strip-extras

clean: ## remove what was built and cached, .venv too
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "making .venv from requirements-dev.lock …" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(TOOLS)/.installed: deploy/checks/requirements.lock deploy/checks/go.lock deploy/checks/tools.sh
	@echo "installing what checks deploy/ …" >&2
	@PYTHON=$(PYTHON) deploy/checks/tools.sh $(TOOLS)
	@touch $@
