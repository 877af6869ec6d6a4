# 'make demo' and 'make test' need python3 and make; everything else they install into .venv.
#
# On Linux x86-64, pip's plain torch is the CUDA build (gigabytes). For the CPU build, set
# PIP_EXTRA_INDEX_URL to the address that pytorch.org's install page shows for "Pip, CPU".

PYTHON ?= python3
VENV := .venv
DEVICE_VENV := .venv-device
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
DEVICE_BIN := $(DEVICE_VENV)/$(SCRIPTS)
PIP_FLAGS := --quiet --disable-pip-version-check
# Those that take minutes run in .ci/run, or with PYTEST_FLAGS= (nothing).
PYTEST_FLAGS ?= -m "not slow"

.PHONY: demo test lint types pytest device-test docs outputs release model words bench emulated clean

demo: $(VENV)/installed
	$(BIN)/edge-lstm quickstart

test: lint types pytest device-test

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[dev]'
	touch $@

# For the tests alone, and where there is a Ray for this Python: 79 MB, 7 s; a minute of tests on a local cluster.
$(VENV)/ray: $(VENV)/installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[ray]' || echo "no Ray here: its tests are skipped"
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	MYPYPATH=export $(BIN)/mypy edge_lstm export/edge_lstm_export

# Ray can end the process that it is used in, so its tests have one of their own.
RAY_TESTS := tests/end_to_end/test_score_on_ray.py
pytest: $(VENV)/ray
	$(BIN)/python -m pytest $(PYTEST_FLAGS) --ignore $(RAY_TESTS)
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(RAY_TESTS)

# Installed without an extra, as a device has it: there torch and onnx cannot be imported. LOWEST=1 takes the lowest
# releases that pyproject.toml allows, with which Python 3.10 goes; DEVICE_TESTS names some of the tests.
DEVICE_TESTS := .
device-test:
	rm -rf $(DEVICE_VENV)
	$(PYTHON) -m venv $(DEVICE_VENV)
	$(if $(LOWEST),$(DEVICE_BIN)/python -m pip install $(PIP_FLAGS) uv)
	$(DEVICE_BIN)/python -m $(if $(LOWEST),uv) pip install $(if $(LOWEST),--quiet --resolution lowest-direct \
		--python $(DEVICE_BIN)/python,$(PIP_FLAGS)) '.[test]'
	! $(DEVICE_BIN)/python -c 'import torch' 2>/dev/null
	! $(DEVICE_BIN)/python -c 'import onnx' 2>/dev/null
	cd tests/device && ../../$(DEVICE_BIN)/python -m pytest -c ../../pyproject.toml --rootdir . $(DEVICE_TESTS)

# The documentation as a site, in build/site; a broken link, or a page that the menu lacks, is an error.
DOCS_VENV := .venv-docs
docs: $(DOCS_VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/$(SCRIPTS)/python -m mkdocs build --strict --quiet

$(DOCS_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/$(SCRIPTS)/python -m pip install $(PIP_FLAGS) '.[docs]'
	touch $@

# Runs the commands that README.md and docs/ show and writes their output under them, as on a CPU without AMX;
# CHECK=1 compares instead.
outputs: $(VENV)/installed
	$(BIN)/python -m benchmarks.without_amx $(BIN)/python tools/outputs.py $(if $(CHECK),--check)

# What is published, in dist/: nothing goes there that is not checked. TAG=v1.2.3 is held against the version;
# DRY=1 says what is missing and goes on. Publishing itself is .github/workflows/release.yml.
RELEASE_VENV := .venv-release
release:
	$(PYTHON) tools/release.py check $(if $(TAG),--tag $(TAG)) $(if $(DRY),--dry)
	rm -rf dist $(RELEASE_VENV)
	$(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/$(SCRIPTS)/python -m pip install $(PIP_FLAGS) build twine
	$(RELEASE_VENV)/$(SCRIPTS)/python -m build --outdir dist
	$(RELEASE_VENV)/$(SCRIPTS)/python -m twine check --strict dist/*
	$(PYTHON) tools/release.py install dist
	$(MAKE) docs

# The embedded model from raw reviews, unattended, with 'make -j2 model' on two cores in an hour: students of the
# teachers' labels in export/labels, which need no transformer. Every stage is kept: 'make model' goes on where it
# was interrupted. EDGE_LSTM_DATA names the archive's folder; without it the archive is downloaded.
MODEL_DIR := out/model
LABELS := export/labels/imdb.safetensors
IMDB = $(BIN)/edge-lstm train imdb --unlabelled imdb --validation 0.04

model: $(MODEL_DIR)/tiny.done $(MODEL_DIR)/base.int8.onnx
	cp $(MODEL_DIR)/tiny.safetensors examples/tiny.safetensors
	cp $(MODEL_DIR)/base.int8.onnx edge_lstm/models/sentiment.int8.onnx

# Many labels to learn from bear more words and less dropout than the presets have, which are for all data: sentences
# are of words that reviewers seldom use. Chosen by the loss on the validation part and its spans.
RECIPE_tiny := --set pieces=yes --words frequent --num-words 2800 --pairs 18000 --dropout 0.05 --epochs 8
RECIPE_small := --set pieces=yes --num-words 8000 --embedding 14 --pairs 66000 --dropout 0.05 --epochs 8
RECIPE_base := --set pieces=yes --num-words 16000 --embedding 30 --pairs 210000 --dropout 0.1 --epochs 8

# An interrupted training leaves its best weights so far: only the mark says that they are the last ones.
$(addprefix $(MODEL_DIR)/,tiny.done small.done medium.done base.done): $(LABELS) | $(VENV)/installed
	$(IMDB) --set soft-labels=$(LABELS) --teacher kept --set negate=yes --preset $(notdir $(@:.done=)) $(RECIPE_$(notdir $(@:.done=))) \
		-o $(@:.done=.safetensors) $(if $(wildcard $(@:.done=.safetensors.partial)),--resume)
	touch $@

$(MODEL_DIR)/%.int8.onnx: $(MODEL_DIR)/%.done
	$(BIN)/edge-lstm export $(<:.done=.safetensors) -o $@ --quantize int8 --data imdb

# What these words make of others, teachers label too; of what is negated, the students learn the opposite.
NEGATIONS := not,*n't,never,no,nothing,nobody,none,neither,nor,hardly,barely,without,cannot,lack,lacks,fails,failed,far

# The labels made again from two encoders (folders, or names on the hub), gone on from where it is interrupted: a small
# one labels everything, in an hour and a half on two busy cores, a larger one short spans, in as much again.
TEACHER ?= sentence-transformers/all-MiniLM-L6-v2
TEACHER_OF_SPANS ?= sentence-transformers/all-mpnet-base-v2
TAUGHT = $(IMDB) --set teacher-windows=1 --preset tiny --epochs 1 --no-test
EVERYTHING := $(MODEL_DIR)/everything.soft-labels.safetensors
teacher: $(VENV)/installed
	$(TAUGHT) --teacher $(TEACHER) --set spans=4 --set "around=$(NEGATIONS)" --set soft-labels=$(EVERYTHING) \
		-o $(MODEL_DIR)/everything.safetensors
	$(TAUGHT) --teacher $(TEACHER_OF_SPANS) --set teacher-steps=500 --set teacher-layers=6 --set teacher-span=32 \
		--set earlier-labels=$(EVERYTHING) --set soft-labels=$(LABELS) -o $(MODEL_DIR)/spans.safetensors

# The pretrained vectors of English words that trainings learn from, in the export package: from an encoder, and what
# that says of 60,000 sentences of IMDB's unlabelled reviews (EDGE_LSTM_DATA as for 'make model'); ten minutes.
words: $(VENV)/installed
	$(BIN)/python tools/word_vectors.py $(TEACHER)

# Everything side by side: five minutes; the first time most of an hour, and several GB in the cache.
# The reviews come from EDGE_LSTM_DATA (a folder with aclImdb_v1.tar.gz); without it, the examples answer.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.run $(BENCH_FLAGS)

# The device wheel on emulated CPUs: its answers against this one's, and instructions a token. Needs Debian's
# qemu-user, and for ARM debootstrap and root; minutes a CPU.
emulated: $(VENV)/installed
	$(BIN)/python tools/emulated.py prepare
	$(BIN)/python tools/emulated.py check
	$(BIN)/python tools/emulated.py count

clean:
	rm -rf $(VENV) $(DEVICE_VENV) $(DOCS_VENV) $(RELEASE_VENV) build dist out
