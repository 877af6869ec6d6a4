"""Training from Python: a classifier with scikit-learn's interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from edge_lstm.core.decide import apply_thresholds
from edge_lstm.core.question import QuestionType
from edge_lstm.errors import DataError
from edge_lstm.system.atomic import write_atomically
from edge_lstm_export.checkpoint import save_checkpoint
from edge_lstm_export.network import predict_probabilities
from edge_lstm_export.options import NO_TEACHER, Plan, PresetName, TrainingRequest
from edge_lstm_export.progress import Display
from edge_lstm_export.train.fit import fit, quiet_thread
from edge_lstm_export.train.lstm import SILENT
from edge_lstm_export.train.plan import plan_training
from edge_lstm_export.train.sources import checked, dataset_from, rows_of


@dataclass(eq=False, repr=False)
class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A small LSTM with n-grams, trained on labelled texts and exported to one ONNX file.

    >>> model = TextClassifier().fit(texts, labels)                         # doctest: +SKIP
    >>> model.predict(["Where is my card?"])                                # doctest: +SKIP
    >>> model.export("cards.onnx", quantize="int8")                         # doctest: +SKIP

    preset: size of the network and of its file: tiny, small, medium, base, or seed (Keras's
        example).
    teacher: None (the package's sentiment model, if it helps), "none", "sentiment", a model file or
        checkpoint of edge-lstm, or a transformer: a folder or a name on the Hugging Face hub.
    start: a model file or checkpoint whose LSTM and word embeddings the network starts from.
    balance: raise recall on rare labels, at a cost in accuracy.
    question: choice, yes_no, or score if the labels are numbers on a scale; None: by the labels,
        of which numbers are a choice.
    plan: a Plan to use instead of the one made from the data and the other parameters, such as
        ``dataclasses.replace(model.plan_, unlabelled=0)``.
    epochs: passes over the texts; None: the plan decides.
    validation: share of the texts that is held out to judge the network; None: the plan decides.
    random_state: seed of every random choice.
    verbose: show the stages on standard error, and the epochs of a long training.

    Attributes after :meth:`fit`: ``classes_``, the labels, in the order of the columns of
    :meth:`predict_proba`; ``plan_``, the plan that was run; ``report``, the results.
    """

    preset: PresetName = "small"
    _: KW_ONLY
    teacher: str | None = None
    start: str | None = None
    balance: bool = False
    question: QuestionType | None = None
    plan: Plan | None = None
    epochs: int | None = None
    validation: float | None = None
    random_state: int = 0
    verbose: bool = False

    def fit(
        self,
        X: Any,  # noqa: N803
        y: Any,
        *,
        unlabelled: Sequence[str] = (),
        groups: Any = None,
    ) -> TextClassifier:
        """Train on texts and their labels.

        X: texts, a list, array or pandas Series of str; or rows of fields, a list of dicts or a
            DataFrame: texts, numbers and categories (docs/how-to/fields.md).
        y: a label per text; or several, as a list of sets or an indicator matrix [n, L]; or the
            probability of each label, as a list of dicts or a float matrix [n, L].
        unlabelled: further texts, which the teachers label.
        groups: a value per text, such as its author. Texts with the same value are on one side of
            every split, as with scikit-learn's ``GroupKFold``.

        Raise DataError.
        """
        if len(unlabelled) and self.teacher == NO_TEACHER and self.plan is None:
            raise DataError("teacher='none' labels no text; leave it out, or leave out unlabelled")
        dataset = dataset_from(X, y, unlabelled=unlabelled, groups=groups)
        dataset = checked(dataset)
        with quiet_thread():
            if not isinstance(self.plan, Plan | None):
                raise DataError(
                    f"plan must be a Plan, not {self.plan!r:.40}; make one with Plan.from_dict"
                )
            plan = plan_training(dataset, self._request(), self.plan).plan
            display = Display(epochs=plan.loop.epochs)
            callbacks = display.callbacks() if self.verbose else SILENT
            self.result_ = fit(dataset, plan, callbacks=callbacks)
        self.plan_ = plan
        self.multi_label_ = dataset.multi_label
        self.indicator_ = getattr(y, "ndim", 1) == 2
        if dataset.multi_label:
            self.classes_ = np.array(dataset.labels, dtype=object)
        else:
            if self.indicator_:
                given = getattr(y, "columns", range(y.shape[1]))
            else:
                given = chain.from_iterable(y) if isinstance(next(iter(y)), Mapping) else y
            by_name = {str(label): label for label in given}
            self.classes_ = np.array([by_name[name] for name in dataset.labels])
        return self

    def _request(self) -> TrainingRequest:
        return TrainingRequest(
            preset=self.preset,
            teacher=self.teacher,
            start=self.start,
            epochs=self.epochs,
            validation=self.validation,
            balance=self.balance,
            question=self.question,
            seed=self.random_state,
        )

    @property
    def report(self) -> dict[str, Any]:
        """The origin of the network and its results, as plain values.

        It has the data, the teachers, the validation and the warnings.

        Raise NotFittedError before :meth:`fit`.
        """
        check_is_fitted(self)
        return self.result_.checkpoint.training

    def predict_proba(self, X: Any) -> npt.NDArray[np.float32]:  # noqa: N803
        """Return probabilities of ``classes_``: float32 [n, L].

        X: as in :meth:`fit`. Rows sum to 1 unless a text may have several labels.
        """
        check_is_fitted(self)
        checkpoint = self.result_.checkpoint
        texts = map(checkpoint.as_text, rows_of(X))
        rows = [checkpoint.tokenizer.encode_text(text).ids for text in texts]
        with quiet_thread():
            return predict_probabilities(checkpoint.network, rows)

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the label of each text, with the type that it had in :meth:`fit`.

        X: texts.

        If a text may have several labels, the result is a list of sets, or an indicator matrix,
        int64 [n, L], if :meth:`fit` got one.
        """
        answers = self.predict_proba(X)
        if not self.multi_label_:
            return self.classes_[answers.argmax(axis=1)]
        has = apply_thresholds(answers, self.result_.checkpoint.thresholds or ())
        if self.indicator_:
            return has.astype(np.int64)
        return [set(self.classes_[row].tolist()) for row in has]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:  # noqa: N803
        """Return the share of texts whose prediction is right, 0 to 1.

        If a text has several labels, all must be right.
        """
        check_is_fitted(self)
        if self.indicator_ or not self.multi_label_:
            return float(super().score(X, y, sample_weight))
        predicted = self.predict(X)
        right = [labels == set(map(str, truth)) for labels, truth in zip(predicted, y)]
        return float(np.average(right, weights=sample_weight))

    def export(
        self,
        path: str | Path,
        *,
        quantize: Literal["int8"] | None = None,
        examples: Sequence[str] = (),
    ) -> Path:
        """Write one ONNX model file, after all checks.

        quantize: None for fp32.
        examples: at most 8 texts of up to 500 characters, which anyone can read in the file.
            Without them, the file holds no text of the data.

        Raise CheckError if a check fails or the file is larger than its plan allows, DataError,
        OutputError.
        """
        from edge_lstm_export.onnx import export

        check_is_fitted(self)
        exported = export(self.result_.checkpoint, quantize=quantize, examples=examples)
        write_atomically(exported.data, Path(path), parents=True)
        return Path(path)

    def save(self, path: str | Path) -> Path:
        """Write the checkpoint, from which ``edge-lstm export`` makes a model file.

        Raise OutputError.
        """
        check_is_fitted(self)
        save_checkpoint(self.result_.checkpoint, Path(path))
        return Path(path)
