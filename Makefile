# Everything runs in .venv, which is made on first use.
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The Python that .venv is made with: 3.11 or newer.
PYTHON ?= python3

# GPUs in use at a time, or trainings, one on each core, where there is none. Counted only once .venv is there.
TRAININGS ?= $(or $(filter-out 0,$(shell $(BIN)/sa-sr gpus | wc -l)),$(shell nproc))
SNAKEMAKE = snakemake --resources gpu=$(TRAININGS)
# Tests whose times are printed at the end.
SLOWEST ?= 10
# A file of tests stays in one process, for its tests share what they have run.
PYTEST = pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations $(SLOWEST)

.PHONY: demo paper install install-dev test test-all lint
demo: $(BIN)/.installed
	@sa-sr unlock
	$(SNAKEMAKE) --configfile config/demo.yaml --report results/demo/report.html --report-after-run
	@sa-sr summary results/demo

paper: $(BIN)/.installed
	@sa-sr unlock
	$(SNAKEMAKE)

install: $(BIN)/.installed

install-dev: $(BIN)/.installed-dev

test: $(BIN)/.installed-dev
	$(PYTEST) -m "not slow"

test-all: $(BIN)/.installed-dev
	$(PYTEST)

lint: $(BIN)/.installed-dev
	pre-commit run --all-files

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(BIN)/.installed-dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(BIN)/.installed $@
