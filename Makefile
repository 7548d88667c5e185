# The one door: everything a person or CI does with this checkout.
#   make run       set-up, then the whole platform on http://localhost:8543 (PORT, DATA_DIR, DATABASE_URL, REDIS_URL)
#   make test      set-up, all checks, all tests            (ARGS="-k name" goes to pytest)
#   make check     format, lint, types, imports, migrations
#   make bench     the benchmarks                           (ARGS goes to them)
#   make services  PostgreSQL and Valkey only, for work by hand
#   make clean     removes the virtual environment and all caches, never the data

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EMBEDDED := $(BIN)/python -m knowrithm.embedded
SANDBOX := $(EMBEDDED) test --
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run test check bench services clean checks system system-dev

run: $(VENV)/installed system
	@exec $(EMBEDDED) run

services: $(VENV)/installed
	@exec $(EMBEDDED) services

test: $(VENV)/installed-dev system-dev check
	@exec $(SANDBOX) $(BIN)/python -m pytest -n 2 $(ARGS)

check: $(VENV)/installed-dev
	@$(SANDBOX) $(MAKE) --no-print-directory checks

# Inside the sandbox of `check`: types and migrations read the settings, which want secrets and a database.
checks:
	@echo "Format";     $(BIN)/ruff format --check --quiet .
	@echo "Lint";       $(BIN)/ruff check --quiet .
	@echo "Types";      $(BIN)/mypy --no-error-summary .
	@echo "Imports";    $(BIN)/lint-imports >.import-linter.log 2>&1 || { cat .import-linter.log; rm .import-linter.log; exit 1; }
	@rm -f .import-linter.log
	@echo "Migrations"; $(BIN)/python manage.py makemigrations --check --dry-run --verbosity 0

bench: $(VENV)/installed-dev system
	@exec $(SANDBOX) $(BIN)/python -m benchmarks $(ARGS)

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Removed the virtual environment and the caches. The data stay (.data)."

$(VENV)/installed: requirements.lock setup/virtual_environment.sh
	@setup/virtual_environment.sh $(PYTHON) $(VENV) $<
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock setup/virtual_environment.sh
	@setup/virtual_environment.sh $(PYTHON) $(VENV) $<
	@touch $@

system:
	@setup/system_packages.sh tesseract:tesseract-ocr

system-dev:
	@setup/system_packages.sh tesseract:tesseract-ocr chromium:chromium
