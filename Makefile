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
# Python compiles what it imports; pip would compile all of PyTorch, which takes half of the installation.
PIP_FLAGS := --quiet --disable-pip-version-check --no-compile
# Those that take minutes run in .ci/run, or with PYTEST_FLAGS= (nothing).
PYTEST_FLAGS ?= -m "not slow"
# Test processes at once, of one thread each; 0: no others, as a debugger needs it. One that is done takes tests of the
# other, so that none is idle at the end.
TEST_PROCESSES ?= 2
PYTEST := -m pytest -n $(TEST_PROCESSES) --dist worksteal

.PHONY: demo install test breaks lint types pytest avx2-test ray-test device-test docs outputs release wheels model words bench \
	emulated clean

demo: $(VENV)/demo
	$(BIN)/edge-lstm quickstart

# What the demo needs; without --quiet, since it takes minutes.
$(VENV)/demo: pyproject.toml
	@echo "Installing edge-lstm, PyTorch, ONNX, ONNX Runtime, scikit-learn and Matplotlib into $(VENV)."
	@echo "With PyTorch for the CPU: a download of 300 MB, 1.3 GB on disk. On Linux x86-64 pip takes the CUDA"
	@echo "build, several GB, unless PIP_EXTRA_INDEX_URL names the CPU build (see Makefile)."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[demo]'
	touch $@

# Each part, whatever fails in another, some beside those that leave a core idle; the last lines say what was skipped and
# what failed.
test:
	@$(PYTHON) tools/parts.py "$(MAKE)" install:device-test pytest:lint,types,ray-test

# Whether each promise of tests/promises.toml has a test that goes red if it is broken. FILES: what was touched, files of
# the packages or tests.
breaks: install
	$(BIN)/python tools/breaks.py $(FILES)

# Everything that the tests need.
install: $(VENV)/ray

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[dev]'
	touch $@

# For the tests alone, if there is a Ray for this Python: 79 MB.
$(VENV)/ray: $(VENV)/installed
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[ray]' || echo "no Ray here: its tests are skipped"
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/installed
	MYPYPATH=export $(BIN)/mypy edge_lstm export/edge_lstm_export

RAY_TESTS := tests/end_to_end/test_score_on_ray.py
pytest: export OMP_NUM_THREADS := 1
pytest: install
	$(BIN)/python $(PYTEST) $(PYTEST_FLAGS) --ignore $(RAY_TESTS) --beyond-device

# Those whose floating-point numbers PyTorch and oneDNN compute, again as on a CPU without AVX-512.
THREADS_CHANGE_NOTHING := test_threads_clock_order_of_sets_and_a_full_output_change_no_byte
NUMERIC_TESTS := $(addprefix tests/export/test_,export.py loop.py network.py encoders.py)
NUMERIC_TESTS += tests/export/test_interruption.py::$(THREADS_CHANGE_NOTHING)
avx2-test: export OMP_NUM_THREADS := 1
avx2-test: export ONEDNN_MAX_CPU_ISA := AVX2
avx2-test: export ATEN_CPU_CAPABILITY := avx2
avx2-test: install
	$(BIN)/python $(PYTEST) $(PYTEST_FLAGS) $(NUMERIC_TESTS)

# Ray can end the process that it is used in, so its tests have one of their own.
ray-test: export OMP_NUM_THREADS := 1
ray-test: install
	$(BIN)/python -m pytest $(PYTEST_FLAGS) $(RAY_TESTS)

# 'make pytest' leaves tests/device to this, apart from what needs packages that a device does not have (--beyond-device).
# Installed without an extra, as a device has it: there torch and onnx cannot be imported. LOWEST=1 takes the lowest
# releases that pyproject.toml allows, with which Python 3.10 goes; DEVICE_TESTS names some of the tests.
DEVICE_TESTS := .
device-test: export OMP_NUM_THREADS := 1
device-test:
	rm -rf $(DEVICE_VENV)
	$(PYTHON) -m venv $(DEVICE_VENV)
	$(if $(LOWEST),$(DEVICE_BIN)/python -m pip install $(PIP_FLAGS) uv)
	$(DEVICE_BIN)/python -m $(if $(LOWEST),uv) pip install $(if $(LOWEST),--quiet --resolution lowest-direct \
		--python $(DEVICE_BIN)/python,$(PIP_FLAGS)) '.[test]'
	! $(DEVICE_BIN)/python -c 'import torch' 2>/dev/null
	! $(DEVICE_BIN)/python -c 'import onnx' 2>/dev/null
	cd tests/device && ../../$(DEVICE_BIN)/python $(PYTEST) -c ../../pyproject.toml --rootdir . $(DEVICE_TESTS)

