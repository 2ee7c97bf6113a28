# make demo   the whole chain on this machine     make test    every test      make check   lint, types, house rules
# make quick  the tests that take seconds
# make slurm-up, slurm-down   a Slurm cluster on this machine, for tests and trying (--cluster dev)
.PHONY: demo test quick check slurm-up slurm-down clean
.DEFAULT_GOAL := demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Processes that share the tests: one of them has all that need Slurm, and mostly waits.
TESTERS ?= 3
# One thread per process, as the tests' runs have; more would only fight over the cores.
export OMP_NUM_THREADS = 1

$(VENV)/.train: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "sgonz needs Python 3.11 or newer; name one with PYTHON=..."; exit 2; }
	$(PYTHON) -m venv $(VENV) || { echo "venv is missing: apt-get install python3-venv"; exit 2; }
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,report]'
	@touch $@

$(VENV)/.dev: $(VENV)/.train
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[train,report,postgres,deepspeed,dev]'
	@touch $@

demo: $(VENV)/.train
	$(BIN)/sgonz run demo --yes

test: $(VENV)/.dev
	tests/system_packages.sh
	$(BIN)/pytest --numprocesses=$(TESTERS)

quick: $(VENV)/.dev
	$(BIN)/pytest -m 'not slow'

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

slurm-up:
	tests/system_packages.sh
	slurm/dev/cluster up

slurm-down:
	slurm/dev/cluster down

clean:
	rm -rf $(VENV) work dist build
