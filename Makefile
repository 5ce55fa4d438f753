# Everything a person needs, with nothing installed but git, make and Python 3.11 or newer.
#   make demo       set up and run the program on a small synthetic workspace
#   make test       set up and run the tests            (ARGS="-k merge" chooses)
#   make lint       formatting, lint rules, types
#   make lint-action  likewise the action, its workflows, image and scripts (part of make lint)
#   make image      build the action's image without a Docker engine (Debian, root)
#   make image-test run it like the Actions runner does
#   make format     put the formatting right
#   make config-classes  write docs/config-classes.md anew
#   make torture    break many more files and requests than make test does (an hour)
#   make replay     weekly runs over a real workspace's releases (DISCOVER_MODELS_WORKSPACE): every
#                   request to FlashInfer that they file (10 minutes and more)
#   make mutants    change the rules one place at a time: which changes does no test notice? (an hour)
#   make coverage   which branches of the rules the tests reach (about 15 minutes)
#   make audit-dependencies  known weaknesses of what uv.lock pins (asks osv.dev)
#   make bench      measure; DISCOVER_MODELS_WORKSPACE names a real workspace
#   make workspace  bring the real repositories into WORKSPACE (default tmp)

.DEFAULT_GOAL := help
.PHONY: help demo test lint lint-action image image-test format config-classes torture mutants coverage audit-dependencies replay bench workspace sync

PYTHON ?= python3
WORKSPACE ?= tmp
ARGS ?=
IMAGE ?= localhost/discover-models:test

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
	@$(RUN) python scripts/get_axe.py || echo "The page is not checked for accessibility."
	$(RUN) pytest -n 2 --dist loadfile $(ARGS)

lint: sync lint-action
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) pyright

# yamllint's rules are in .yamllint.yml; exceptions of the others stand beside their reasons.
lint-action: sync
	UV="$(UV)" scripts/export_requirements.sh --check
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-actions action.yml
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(RUN) check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(RUN) zizmor --quiet --offline --no-progress .
	$(RUN) yamllint --strict action.yml .github
	$(RUN) hadolint Dockerfile
	$(RUN) shellcheck --external-sources scripts/*.sh .ci/run

image:
	scripts/build_image.sh $(IMAGE)

image-test: image sync
	DISCOVER_MODELS_IMAGE=$(IMAGE) $(RUN) pytest tests/image

format: sync
	$(RUN) ruff format .
	$(RUN) ruff check --fix .

config-classes: sync
	$(RUN) python scripts/generate_sample_table.py

EXAMPLES ?= 2000
torture: sync
	@$(RUN) python scripts/get_emulator.py
	DISCOVER_MODELS_EXAMPLES=$(EXAMPLES) $(RUN) pytest -n 2 --dist loadfile tests/torture tests/publish tests/render/test_hostile_templates.py $(ARGS)

replay: sync
	@$(RUN) python scripts/get_emulator.py
	$(RUN) pytest -s tests/real/test_request_replay.py $(ARGS)

RULES ?= $(addprefix src/discover_models/,domain/*.py ops/*.py classify.py depth.py publish/plan.py)
mutants: sync
	$(RUN) python scripts/mutants.py --to build/mutants $(RULES)

# The rules are listed in pyproject.toml; one that only real repositories reach needs a workspace.
coverage: sync
	@$(RUN) python scripts/get_emulator.py
	$(RUN) pytest -n 2 --cov --cov-report=term-missing $(ARGS)

audit-dependencies: sync
	$(UV) audit --locked

bench: sync
	@$(RUN) python bench/bench.py

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
