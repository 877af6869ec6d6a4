"""A model file before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from edge_lstm.core import modelfile
from edge_lstm.core.classifier import Classifier
from edge_lstm.core.risk_coverage import RiskCoverage
from edge_lstm_export.arrays import Floats
from edge_lstm_export.checkpoint import Checkpoint
from edge_lstm_export.network import Rows, text_rows
from edge_lstm_export.onnx import gates, graph
from edge_lstm_export.onnx.description import Answers, description
from edge_lstm_export.onnx.from_network import weights_from_network
from edge_lstm_export.onnx.golden import ORDERS, golden_row, golden_texts, longest_golden
from edge_lstm_export.onnx.graph import check_structure


def model_of(checkpoint: Checkpoint) -> modelfile.ModelFile:
    """Return a checkpoint as a model file in fp32, for reading: it has passed no gate."""
    return Draft(checkpoint).model


class Draft:
    """A model file without golden rows and curve.

    typical: token ids of texts, by whose values it is rounded; empty: to the nearest numbers.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        int8: bool = False,
        packs: bool = True,
        typical: Sequence[Sequence[int]] = (),
    ) -> None:
        self.checkpoint = checkpoint
        self.int8 = int8
        self.packs = packs
        self.tokenizer = checkpoint.tokenizer
        weights = weights_from_network(checkpoint.network, typical)
        self._graph = graph.build(
            weights,
            checkpoint.network.config,
            self.tokenizer.length,
            int8=int8,
            long=checkpoint.plan.get("kind") in ("long", "topics"),
            may_be_empty=self.tokenizer.rule.start_id is None,
            packs=packs,
        )

    @cached_property
    def model(self) -> modelfile.ModelFile:
        """The model file, as a device opens it."""
        return self._file([], None)

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier that answers with it."""
        return Classifier(self.model)

    def rooms(self, rows: Rows) -> list[Floats]:
        """Return how far below its sentinels each unit stays on these rows, see gates.headroom."""
        return gates.headroom(self.model.data, rows, self.tokenizer.length)

    def finished(self, curve: RiskCoverage | None, examples: Sequence[str]) -> bytes:
        """Return the model file's bytes, with the answers of this machine to the golden texts."""
        order = max(range(ORDERS), key=self._count_labels)
        texts = golden_texts(self.tokenizer, examples, order=order)
        golden = [
            golden_row(text, ids, answer, is_example=text in examples)
            for text, ids, answer in zip(texts, *self._answers(texts))
        ]
        return self._file(golden, curve).data

    @property
    def most_bytes(self) -> int:
        """The bytes of the finished file, if its golden answers take as many as they can."""
        golden = longest_golden(self.tokenizer, len(self.checkpoint.labels))
        return len(self._file(golden, self.checkpoint.abstention).data)

    def _answers(self, texts: Sequence[str]) -> tuple[Rows, Floats]:
        """Return the texts' ids and their probabilities, float32 [n, labels], each run alone."""
        rows = text_rows(self.tokenizer, texts)
        return rows, self.classifier.probabilities_of(rows, batch_size=1)

    def _count_labels(self, order: int) -> int:
        """Count the different labels of the golden texts: the more, the sharper is the test."""
        _, answers = self._answers(golden_texts(self.tokenizer, order=order))
        return len(set(answers.argmax(axis=1).tolist()))

    def _file(self, golden: Sequence[object], curve: RiskCoverage | None) -> modelfile.ModelFile:
        """Return the model file, as a device opens it.

        CheckError if it is not valid ONNX.
        """
        checkpoint = self.checkpoint
        described = description(
            self.tokenizer,
            checkpoint.labels,
            checkpoint.network.config,
            checkpoint.training,
            golden,
            answers=Answers(checkpoint.thresholds, curve, checkpoint.question, checkpoint.fields),
            int8=self.int8,
            packs=self.packs,
        )
        data = graph.file_bytes(self._graph, described)
        check_structure(data)
        return modelfile.parse_model(data, Path("(model being exported)"))
