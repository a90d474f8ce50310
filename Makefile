# Start with `make demo` or `make test`. The other targets are parts of these.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/sh
# Print the output of parallel targets one after the other, where this make can (GNU Make 4).
OUTPUT_SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
.DEFAULT_GOAL := help
.PHONY: help demo test test-long lint types layers unit remote-test lab-test selfbench clean-lab clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 24

demo: $(VENV)/installed ## the published experiment in a lab of two hosts, then the same question with a sound suite
	@PATH="$(CURDIR)/$(BIN):$$PATH" ./examples/demo.sh

# The lab measures, so it runs alone. The other parts run two at a time.
test: $(VENV)/developer ## all tests that this machine can run in reasonable time
	@$(MAKE) --no-print-directory --jobs=2 $(OUTPUT_SYNC) unit lint types layers remote-test
	@$(MAKE) lab-test

lint: $(VENV)/developer ## ruff, vermin (the oldest Python of hosts), yamllint, ansible-lint at its production profile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/vermin --quiet --no-tips --target=3.9- --violations fwbench/agent roles/*/files
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline --profile production

types: $(VENV)/developer ## mypy --strict
	$(BIN)/mypy
	$(BIN)/mypy roles/*/filter_plugins
	$(BIN)/mypy selfbench/*.py

layers: $(VENV)/developer ## check that packages import only packages of lower layers
	$(BIN)/lint-imports

unit: $(VENV)/developer ## tests that need only Python
	$(BIN)/pytest tests/unit

remote-test: $(VENV)/developer ## SSH against a real sshd on loopback
	$(BIN)/pytest tests/remote

lab-test: $(VENV)/developer ## end-to-end tests in a lab of their own, fault injection, and a server with known latencies
	$(BIN)/pytest tests/lab tests/faults

test-long: $(VENV)/developer ## tests that take too long for every change; docs/reliability.md has their last result
	$(BIN)/pytest tests/unit/test_mutated.py --hypothesis-profile=long
	$(BIN)/pytest tests/lab -m long
	$(BIN)/pytest tests/faults/test_nothing_lost.py tests/faults/test_clean.py -m 'long or not long' -rP

selfbench: $(VENV)/installed ## measure the overhead of fwbench itself; needs a lab that is up
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python selfbench/overhead.py
	$(BIN)/python selfbench/sampler.py
	$(BIN)/python selfbench/reduce.py
	$(BIN)/python selfbench/resume.py
	$(BIN)/python selfbench/report.py
	$(BIN)/python selfbench/start_up.py

clean-lab: $(VENV)/installed ## remove the lab, its images, and the Docker engine if fwbench installed it
	$(BIN)/fwbench lab down --all

clean: ## remove the virtual environment, build output and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .ansible

$(VENV)/installed: pyproject.toml
	@PYTHON="$(PYTHON)" ./.ci/bootstrap "$(VENV)"
	@echo "installing fwbench into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/developer: $(VENV)/installed
	@echo "installing the tools of fwbench's developers into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
