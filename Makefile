# Every target that runs something first prepares .venv when it is missing, unusable, or older than pyproject.toml or
# constraints.txt.

.DEFAULT_GOAL := help
# .pre-commit-config.yaml runs the same checks.
CHECKS := check-format check-lint check-types check-imports check-docs check-packages

.PHONY: help search ui export test coverage check docs faults $(CHECKS) clean FORCE

# The interpreter that makes .venv. If it is empty: the first supported one that runs.
PYTHON ?=

READY := .venv/.ready

# $(call option,--trials,TRIALS) is --trials '5' when TRIALS=5 is given, nothing otherwise.
option = $(if $($(2)),$(1) '$(subst ','\'',$($(2)))')
SEARCH_OPTIONS = $(call option,--space,SPACE) $(call option,--data,DATA) $(call option,--task,TASK) \
	$(call option,--target,TARGET) $(call option,--objective,OBJECTIVE) $(call option,--images,IMAGES) \
	$(call option,--budget,BUDGET) $(call option,--max-macs,MAX_MACS) $(call option,--max-ram,MAX_RAM) \
	$(call option,--max-flash,MAX_FLASH) $(call option,--board,BOARD) \
	$(call option,--pareto,PARETO) $(call option,--minimize,MINIMIZE) $(call option,--reach,REACH) \
	$(call option,--profile,PROFILE) $(call option,--trials,TRIALS) \
	$(call option,--epochs,EPOCHS) $(call option,--timeout,TIMEOUT) $(call option,--trial-timeout,TRIAL_TIMEOUT) \
	$(call option,--device,DEVICE) \
	$(call option,--workers,WORKERS) $(call option,--ray,RAY) \
	$(call option,--seed,SEED) $(call option,--fix,FIX) $(call option,--study,STUDY) \
	$(call option,--begin-with,BEGIN_WITH)

help:
	@echo 'make search   find the best network within the budget; prints where to look next'
	@echo 'make ui       browse the trials in MLflow, on this machine only (PORT=)'
	@echo 'make export   write the winner in every format to export/ (STUDY=)'
	@echo 'make test     run the tests (ARGS=tests/study for some of them)'
	@echo 'make coverage run the tests and show which lines they miss'
	@echo 'make docs     make the site of README.md and docs/ in site/'
	@echo 'make check    check format, lint, types, imports, docs, packages; also one by one: $(CHECKS)'
	@echo 'make faults   kill and stop searches at random moments for FAULTS_SECONDS=600, and send 500 signals (COUNT=)'
	@echo 'make clean    remove .venv, caches and build leftovers; keeps mlruns/, data/ and export/'
	@echo
	@echo 'make search takes TRIALS= EPOCHS= BUDGET= DATA= SPACE= PROFILE= STUDY= SEED= TIMEOUT= TRIAL_TIMEOUT='
	@echo 'DEVICE= WORKERS= RAY= IMAGES= FIX= MAX_MACS= MAX_RAM= MAX_FLASH= BOARD= PARETO= MINIMIZE= REACH= OBJECTIVE='
	@echo 'TASK= TARGET= BEGIN_WITH=;'
	@echo 'ARGS= passes any other option on. PYTHON= names the interpreter that makes .venv.'

search: $(READY)
	@.venv/bin/kerastuna search $(SEARCH_OPTIONS) $(ARGS)

ui: $(READY)
	@.venv/bin/kerastuna ui $(call option,--port,PORT) $(ARGS)

export: $(READY)
	@.venv/bin/kerastuna export $(call option,--study,STUDY) $(ARGS)

test: $(READY)
	.venv/bin/pytest $(if $(COVERAGE),--cov) --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

# Measuring takes 1.3 to 1.8 times the processor time, so only `make coverage` does it.
coverage: COVERAGE := 1
coverage: test

# What the tests do for seconds, for as long as is wanted; SEED= begins with other moments.
faults: $(READY)
	KERASTUNA_FAULTS_SECONDS='$(or $(FAULTS_SECONDS),600)' KERASTUNA_SIGNALS='$(or $(COUNT),500)' \
	    KERASTUNA_SEED='$(or $(SEED),0)' .venv/bin/pytest -q -s tests/faults/test_killed_searches.py \
	    tests/faults/test_signals.py $(ARGS)

check: $(CHECKS)

docs: check-docs
	@echo 'open site/index.html; with its search, on http://127.0.0.1:8000: .venv/bin/mkdocs serve'

check-format: $(READY)
	.venv/bin/ruff format --check

check-lint: $(READY)
	.venv/bin/ruff check

check-types: $(READY)
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/pyright

check-imports: $(READY)
	PYTHONPATH=.venv/typings .venv/bin/lint-imports --no-logo

# Links, anchors and pictures that are not there, and pages that are not in the menu, end the build.
check-docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

check-packages: $(READY)
	@.venv/bin/python .ci/audit

clean:
	rm -rf .venv build dist site *.egg-info .hypothesis .import_linter_cache .pytest_cache .ruff_cache .coverage .coverage.* htmlcov
	find . \( -path ./.git -o -path ./mlruns -o -path ./data -o -path ./export \) -prune \
	    -o -type d -name __pycache__ -prune -exec rm -rf {} +

# A virtual environment contains absolute paths: if it was made in another folder, or its Python is gone, make it again.
UNUSABLE := $(shell grep -qsF "$$(pwd -P)/.venv/bin/python" .venv/bin/pip && .venv/bin/python -c '' || echo yes)

# pip's editable install is an import hook, which pyright does not run: it follows .venv/typings instead. So does
# import-linter, which takes kerastuna.search for a root only where kerastuna is a plain folder.
$(READY): pyproject.toml constraints.txt $(if $(UNUSABLE),FORCE)
	@set -e; \
	if [ -n "$(UNUSABLE)" ]; then \
	    for python in $(if $(PYTHON),'$(subst ','\'',$(PYTHON))',python3.13 python3.12 python3.11 python3) ''; do \
	        "$$python" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	            >/dev/null 2>&1 && break; \
	    done; \
	    if [ -z "$$python" ]; then \
	        echo "No usable Python found$(if $(PYTHON), in PYTHON=$(PYTHON)): Kerastuna needs 3.11, 3.12 or 3.13 with" \
	            'venv. Install one (Debian: apt install python3-venv), or name it: make PYTHON=/path/to/python3.12' >&2; \
	        exit 1; \
	    fi; \
	fi; \
	echo 'Preparing .venv, this takes a minute or two' >&2; \
	if [ -n "$(UNUSABLE)" ]; then "$$python" -m venv --clear .venv; fi; \
	if nvidia-smi >/dev/null 2>&1; then extras=gpu,export,bench,docs,dev; else extras=export,bench,docs,dev; fi; \
	.venv/bin/python -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt -e ".[$$extras]"; \
	mkdir -p .venv/typings/kerastuna; \
	ln -sfn ../../../search ../../../spaces .venv/typings/kerastuna/; \
	touch $(READY)

FORCE:
