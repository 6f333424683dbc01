# Entry points for people with make. Each verb is one line over the command `opencoder`; without make call that.
# Kept to what GNU make 3.81 knows, which is what macOS ships.

PYTHON  ?= python3
PROFILE ?= toy
ONLY    ?=
PORT    ?= 8000
FOLDERS ?=
BIN      = .venv/bin

.PHONY: help setup test book run serve bench strip wipe
.DEFAULT_GOAL := help

help:
	@echo 'make book              run the chapters and build the pages; installs into .venv first'
	@echo 'make test              run all tests; installs into .venv first'
	@echo 'make serve             read the book in a browser, on this machine'
	@echo 'make run ONLY=03       run one chapter and what it needs'
	@echo 'make bench             how fast filter, deduplication, transform and training are, beside peers; FOLDERS="..." to read'
	@echo 'make setup             only install'
	@echo 'make strip             remove outputs from the notebooks before a commit'
	@echo 'make wipe              remove what was built'
	@echo
	@echo 'PROFILE=gpu chooses another profile, PYTHON=python3.12 another interpreter for .venv, PORT=8123 another port.'

# The environment is made once, and again when what it is made of changes.
.venv/.ok: requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.11 ...'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo 'Installing into .venv: about two minutes and 2 GB, once.'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet -r requirements.txt -c constraints.txt -e .
	@$(BIN)/opencoder models
	@touch $@

setup: .venv/.ok

test: .venv/.ok
	$(BIN)/python -m pytest

book: .venv/.ok
	$(BIN)/opencoder book --profile $(PROFILE)

run: .venv/.ok
	$(BIN)/opencoder run --profile $(PROFILE) $(if $(ONLY),--only $(ONLY))

serve: .venv/.ok
	$(BIN)/opencoder serve --profile $(PROFILE) --port $(PORT)

bench: .venv/.ok
	$(BIN)/python benchmarks/quality.py $(FOLDERS)
	$(BIN)/python benchmarks/dedup.py $(FOLDERS)
	$(BIN)/python benchmarks/transform.py $(FOLDERS)
	$(BIN)/python benchmarks/training.py

strip: .venv/.ok
	$(BIN)/opencoder strip

wipe: .venv/.ok
	$(BIN)/opencoder wipe $(if $(filter command line environment,$(origin PROFILE)),--profile $(PROFILE))
