"""The text classifiers that ``benchmarks.comparison`` compares: how each is trained, and how it
answers.

    python comparison_tools.py train TOOL TRAIN_CSV FOLDER ENCODER
    python -I comparison_tools.py serve TOOL SET=FOLDER …

``train`` writes the files that a device needs into FOLDER. ``serve`` runs in the tool's own
environment and
answers one JSON object per line: {"set", "texts", "size"} → {"labels", "ns"}, the texts in batches
of `size` and the nanoseconds of each batch, from text to label. Each tool imports its packages
where it uses them, so that a cold start is its own.
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import sys
import time
from pathlib import Path

if TYPE_CHECKING := False:
    from collections.abc import Callable

    Answer = Callable[[list[str]], list[str]]

WARM_UP = 3  # batches that are answered before the time counts


def words(text: str) -> str:
    """Return a text's words and punctuation, as fastText's tutorial makes them."""
    return " ".join(re.sub(r"([^\w\s])", r" \1 ", text.lower()).split())


class FastText:
    """Words and word pairs; learning rate and passes as in fastText's tutorial. loss: ova if a text
    may have several labels.
    """

    environment = "fastText"

    def __init__(self, suffix: str, loss: str = "softmax") -> None:
        self.suffix = suffix
        self.loss = loss

    def train(self, texts: list[str], labels: list[str], folder: Path, encoder: str) -> None:
        """Write model.bin, or with product quantization model.ftz."""
        import fasttext

        lines = [f"__label__{label} {words(text)}\n" for text, label in zip(texts, labels)]
        # it learns in their order, and banking77 is sorted by label
        random.Random(1).shuffle(lines)
        (data := folder / "train.txt").write_text("".join(lines), encoding="utf-8")
        model = fasttext.train_supervised(
            str(data), lr=1.0, epoch=25, wordNgrams=2, dim=50, bucket=200_000, thread=1, seed=1,
            loss=self.loss,
        )  # fmt: skip
        if self.suffix == "ftz":
            model.quantize(input=str(data), qnorm=True)
        model.save_model(str(folder / f"model.{self.suffix}"))
        data.unlink()

    def opened(self, folder: Path) -> Answer:
        import fasttext

        model = fasttext.load_model(str(folder / f"model.{self.suffix}"))
        start = len("__label__")
        # The list form, since the other one calls np.array(copy=False), which numpy 2 refuses.
        return lambda texts: [
            found[0][start:] for found in model.predict(list(map(words, texts)))[0]
        ]


class LinearSvm:
    """TF-IDF of words, word pairs and characters, and a linear SVM: that of
    benchmarks.linear_svm.
    """

    environment = "scikit-learn"

    def train(self, texts: list[str], labels: list[str], folder: Path, encoder: str) -> None:
        import joblib

        from benchmarks.linear_svm import linear_svm

        joblib.dump(linear_svm().fit(texts, labels), folder / "model.joblib", compress=3)

    def opened(self, folder: Path) -> Answer:
        import joblib

        model = joblib.load(folder / "model.joblib")
        return lambda texts: list(map(str, model.predict(texts)))


class Model2vec:
    """Static embeddings distilled from the encoder by model2vec, fine-tuned with its own
    trainer.
    """

    environment = "model2vec"

    def train(self, texts: list[str], labels: list[str], folder: Path, encoder: str) -> None:
        from model2vec import StaticModel
        from model2vec.distill import distill
        from model2vec.train import StaticModelForClassification

        if not (distilled := folder.parent / "distilled").exists():
            distill(encoder).save_pretrained(distilled)
        static = StaticModel.from_pretrained(distilled)
        model = StaticModelForClassification.from_static_model(model=static)
        model.fit(texts, labels, device="cpu").to_pipeline().save_pretrained(str(folder))

    def opened(self, folder: Path) -> Answer:
        from model2vec.inference import StaticModelPipeline

        model = StaticModelPipeline.from_pretrained(str(folder))
        return lambda texts: list(map(str, model.predict(texts)))


class LinearProbe:
    """A logistic regression on the mean vectors of the encoder, which ONNX Runtime has
    quantized.
    """

    environment = "encoder"

    def train(self, texts: list[str], labels: list[str], folder: Path, encoder: str) -> None:
        import numpy as np
        from sklearn.linear_model import LogisticRegression

        if not (exported := folder.parent / "encoder.onnx").exists():
            self._export(encoder, exported)
        (folder / "encoder.onnx").write_bytes(exported.read_bytes())
        (folder / "tokenizer.json").write_bytes(Path(encoder, "tokenizer.json").read_bytes())
        # Texts of similar length share a batch; the order does not matter to the regression.
        texts, labels = map(list, zip(*sorted(zip(texts, labels), key=lambda row: len(row[0]))))
        vectors = self._vectors(folder)
        rows = np.concatenate(
            [vectors(texts[start : start + 32]) for start in range(0, len(texts), 32)]
        )
        model = LogisticRegression(C=10, max_iter=300).fit(rows, labels)
        weights = model.coef_
        bias = model.intercept_
        if len(weights) == 1:
            weights = np.concatenate([-weights, weights])
            bias = np.concatenate([-bias, bias])
        np.savez(folder / "head.npz", weights=weights, bias=bias, labels=model.classes_.astype(str))

    def opened(self, folder: Path) -> Answer:
        import numpy as np

        vectors = self._vectors(folder)
        head = np.load(folder / "head.npz")
        weights = head["weights"].T
        bias = head["bias"]
        names = head["labels"].tolist()
        return lambda texts: [names[i] for i in (vectors(texts) @ weights + bias).argmax(axis=1)]

    def _vectors(self, folder: Path):
        """Return texts → their vectors, float32 [n, 384], of length 1."""
        import numpy as np
        from tokenizers import Tokenizer

        session = _session(folder / "encoder.onnx")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.enable_padding()
        tokenizer.enable_truncation(256)

        def vectors(texts: list[str]):
            rows = tokenizer.encode_batch(texts)
            ids, mask = (
                np.array([getattr(r, k) for r in rows], np.int64) for k in ("ids", "attention_mask")
            )
            hidden = session.run(None, {"ids": ids, "mask": mask})[0]
            means = (hidden * mask[:, :, None]).sum(axis=1)
            return means / np.linalg.norm(means, axis=1, keepdims=True)

        return vectors

    def _export(self, encoder: str, path: Path) -> None:
        import torch
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from transformers import AutoModel

        body = AutoModel.from_pretrained(encoder, attn_implementation="eager").eval()
        example = {
            name: torch.ones((2, 9), dtype=torch.int64) for name in ("input_ids", "attention_mask")
        }
        axes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
        fp32 = path.with_suffix(".fp32")
        torch.onnx.export(
            body, (), str(fp32), kwargs=example, dynamic_shapes=dict.fromkeys(example, axes),
            input_names=["ids", "mask"], external_data=False,
        )  # fmt: skip
        quantize_dynamic(fp32, path, weight_type=QuantType.QInt8)
        fp32.unlink()


class EdgeLstm:
    """A preset of edge-lstm, int8, in ONNX Runtime."""

    environment = "edge-lstm"

    def __init__(self, preset: str) -> None:
        self.preset = preset

    def train(self, texts: list[str], labels: list[str], folder: Path, encoder: str) -> None:
        from edge_lstm_export import TextClassifier

        model = TextClassifier(self.preset, random_state=0).fit(texts, labels)
        model.export(folder / "model.onnx", quantize="int8")

    def opened(self, folder: Path) -> Answer:
        from edge_lstm import Classifier

        classifier = Classifier.load(folder / "model.onnx")
        return lambda texts: [prediction.label for prediction in classifier.predict(texts)]


class EdgeLstmNative(EdgeLstm):
    """The same file in the native engine alone, without edge-lstm, ONNX Runtime and NumPy."""

    environment = "edge-lstm-native"

    def opened(self, folder: Path) -> Answer:
        from edge_lstm_native import Model

        model = Model(str(folder / "model.onnx"))
        return lambda texts: [label for label, _, _ in model.predict(texts)]


TOOLS = {
    "fastText": FastText("bin"),
    "fastText, quantized": FastText("ftz"),
    "linear SVM": LinearSvm(),
    "model2vec": Model2vec(),
    "MiniLM, linear probe": LinearProbe(),
    "edge-lstm tiny": EdgeLstm("tiny"),
    "edge-lstm small": EdgeLstm("small"),
    "edge-lstm tiny, native engine": EdgeLstmNative("tiny"),
    "edge-lstm small, native engine": EdgeLstmNative("small"),
}


def _session(path: Path):
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def train(name: str, data: str, folder: str, encoder: str) -> None:
    """Train a tool on a CSV with the columns text and label."""
    with Path(data).open(encoding="utf-8", newline="") as file:
        texts, labels = zip(*((row["text"], row["label"]) for row in csv.DictReader(file)))
    Path(folder).mkdir(parents=True, exist_ok=True)
    TOOLS[name].train(list(texts), list(labels), Path(folder), encoder)


def serve(name: str, *models: str) -> None:
    """Answer requests until standard input closes."""
    # A tool that prints must not break the protocol: its standard output becomes standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    opened = {
        model.partition("=")[0]: TOOLS[name].opened(Path(model.partition("=")[2]))
        for model in models
    }
    for line in sys.stdin:
        request = json.loads(line)
        answer = opened[request["set"]]
        texts = request["texts"]
        size = request["size"]
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        labels: list[str] = []
        nanoseconds = []
        for batch in batches[:WARM_UP] if len(texts) > 1 else ():
            answer(batch)
        for batch in batches:
            started = time.perf_counter_ns()
            answered = answer(batch)
            nanoseconds.append(time.perf_counter_ns() - started)
            labels += answered
        answers.write(json.dumps({"labels": labels, "ns": nanoseconds}) + "\n")
        answers.flush()


if __name__ == "__main__":
    {"train": train, "serve": serve}[sys.argv[1]](*sys.argv[2:])
