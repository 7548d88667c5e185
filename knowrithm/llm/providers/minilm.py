"""The network of all-MiniLM-L6-v2, laid out so that it multiplies by the integers in which its weights are stored.

The one that the package brings turns every weight into a float first; this one takes a third of its time (ADR 0038).
The operators of Microsoft's domain are onnxruntime's own, described in its ContribOperators.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

LAYERS = 6
HEADS = 12
EPSILON = 1e-12  # of the model's normalisations
MICROSOFT = "com.microsoft"
OPERATORS = {"": 18, MICROSOFT: 1}  # their versions
IR_VERSION = 8  # of the file's format, the one that came with operators 18

Array = NDArray[Any]  # floats and integers


def network(path: Path, max_tokens: int) -> bytes:
    """The model at `path` as onnxruntime loads it, for one text at a time.

    From `ids` (1 × tokens, int64, at most `max_tokens` of them) to `states` (1 × tokens × 384, float32).
    """
    weights = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    layout = _Layout(weights)
    states = layout.embeddings("inner.embeddings", max_tokens)
    for number in range(LAYERS):
        states = layout.layer(f"inner.encoder.layer.{number}", states)
    return layout.model(states, width=weights["inner.embeddings.LayerNorm.bias"].size)


class _Layout:
    """The nodes and constants so far. A method that adds some answers with the name of what they compute."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._weights = weights
        # The matrices lost their names when the model was exported. They come in the order in which they are used.
        self._matrices = (name for name in weights if name.startswith("val_") and name.endswith("_q"))
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def embeddings(self, name: str, max_tokens: int) -> str:
        words, positions = f"{name}.word_embeddings.weight", f"{name}.position_embeddings.weight"
        integers, scales = (self._node("Gather", self._weight(words + part), "ids") for part in ("_q", "_scale"))
        meaning = self._node("Mul", self._node("Cast", integers, to=onnx.TensorProto.FLOAT), scales)
        places = self._weights[f"{positions}_q"][:max_tokens] * self._weights[f"{positions}_scale"][:max_tokens]
        places = places + self._weights[f"{name}.token_type_embeddings.weight"][0]  # every text is of the first type
        length = self._node("Shape", "ids", start=1)
        place = self._node("Slice", self._constant(places), self._constant(np.array([0])), length)
        return self._normalised(f"{name}.LayerNorm", meaning, place)

    def layer(self, name: str, states: str) -> str:
        query, key, value = (self._multiplied(states) for _ in range(3))
        biases = [self._weights[f"{name}.attention.self.{part}.bias"] for part in ("query", "key", "value")]
        bias = self._constant(np.concatenate(biases))
        attended = self._node("MultiHeadAttention", query, key, value, bias, domain=MICROSOFT, num_heads=HEADS)
        attended = self._multiplied(attended, f"{name}.attention.output.dense.bias")
        states = self._normalised(f"{name}.attention.output.LayerNorm", states, attended)
        inner = self._node("Gelu", self._multiplied(states, f"{name}.intermediate.dense.bias"), domain=MICROSOFT)
        outer = self._multiplied(inner, f"{name}.output.dense.bias")
        return self._normalised(f"{name}.output.LayerNorm", states, outer)

    def model(self, states: str, width: int) -> bytes:
        ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [1, "tokens"])
        output = helper.make_tensor_value_info(states, onnx.TensorProto.FLOAT, [1, "tokens", width])
        graph = helper.make_graph(self._nodes, "all-MiniLM-L6-v2", [ids], [output], self._constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPERATORS.items()]
        made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()
        return made

    def _multiplied(self, states: str, bias: str = "") -> str:
        """By the next matrix. The states become integers as well, by the one scale that suits the largest of them."""
        matrix = next(self._matrices)
        scales = self._constant(self._weights[matrix.removesuffix("_q") + "_scale"].ravel())
        inputs = [states, self._weight(matrix), scales, "", self._weight(bias) if bias else ""]
        return self._node("DynamicQuantizeMatMul", *inputs, domain=MICROSOFT)

    def _normalised(self, name: str, states: str, more: str) -> str:
        total = self._node("Add", states, more)
        scale, bias = self._weight(f"{name}.weight"), self._weight(f"{name}.bias")
        return self._node("LayerNormalization", total, scale, bias, axis=-1, epsilon=EPSILON)

    def _weight(self, name: str) -> str:
        return self._constant(self._weights[name])

    def _constant(self, values: Array) -> str:
        name = f"constant {len(self._constants)}"
        self._constants.append(numpy_helper.from_array(values, name))
        return name

    def _node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{operator} {len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        return name
