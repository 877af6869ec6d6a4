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

clean:
	rm -rf $(VENV) $(DEVICE_VENV) build
