"""Run the model files of edge-lstm without ONNX Runtime: one C module, no dependencies.

>>> model = Model("model.onnx")                                      # doctest: +SKIP
>>> model.predict(["A wonderful film."])                             # doctest: +SKIP
[('pos', 0.98, 'ok')]
>>> numpy.asarray(model.probabilities(texts))                        # doctest: +SKIP

The probabilities are the same bits on every machine. A model may be used by several threads at once.
"""

from edge_lstm_native._engine import Model, kernels

__all__ = ["Model", "kernels"]
