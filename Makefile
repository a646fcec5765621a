# make install   set up .venv with skadetect in it        make test       all checks and tests
# make demo      detect the example field                 make benchmark  measure quality and speed
# make demo IMAGE=path.fits [ARGS="--threshold .5"]       make lint, make format
# make benchmark-hi   the same of cubes                     make benchmark-cpu  time the network against its peers
# make benchmark-cuda the same on a GPU                     make test-gpu       the tests that need one

SHELL := /bin/bash
PYTHON ?= python3
IMAGE ?=
CUTOUT ?=
ARGS ?=
BIN := .venv/bin
FIELD := examples/field

.PHONY: install demo test test-gpu lint format benchmark benchmark-hi benchmark-challenges benchmark-cpu benchmark-cuda clean
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
	$(PYTHON) -m venv .venv/bdsf  # PyBDSF in an environment of its own: it has its own ideas of NumPy
	.venv/bdsf/bin/pip install --quiet bdsf==1.14.1
	touch $@

# The official scorer has an environment of its own: it knows no recent pandas. Without it its tests are skipped.
.venv/.oracle: tests/evaluate/requirements-oracle.txt | .venv/bin/pip
	$(PYTHON) -m venv .venv/oracle && .venv/oracle/bin/pip install --quiet --requirement $< && touch $@ || \
	    echo "ska-sdc cannot be installed: equality with it is not tested"

demo: install
	@mkdir -p demo-output
	@echo "The first run compiles the kernels and shows them, which takes about a minute."
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

# Two processes, each with whole files: fixtures are made once.
test: lint .venv/.oracle
	$(BIN)/python -m pytest -q -n 2 --dist loadfile $(ARGS)

format: .venv/.developed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Five test fields that no training saw; CUTOUT names the folder of the real SDC1 piece, if there is one.
TEST_FIELDS := $(foreach seed,1 2 3 4 5,benchmark-output/field_90000$(seed))

benchmark-output/field_%/truth.txt: | .venv/.benchmarks
	$(BIN)/skadetect simulate continuum --size 2048 --seed $* --out $(@D) --overwrite

benchmark: .venv/.benchmarks $(TEST_FIELDS:=/truth.txt)
	$(BIN)/python tests/benchmarks/quality.py benchmark-output/scores $(TEST_FIELDS) \
	    $(if $(CUTOUT),--cutout "$(CUTOUT)") --bdsf-python .venv/bdsf/bin/python
	$(BIN)/python tests/benchmarks/correlated_noise.py
	$(BIN)/python tests/benchmarks/sparse_fields.py benchmark-output/sparse --bdsf-python .venv/bdsf/bin/python
	$(BIN)/python tests/benchmarks/extended.py benchmark-output/extended --bdsf-python .venv/bdsf/bin/python
	$(BIN)/python tests/benchmarks/blends.py benchmark-output/blends --bdsf-python .venv/bdsf/bin/python
	$(BIN)/python tests/benchmarks/peak_memory.py --folder benchmark-output

# Cubes that no training saw, against a smooth-and-clip finder; pure noise, which holds nothing.
HI_CUBES := benchmark-output/hi_cubes

benchmark-hi: .venv/.installed
	$(BIN)/python pipelines/hi/make_cubes.py $(HI_CUBES) test
	$(BIN)/python tests/benchmarks/hi_quality.py $(HI_CUBES)/*/ --out benchmark-output/hi
	$(BIN)/python tests/benchmarks/noise_cubes.py

# Layers and whole networks against onnxruntime and PyTorch, on the same patch and threads.
benchmark-cpu: .venv/.developed
	$(BIN)/python tests/benchmarks/cpu/run.py --train --errors $(ARGS)

# On a machine with a GPU and a CUDA build of PyTorch; see docs/cuda.md.
benchmark-cuda: .venv/.developed
	NUMBA_ENABLE_CUDASIM=0 $(BIN)/python tests/benchmarks/cuda/run.py $(ARGS)

# The tests that need a GPU.
test-gpu: .venv/.developed
	NUMBA_ENABLE_CUDASIM=0 $(BIN)/python -m pytest -q -m gpu $(ARGS)

# Tuned thresholds and corrections; a map of SDC1's full size (killed on the way); SDC2's cube planned, a part run.
TUNE_FIELDS := $(foreach seed,1 2 3 4,benchmark-output/field_80000$(seed))

benchmark-challenges: .venv/.installed $(TEST_FIELDS:=/truth.txt) $(TUNE_FIELDS:=/truth.txt)
	$(BIN)/python tests/benchmarks/sdc1_tuned.py $(TUNE_FIELDS) --test $(TEST_FIELDS)
	$(BIN)/python tests/benchmarks/sdc1_map.py benchmark-output/sdc1_map
	$(BIN)/python tests/benchmarks/sdc2_part.py benchmark-output/sdc2_part

clean:
	rm -rf .venv demo-output benchmark-output build *.egg-info