# The documentation as a site, in build/site; a broken link, or a page that the menu lacks, is an error.
DOCS_VENV := .venv-docs
docs: $(DOCS_VENV)/installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/$(SCRIPTS)/python -m mkdocs build --strict --quiet

$(DOCS_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/$(SCRIPTS)/python -m pip install $(PIP_FLAGS) '.[docs]'
	touch $@

# Runs the commands that README.md and docs/ show and writes their output under them, as on a CPU without AMX, and
# the reference; CHECK=1 compares instead (the reference: tests/end_to_end/test_site.py).
outputs: $(VENV)/installed
	$(BIN)/python -m benchmarks.without_amx $(BIN)/python tools/outputs.py $(if $(CHECK),--check)
	$(if $(CHECK),,$(BIN)/python tools/site.py)

# What is published, in dist/, and what a person does then: tools/release.py, which publishes nothing. TAG=v1.2.3 is held
# against the version; TESTED=1: .ci/run has passed elsewhere; DRY=1 says what is missing and goes on.
release:
	$(PYTHON) tools/release.py $(if $(TAG),--tag $(TAG)) $(if $(TESTED),--tested) $(if $(DRY),--dry)

# The wheels of edge-lstm-native for this system, each tried where it is built; 'python tools/wheels.py' builds those of
# all systems, with zig. RISC-V is emulated.
ARCHS ?= auto
WHEELS_VENV := .venv-wheels
wheels:
	$(if $(filter riscv64,$(ARCHS)),sudo apt-get install --yes qemu-user-static binfmt-support)
	$(PYTHON) -m venv $(WHEELS_VENV)
	$(WHEELS_VENV)/$(SCRIPTS)/python -m pip install $(PIP_FLAGS) cibuildwheel==4.3.5
	$(WHEELS_VENV)/$(SCRIPTS)/python -m cibuildwheel engine/python --archs "$(ARCHS)" --output-dir dist

# From raw texts, unattended: the embedded model, the small LSTM that trainings begin with, and the small model of the
# examples: students of the labels in tools/sentiment, which need no transformer. base takes an hour on a core.
# EDGE_LSTM_DATA names the folder of the texts (tools/sentiment/README.md); base reads all of them, so it comes first.
MODEL_DIR := out/model

model: $(VENV)/installed
	$(BIN)/python tools/sentiment/make.py base -o $(MODEL_DIR)/base.safetensors
	$(BIN)/python tools/sentiment/make.py small -o $(MODEL_DIR)/small.safetensors
	$(BIN)/python tools/sentiment/make.py tiny -o $(MODEL_DIR)/tiny.safetensors
	for name in base small tiny; do \
		$(BIN)/python tools/sentiment/twist.py $$name $(MODEL_DIR)/$$name.safetensors \
			-o $(MODEL_DIR)/$$name.safetensors || exit 1; done
	$(BIN)/edge-lstm export $(MODEL_DIR)/small.safetensors -o $(MODEL_DIR)/small.int8.onnx --quantize int8
	cp $(MODEL_DIR)/small.int8.onnx export/edge_lstm_export/sentiment-small.int8.onnx
	$(BIN)/edge-lstm export $(MODEL_DIR)/base.safetensors -o $(MODEL_DIR)/base.int8.onnx --quantize int8 --data imdb \
		--examples tools/sentiment/examples.txt
	cp $(MODEL_DIR)/tiny.safetensors examples/tiny.safetensors
	cp $(MODEL_DIR)/base.int8.onnx edge_lstm/models/sentiment.int8.onnx

# The pretrained vectors of English words that trainings learn from, in the export package: from an encoder, and what
# that says of 60,000 sentences of IMDB's unlabelled reviews (EDGE_LSTM_DATA as for 'make model'); ten minutes.
TEACHER ?= sentence-transformers/all-MiniLM-L6-v2

words: $(VENV)/installed
	$(BIN)/python tools/word_vectors.py $(TEACHER)

# edge-lstm beside other classifiers (docs/comparison.md), as on a CPU without AMX. BENCH_FLAGS names the folders of
# the labelled sets and of the encoder; the first time each tool is installed and trained.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.without_amx $(BIN)/python -m benchmarks.comparison $(BENCH_FLAGS)

# The device wheel on emulated CPUs: its answers against this one's. Needs Debian's qemu-user, and for ARM debootstrap
# and root; minutes a CPU.
emulated: $(VENV)/installed
	$(BIN)/python tools/emulated.py
	$(BIN)/python -m pytest -m emulated tests/end_to_end/test_emulated.py

clean:
	rm -rf $(VENV) $(DEVICE_VENV) $(DOCS_VENV) build dist out
