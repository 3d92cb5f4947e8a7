# Needs Python 3.11 or newer and make; everything else goes into .venv.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
EXTRAS := ingest transform api
LOCK := requirements/dev.txt
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
DOCS ?= build/docs
.PHONY: help setup run test test-long lint format bench docs lock package synth

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

setup: $(READY) ## .venv with the locked requirements

$(READY): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; }
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r $(LOCK)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(READY) ## database, ingest, dbt build, then the API on http://127.0.0.1:8000
	@$(BIN)/dora run $(if $(PORT),--port $(PORT))

test: $(READY) ## every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered

test-long: $(READY) ## more seeds and sizes of the same
	@$(BIN)/python -m pytest -n 2 --dist loadfile --long

lint: $(READY) ## linters and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@eval "$$($(BIN)/dora db env)" && $(BIN)/sqlfluff lint --disable-progress-bar dbt_project

format: $(READY) ## rewrite to the house style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY) ## requests, points, bytes and seconds
	@$(BIN)/python -m benchmarks

docs: $(READY) ## dbt's documentation of the configured database, one page in build/docs
	@eval "$$($(BIN)/dora db env)" && $(BIN)/dbt --quiet docs generate --static \
	  --project-dir dbt_project --target-path $(abspath $(DOCS))
	@mv $(DOCS)/static_index.html $(DOCS)/index.html
	@echo $(DOCS)/index.html

package: $(READY) ## the three ARM64 Lambda zips in build/packages; ACCEPT=1 writes their sizes down
	@$(BIN)/python -m infra.package $(if $(ACCEPT),--accept-sizes)

synth: $(READY) ## the CloudFormation templates in build/cdk.out, checked by cfn-lint and cdk-nag
	@test -d build/packages || $(MAKE) package
	@$(BIN)/python -m infra.app

lock: ## resolve requirements/*.txt anew from pyproject.toml
	@test -x $(UV) || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet uv; }
	@for extra in dev $(EXTRAS); do \
	  $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	    --python-version 3.11 --extra $$extra -o requirements/$$extra.txt \
	    --custom-compile-command "make lock" pyproject.toml || exit 1; \
	done
