# The two commands of the README are `make demo` and `make test`. Both make a virtual environment, or reuse it.
#
#   VENV=DIR        where the environment is (default .venv)
#   PYTHON=NAME     the Python that it is made of (default python3; 3.10 or newer)
#   FAISS=gpu       the faiss that is installed: cpu (default) or gpu, never both
#   TEST_ARGS=...   handed on to pytest, such as TEST_ARGS='-m "not slow"'
#   WORKERS=N       processes that share the suite (default: the processors, at most 8; 0 runs it in one, as --pdb needs)

PYTHON ?= python3
VENV ?= .venv
FAISS ?= cpu
TEST_ARGS ?=
# A worker takes some two gigabytes.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); echo $$((n < 8 ? n : 8)))
BENCH_ARGS ?=

DEMO := runs/demo
IN_VENV := $(VENV)/bin/python
# Another environment beside it, of the package alone.
PLAIN := $(VENV)-plain
# A stamp says that an extra is installed, and from which checkout: an environment may be shared, and a checkout may move.
STAMPS := $(foreach extra,cpu gpu test dev,$(VENV)/.reid_srdl-$(extra))
MISPLACED := $(foreach stamp,$(STAMPS),$(if $(filter-out $(CURDIR),$(shell cat $(stamp) 2>/dev/null)),$(stamp)))
# The making of an environment may have been broken off, and the Python that it was made of may be gone.
usable = $(shell test -x $(1)/bin/python -a -x $(1)/bin/pip && echo yes)

.PHONY: help demo demo-again test soak plain lint bench clean FORCE
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

help:
	@echo "make demo        train the embedded demo, evaluate it, write $(DEMO)/report.html (minutes)"
	@echo "make demo-again  the same, from the start"
	@echo "make test        install the test extra and run the suite, but for what takes minutes (make soak)"
	@echo "make soak        kill runs, fill their disk, damage their files, spread them over processes; follow the whole way and the guide (minutes)"
	@echo "make plain       install the package without extras, in $(PLAIN), and try what must work there"
	@echo "make lint        read the code with ruff"
	@echo "make bench       run the benchmarks"
	@echo "make clean       remove what builds and tests leave, but no runs, no data and no environment"
	@echo
	@echo "VENV=DIR chooses the environment (now $(VENV)), PYTHON=NAME what it is made of (now $(PYTHON))."

demo: $(VENV)/.reid_srdl-$(FAISS)
	@if [ -f $(DEMO)/report.html ]; then \
	    echo "The result of the demo is there: $(CURDIR)/$(DEMO)/report.html"; \
	    echo "'make demo-again' removes it and makes a new one."; \
	elif [ -f $(DEMO)/config.yaml ]; then \
	    echo "The demo was broken off; it goes on where it stopped."; \
	    $(IN_VENV) tools/train.py --resume $(DEMO); \
	else \
	    $(IN_VENV) tools/train.py --config configs/demo.yaml --output $(DEMO); \
	fi

# The store of finished stages holds the demo's as well, as second names of the same files; without them it trains anew.
demo-again:
	@if [ -d runs/.stages ]; then for model in $(DEMO)/stages/*/model.safetensors; do \
	    [ ! -f "$$model" ] || find runs/.stages -samefile "$$model" -exec rm -f {} +; done; fi
	rm -rf $(DEMO)
	@$(MAKE) --no-print-directory demo

test: $(VENV)/.reid_srdl-$(FAISS) $(VENV)/.reid_srdl-test
	$(IN_VENV) -m pytest -n $(WORKERS) --dist loadfile $(TEST_ARGS)

soak: $(VENV)/.reid_srdl-$(FAISS) $(VENV)/.reid_srdl-test
	$(IN_VENV) -m pytest -m soak $(TEST_ARGS)

# The package is installed anew each time, as a stranger gets it; what it needs is not, unless that has changed.
plain: $(PLAIN)/.reid_srdl-plain
	rm -rf build
	$(PLAIN)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --force-reinstall .
	@echo "$(PLAIN) holds reid_srdl, what it requires, pytest, and no extras:"
	$(PLAIN)/bin/pytest -v -m plain tests/plain $(TEST_ARGS)

$(PLAIN)/.reid_srdl-plain: setup.cfg pyproject.toml | $(PLAIN)/bin/python
	@echo "Installing the package alone into $(PLAIN) (it fetches PyTorch once more where pip has not kept it)"
	rm -rf build
	$(PLAIN)/bin/python -m pip install --disable-pip-version-check --quiet . pytest
	@touch $@

lint: $(VENV)/.reid_srdl-dev
	$(IN_VENV) -m ruff check .

bench: $(VENV)/.reid_srdl-$(FAISS) $(VENV)/.reid_srdl-test
	$(IN_VENV) -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache
	find . -name '.venv*' -prune -o -name __pycache__ -type d -print0 | xargs -0 rm -rf

$(VENV)/.reid_srdl-%: setup.cfg pyproject.toml | $(IN_VENV)
	@echo "Installing into $(VENV) (the first time this fetches PyTorch, on Linux some gigabytes with its CUDA libraries)"
	@case $* in cpu) other=gpu ;; gpu) other=cpu ;; *) other= ;; esac; \
	if [ -n "$$other" ] && $(IN_VENV) -m pip show --quiet faiss-$$other 2>/dev/null; then \
	    $(IN_VENV) -m pip uninstall --yes faiss-$$other && rm -f $(VENV)/.reid_srdl-$$other; fi
	$(IN_VENV) -m pip install --disable-pip-version-check --quiet "pip>=21.3"  # older ones want a setup.py for what can be edited
	$(IN_VENV) -m pip install --disable-pip-version-check --editable ".[$*]"
	@echo "$(CURDIR)" > $@

$(MISPLACED): FORCE
ifneq ($(call usable,$(VENV)),yes)
$(IN_VENV) $(STAMPS): FORCE
endif
ifneq ($(call usable,$(PLAIN)),yes)
$(PLAIN)/bin/python $(PLAIN)/.reid_srdl-plain: FORCE
endif

# What is left of an environment whose Python is gone would be left as it is: venv keeps links that lead nowhere, and pip the scripts of what it
# takes for installed. Only that is cleared away: a folder of something else, or an environment that only lacks pip, keeps what it has.
$(IN_VENV) $(PLAIN)/bin/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	    echo "make: there is no $(PYTHON): install Python 3.10 or newer, or name it with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	    echo "make: $(PYTHON) is no Python of version 3.10 or newer (it says: $$($(PYTHON) --version 2>&1 | head -n 1));" \
	         "name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "make: $(PYTHON) cannot make virtual environments: install its venv module (on Debian and Ubuntu: apt install" \
	         "python$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(shell test -x $@ || ! test -f $(@:bin/python=pyvenv.cfg) || echo --clear) $(patsubst %/bin/python,%,$@)
	@rm -f $(patsubst %/bin/python,%,$@)/.reid_srdl-*
