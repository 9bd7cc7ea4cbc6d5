# `make demo` and `make test` do all their set-up themselves; the rest is for those who work here.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
MANAGE := $(PYTHON) manage.py
# make demo ARGS="--source replay:/path --speed 60"
ARGS ?=
ROUNDS ?= 20
SEED ?= 1
# many tests wait for a server, so a few more than there are cores
JOBS ?= 3

.PHONY: help setup demo smoke test check lint types imports migrations bench chaos lock audit screenshots messages clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## the environment inside the clone (quick the second time)
	@sh deploy/setup.sh

demo: setup ## the living desk on a simulated exchange; Ctrl-C ends it
	@exec $(MANAGE) demo $(ARGS)

smoke: setup ## the whole main job headless; prints one JSON object
	@exec $(MANAGE) smoke $(ARGS)

test: setup lint types imports migrations audit ## every check and every test; what CI runs
	$(PYTHON) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --ignore tests/e2e $(ARGS)
	$(PYTHON) -m pytest tests/e2e

check: test ## the same under its other name

lint:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types:
	.venv/bin/mypy

imports:
	.venv/bin/lint-imports

migrations:
	DJANGO_SETTINGS_MODULE=avigrid.settings.test $(MANAGE) makemigrations --check --dry-run

bench: setup ## the figures of docs/load_testing.md, measured here
	$(PYTHON) -m tests.benchmarks $(ARGS)

chaos: setup ## kill everything at random: ROUNDS=n SEED=s
	$(PYTHON) -m tests.chaos --rounds $(ROUNDS) --seed $(SEED)

lock: setup ## pin what the requirements pull in
	@$(PYTHON) -m pip freeze --exclude-editable | LC_ALL=C sort -f > requirements/constraints.txt

audit: setup ## known vulnerabilities of the pinned versions
	$(PYTHON) deploy/audit_dependencies.py

screenshots: setup ## docs/images from a running demo
	$(PYTHON) -m tests.e2e.screenshots

messages: setup ## collect and compile the translations; needs gettext
	$(MANAGE) collect_sentences
	$(MANAGE) makemessages -l ru --no-location --no-obsolete -i .venv -i node_modules -i .var -i tests
	$(MANAGE) compilemessages -l ru -l en

clean: ## remove everything that the targets above made
	@[ ! -x $(PYTHON) ] || $(PYTHON) -m avigrid.common.embedded stop
	rm -rf .venv .var node_modules staticfiles .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
