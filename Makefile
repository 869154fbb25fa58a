# Needs Python 3.11 or later with pip and venv, and make. Everything else is installed into .venv.
# ARGS is passed on: make test ARGS="-k ledger", make demo ARGS=--once

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
UV := $(BIN)/uv pip
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
ARGS ?=
# progress bars on a terminal, silence in a log
QUIET := $(shell test -t 2 || echo --quiet)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Installing ---------------------------------------------------------------------------------------------------------

# pip installs uv, uv installs the rest: the same locked files with the same hashes, several times faster.
# Where uv cannot reach an index that pip's own configuration can, pip does it all.
$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found; name one with PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; name another with PYTHON=..." >&2; exit 1; }
	@echo "==> making $(VENV) with $$("$(PYTHON)" --version)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	@echo "==> installing the locked dependencies (some 450 MB the first time)"
	@UV_LINK_MODE=$${UV_LINK_MODE:-copy} $(UV) install $(QUIET) --python $(BIN)/python --require-hashes -r requirements.lock \
		|| { echo "==> uv could not; trying pip"; $(BIN)/python -m pip install --require-hashes -r requirements.lock; }
	@echo "==> installing takt itself (editable)"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: install
install: $(READY) ## install everything into .venv

.PHONY: lock
lock: $(READY) ## resolve the dependencies again and write the lock files (UPGRADE=--upgrade for new versions)
	$(COMPILE) $(UPGRADE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) $(UPGRADE) --extra embedded pyproject.toml -o requirements-serve.lock
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" | $(COMPILE) - -o requirements-uv.lock
