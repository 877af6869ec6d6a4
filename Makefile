# 'make demo' and 'make test' need python3 and make; everything else they install into .venv.
#
# On Linux x86-64, pip's plain torch is the CUDA build (gigabytes). For the CPU build, set
# PIP_EXTRA_INDEX_URL to the address that pytorch.org's install page shows for "Pip, CPU".

PYTHON ?= python3
VENV := .venv
DEVICE_VENV := .venv-device
BIN := $(VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: demo test lint types pytest wheels device-test model bench clean

demo: $(VENV)/installed
	$(BIN)/edge-lstm quickstart

test: lint types pytest device-test

$(VENV)/installed: pyproject.toml export/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[test]' --editable './export[dev]'
	touch $@

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed
	MYPYPATH=export $(BIN)/mypy edge_lstm export/edge_lstm_export

pytest: $(VENV)/installed
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

wheels: $(VENV)/installed
	rm -rf build/wheels
	$(BIN)/python -m pip wheel $(PIP_FLAGS) --no-deps --wheel-dir build/wheels . ./export

# The device wheel alone, where torch and onnx cannot be imported.
device-test: wheels
	rm -rf $(DEVICE_VENV)
	$(PYTHON) -m venv $(DEVICE_VENV)
	$(DEVICE_VENV)/bin/python -m pip install $(PIP_FLAGS) "$$(echo build/wheels/edge_lstm-*.whl)[test]"
	! $(DEVICE_VENV)/bin/python -c 'import torch' 2>/dev/null
	! $(DEVICE_VENV)/bin/python -c 'import onnx' 2>/dev/null
	cd tests/device && ../../$(DEVICE_VENV)/bin/pytest -c ../../pyproject.toml --rootdir . .

# The embedded model from raw reviews, unattended. Each stage is kept: the teacher's labels, the epochs
# (an interrupted training is resumed), the checkpoint. EDGE_LSTM_DATA names the archive's folder; without
# it the archive is downloaded.
MODEL_DIR := out/model
CHECKPOINT := export/edge_lstm_export/checkpoints/sentiment.safetensors
EMBEDDED := edge_lstm/models/sentiment.int8.onnx

model: $(VENV)/installed
	$(BIN)/edge-lstm train imdb -o $(MODEL_DIR)/sentiment.safetensors --preset small \
		--teacher nb-svm --unlabelled imdb --num-words 6000 \
		--validation 0.08 $(if $(wildcard $(MODEL_DIR)/sentiment.safetensors.partial),--resume)
	$(BIN)/edge-lstm export $(MODEL_DIR)/sentiment.safetensors -o $(MODEL_DIR)/sentiment.int8.onnx \
		--quantize int8 --data imdb
	cp $(MODEL_DIR)/sentiment.safetensors $(CHECKPOINT)
	cp $(MODEL_DIR)/sentiment.int8.onnx $(EMBEDDED)

# Everything side by side: a quarter of an hour, and several GB of environments in the cache the first time.
# The reviews come from EDGE_LSTM_DATA (a folder with aclImdb_v1.tar.gz); without it, the examples answer.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.run $(BENCH_FLAGS)

clean:
	rm -rf $(VENV) $(DEVICE_VENV) build out
