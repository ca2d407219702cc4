# `make help` lists the targets. Each makes .venv and installs what it needs there, once: a stamp file in .venv
# stands for the package and for every dependency group, and goes stale with pyproject.toml or constraints.txt.

PYTHON ?= $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)
PYTEST_ARGS ?=
BENCH_ARGS ?=
MUTATE_ARGS ?=
TUTORIAL_ARGS ?=
HOUSE_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo house test lint docs screenshots readme baseline dist matrix mutate fuzz slow nightly recipes tutorials bench-genes bench-cells bench-explain bench-lineage bench-mapping bench-network bench-panels bench-programs bench-scale bench-sets bench-speed bench-targets bench-training bench-vectors clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.stamp-package ## Run `newt-sc demo`
	$(BIN)/newt-sc demo

test: $(VENV)/.stamp-test $(VENV)/.stamp-workflow ## Run the tests on two processes (PYTEST_ARGS=... adds options)
	PATH="$(abspath $(VENV))/workflow/bin:$$PATH" OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	    $(BIN)/python -m pytest -n 2 -q $(PYTEST_ARGS)

lint: $(VENV)/.stamp-dev ## Check style, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

house: ## Count the code, now and at another commit (HOUSE_ARGS='--against COMMIT')
	$(PYTHON) .ci/house.py $(HOUSE_ARGS)

docs: $(VENV)/.stamp-docs ## Build the documentation into docs/_build/html, warnings being errors; check links and, in Chromium, pages
	$(BIN)/python -m sphinx -q -W -n --keep-going -b html docs docs/_build/html
	$(BIN)/python docs/check_site.py docs/_build/html
	$(BIN)/python docs/check_pages.py docs/_build/html

screenshots: docs ## Take pictures of the main pages, wide and narrow, light and dark, into docs/_build/screenshots
	$(BIN)/python docs/check_pages.py docs/_build/html --screenshots docs/_build/screenshots

readme: $(VENV)/.stamp-readme ## Execute the code of README.md and docs/index.md where only the package is installed
	OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 $(VENV)/readme/bin/python .ci/readme.py README.md docs/index.md

tutorials: export NEWT_SC_DATA_DIR ?= $(abspath $(wildcard ../shared/data))
tutorials: $(VENV)/.stamp-package $(VENV)/.stamp-tutorials ## Execute the tutorials into docs/tutorials (TUTORIAL_ARGS=--check: compare with those shown; --shipped: without data)
	OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 $(BIN)/python tutorials/run.py $(TUTORIAL_ARGS)

baseline: $(VENV)/.stamp-test ## Draw the pictures that the image tests compare with, after a change that is meant
	$(BIN)/python docs/_ext/gallery.py tests/pl/baseline

bench-%: export NEWT_SC_DATA_DIR ?= $(abspath $(wildcard ../shared/data))
bench-genes bench-cells bench-explain bench-lineage bench-mapping bench-network bench-panels bench-programs bench-scale bench-sets bench-speed bench-targets bench-training bench-vectors: bench-%: $(VENV)/.stamp-package $(VENV)/.stamp-bench
	$(BIN)/python -m benchmarks.$* $(BENCH_ARGS)

bench-genes: ## Benchmark gene embeddings by cross-validation (FINAL=1: the hold-out too, logged)
bench-vectors: ## Which vectors are shipped: candidates on five tasks, and the rule (FINAL=1: the hold-outs, logged)
bench-cells: ## Cells of one data set: tl.embed against PCA, known orders
bench-lineage: ## Hierarchies of groups against known trees, and pictures of two
bench-mapping: ## Labels and stages across data sets, panels and species
bench-panels: ## Labels carried between disjoint gene panels
bench-programs: ## Programs of cell types: markers, relatives where none is measured, and controls
bench-network: ## Benchmark networks of compounds, mechanisms and repurposing (FINAL=1: the hold-out, logged)
bench-explain: ## What attention says, beside that of another gene
bench-training: ## Time and memory of a training run, and whether it repeats
bench-scale: ## A million cells from disk to disk; tl.embed against PCA
bench-sets: ## Compare sets of genes: speed, recovery of pathways, weak signals
bench-speed: ## Measure time and memory of the projection, and of the import
bench-targets: ## Benchmark target prediction by cross-validation (FINAL=1: the hold-out, logged)

dist: $(VENV)/.stamp-release ## Build sdist and wheel into dist/ and check what is in them
	rm -rf dist
	$(BIN)/python -m build -q
	$(BIN)/twine check --strict dist/*
	$(BIN)/python .ci/check_dist.py dist

PYTHONS ?= python3.11 python3.12
matrix: $(VENV)/.stamp-package ## Test the wheel in an empty environment of each of PYTHONS (MATRIX_ARGS=--record writes the page)
	$(BIN)/python .ci/matrix.py $(PYTHONS) $(MATRIX_ARGS)

mutate: $(VENV)/.stamp-test $(VENV)/.stamp-mutate ## Change the numeric code in 100 places, one at a time: do tests fail? (MUTATE_ARGS="--seed 1 -n 50")
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -W ignore .ci/mutate.py $(MUTATE_ARGS)

FUZZ_ARGS ?=
fuzz: $(VENV)/.stamp-test ## Damage 19,000 files and 1,000 inputs of verbs: each is read or refused (FUZZ_ARGS="-n 500 --seed 1")
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

slow: $(VENV)/.stamp-test ## Run the tests that are too slow for every change
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -q -m slow $(PYTEST_ARGS)

RECIPE_ARGS ?= --record
recipes: $(VENV)/.stamp-package ## Execute the recipes of docs/ecosystem.md with other packages, and write its table (RECIPE_ARGS=squidpy: one of them)
	OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 $(BIN)/python .ci/recipes.py $(RECIPE_ARGS)

nightly: dist matrix mutate fuzz slow recipes ## What is too slow for every change: the wheel, tested where nothing else is installed; mutants; damaged files; other packages

clean: ## Remove .venv and everything that was built
	rm -rf $(VENV) build dist demo_output docs/_build docs/generated
	rm -rf .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

# pip reads dependency groups since 25.1; the one that comes with Python 3.11 does not.
$(VENV)/.stamp-package: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.stamp-%: $(VENV)/.stamp-package
	$(PIP) -c constraints.txt --group $*
	@touch $@

# Snakemake has an environment of its own: it asks for older versions of what others need.
$(VENV)/.stamp-workflow: $(VENV)/.stamp-package
	$(PYTHON) -m venv $(VENV)/workflow
	$(VENV)/workflow/bin/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	$(VENV)/workflow/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt --group workflow
	@touch $@

# What somebody has who installs the package and nothing else.
$(VENV)/.stamp-readme: pyproject.toml constraints.txt | $(BIN)/pip
	$(PYTHON) -m venv $(VENV)/readme
	$(VENV)/readme/bin/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	$(VENV)/readme/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e .
	@touch $@
