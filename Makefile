# One door: run, test, check, bench. Every set-up step is a file, so a second `make` is instant.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
WORKERS ?= 4  # more than the cores: the two workers with the flows mostly wait

.PHONY: help run test check check-types check-rest fuzz bench services format lock clean system system-test

help:
	@echo "make run       everything, on http://localhost:$${PORT:-8543} (Ctrl-C stops it)"
	@echo "make test      all tests; ARGS=\"-k name\" for some of them"
	@echo "make check     format, lint, types, imports, migrations"
	@echo "make fuzz      bad input for every field of the API, for long; STRINGS_FILE=strings.txt adds your own"
	@echo "make bench     the figures of benchmarks/RESULTS.md"
	@echo "make services  PostgreSQL and Valkey alone, for development"
	@echo "make lock      pin the dependencies of pyproject.toml anew"

run: $(VENV)/run.stamp system
	@exec $(BIN)/python -m knowrithm.embedded run

test: check system-test
	@$(BIN)/python -m knowrithm.embedded test -- $(BIN)/python -m pytest -n $(WORKERS) -q $(ARGS)

check: $(VENV)/dev.stamp
	@$(MAKE) --no-print-directory -j 2 check-types check-rest  # the types take as long as all the rest

check-types:
	@echo "Types"; DEBUG=1 $(BIN)/mypy .

check-rest:
	@echo "Format and lint"; $(BIN)/ruff format --check -q . && $(BIN)/ruff check -q .
	@echo "Imports"; DEBUG=1 $(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	@echo "Migrations"; DEBUG=1 $(BIN)/python -m knowrithm.embedded test -- $(BIN)/python manage.py makemigrations --check --dry-run > /dev/null

fuzz: $(VENV)/dev.stamp
	@seed=$${FUZZ_SEED:-$$RANDOM}; echo "FUZZ_SEED=$$seed makes the same examples again"; \
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-50} $(BIN)/python -m knowrithm.embedded test -- $(BIN)/python -m pytest -n 2 -q \
	  --timeout 7200 --hypothesis-seed=$$seed knowrithm/tests/test_schemathesis.py knowrithm/tests/test_bad_input.py $(ARGS)

bench: $(VENV)/dev.stamp
	@$(BIN)/python -m knowrithm.embedded test -- $(BIN)/python -m benchmarks $(ARGS)

services: $(VENV)/run.stamp
	@exec $(BIN)/python -m knowrithm.embedded services

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

lock: $(VENV)/dev.stamp
	@$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra dev -o requirements-dev.lock pyproject.toml
	@$(BIN)/pip-compile -q --generate-hashes --strip-extras --allow-unsafe --no-emit-index-url --no-emit-find-links --no-emit-trusted-host -c requirements-dev.lock -o requirements.lock pyproject.toml

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@echo "The data in .data are kept; remove them yourself if you mean it."

system:
	@setup/system_packages.sh tesseract-ocr

system-test:
	@setup/system_packages.sh tesseract-ocr chromium

$(VENV)/bin/python:
	@setup/virtualenv.sh $(PYTHON) $(VENV)

$(VENV)/run.stamp: requirements.lock | $(VENV)/bin/python
	@setup/dependencies.sh $(BIN)/python requirements.lock
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock | $(VENV)/bin/python
	@setup/dependencies.sh $(BIN)/python requirements-dev.lock
	@touch $@ $(VENV)/run.stamp
