# make install   set up .venv with skadetect in it        make test       all checks and tests
# make demo      detect the example field                 make benchmark  measure quality and speed
# make demo IMAGE=path.fits [ARGS="--threshold .5"]       make lint, make format

SHELL := /bin/bash
PYTHON ?= python3
IMAGE ?=
ARGS ?=
BIN := .venv/bin
FIELD := examples/field

.PHONY: install demo test lint format benchmark clean
.DEFAULT_GOAL := install

install: .venv/.installed

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# A stamp a step: done once, and again when the dependencies change.
.venv/.installed: pyproject.toml | .venv/bin/pip
	$(BIN)/python -m pip install --quiet --editable ".[plot]"
	touch $@

.venv/.developed: pyproject.toml | .venv/bin/pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ .venv/.installed

.venv/.benchmarks: pyproject.toml | .venv/.installed
	$(BIN)/python -m pip install --quiet --editable ".[benchmark]"
	touch $@

demo: install
	mkdir -p demo-output
ifeq ($(strip $(IMAGE)),)
	$(BIN)/skadetect detect $(FIELD)/image.fits --primary-beam $(FIELD)/primary_beam.fits \
	    -o demo-output/catalog.fits --plot demo-output/detections.png --brightest 10 --overwrite $(ARGS)
else
	$(BIN)/skadetect detect "$(IMAGE)" \
	    -o demo-output/catalog.fits --plot demo-output/detections.png --brightest 10 --overwrite $(ARGS)
endif

lint: .venv/.developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -q

format: .venv/.developed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: .venv/.benchmarks
	$(BIN)/python tests/benchmarks/quality.py

clean:
	rm -rf .venv demo-output build *.egg-info
