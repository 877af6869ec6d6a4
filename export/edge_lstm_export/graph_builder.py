"""Collects an ONNX graph's operators and constants, one call each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]


@dataclass
class GraphBuilder:
    """Collects nodes and constants; every method returns the name of its output."""

    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, name: str, value: Array) -> str:
        """Adds an initializer."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def ints(self, name: str, *values: int) -> str:
        """Adds an int64 vector, as shapes and axes are given; the same name twice is one constant."""
        if all(constant.name != name for constant in self.constants):
            self.constant(name, np.array(values, dtype=np.int64))
        return name

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds an operator with one output."""
        return self.add_many(op_type, inputs, [output], **attributes)[0]

    def reduce_max(self, value: str, output: str, *, axis: int = 0, keepdims: int = 0) -> str:
        """Adds a maximum over an axis, which became an input with opset 18."""
        if self.opset < 18:
            return self.add("ReduceMax", [value], output, axes=[axis], keepdims=keepdims)
        return self.add("ReduceMax", [value, self.ints(f"axis_{axis}", axis)], output, keepdims=keepdims)

    def add_many(
        self, op_type: str, inputs: Sequence[str], outputs: list[str], **attributes: Any
    ) -> list[str]:
        """Adds an operator with several outputs."""
        self.nodes.append(
            helper.make_node(op_type, inputs, outputs, name=outputs[0] or outputs[-1], **attributes)
        )
        return outputs
