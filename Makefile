# Everything a person needs, with nothing installed but git, make and Python 3.11 or newer.
#   make demo       set up and run the program on a small synthetic workspace
#   make test       set up and run the tests            (ARGS="-k merge" chooses)
#   make lint       formatting, lint rules, types
#   make format     put the formatting right
#   make workspace  bring the real repositories into WORKSPACE (default tmp)

.DEFAULT_GOAL := help
.PHONY: help demo test lint format workspace sync

PYTHON ?= python3
WORKSPACE ?= tmp
ARGS ?=

# uv from the PATH, else this version of it in .uv/.
UV_VERSION := 0.13.9
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
RUN = $(UV) run --no-sync

# Where the repositories come from: URLs or folders, for example `make workspace SGLANG=../sglang`.
SGLANG ?= https://github.com/sgl-project/sglang
FLASHINFER ?= https://github.com/flashinfer-ai/flashinfer
SGL_COOKBOOK ?= https://github.com/sgl-project/sgl-cookbook
FLASHINFER_TRACE ?= https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace

help:
	@sed -n 's/^#   //p' Makefile

demo: sync
	@$(RUN) discover-models --demo

test: sync
	@$(RUN) python scripts/get_emulator.py || echo "Tests that talk to GitHub's emulator are skipped."
	$(RUN) pytest $(ARGS)

lint: sync
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) pyright

format: sync
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

workspace:
	@scripts/bring_workspace.sh "$(WORKSPACE)" sglang "$(SGLANG)"
	@scripts/bring_workspace.sh "$(WORKSPACE)" flashinfer "$(FLASHINFER)"
	@scripts/bring_workspace.sh "$(WORKSPACE)" sgl-cookbook "$(SGL_COOKBOOK)"
	@scripts/bring_workspace.sh "$(WORKSPACE)" flashinfer-trace "$(FLASHINFER_TRACE)"

sync: $(UV)
	@$(UV) sync --quiet --locked

.uv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
