"""A classifier made small: how often does the small file answer as the transformer does?

    python -m benchmarks.any_classifier FOLDER --encoder MiniLM [--sets banking77 trec6] [--log FILE]

FOLDER holds NAME/train.csv and test.csv (columns text,label). There is no classifier of the hub in a test, so
one is made: the encoder (a folder, or a name on the hub) is fine-tuned on the first half of the training
split, drawn by a seed, and saved as transformers saves it. From there on it is a user's own classifier:
``edge-lstm train texts.txt --teacher CLASSIFIER`` reads the texts of the training split without their labels
(with --log, another file's too) and the default preset learns what the classifier says of them. Shown for the
test split: how often the int8 file answers as its teacher, and how often each is right.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edge_lstm_export.teacher.hub import load_classifier
from edge_lstm_export.teacher.transformer import TransformerOptions, logits_of
from edge_lstm_export.training import multiplies_bfloat16
from torch.nn import functional

from benchmarks.anyones_labels import Rows, read, run_command
from edge_lstm import Classifier

PASSES, BATCH, RATE, PIECES = 4, 32, 1e-4, 128


def make_classifier(encoder: str, rows: Rows, folder: Path, seed: int) -> None:
    """Fine-tunes an encoder on labelled texts with transformers' own head, and saves it."""
    import transformers

    torch.manual_seed(seed)
    texts, names = rows
    labels = sorted(set(names))
    number = {label: i for i, label in enumerate(labels)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(encoder, trust_remote_code=False)
    model: Any = transformers.AutoModelForSequenceClassification.from_pretrained(
        encoder,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id=number,
        use_safetensors=True,
        trust_remote_code=False,
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    steps = PASSES * -(-len(texts) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    for _ in range(PASSES):
        order = rng.permutation(len(texts))
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH].tolist()
            batch = tokenizer(
                [texts[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=PIECES,
                return_tensors="pt",
            )
            with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
                logits = model(**batch).logits
            target = torch.tensor([number[names[i]] for i in chosen])
            loss = functional.cross_entropy(logits.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def answers_of(classifier: Path, labels: Sequence[str], texts: Sequence[str]) -> list[str]:
    """What the transformer says."""
    found = logits_of(load_classifier(str(classifier), labels, {}), texts, TransformerOptions())
    return [labels[i] for i in found.argmax(axis=1)]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--sets", nargs="+", default=["banking77", "trec6"])
    parser.add_argument("--log", type=Path, help="a file with further texts, one a line")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--keep", type=Path, help="keeps the classifiers and files there, and takes what is there"
    )
    arguments = parser.parse_args()
    print("| set | labels | same answer | classifier right | int8 file right | kB | training |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.sets:
            folder = (arguments.keep or Path(scratch)) / name
            folder.mkdir(parents=True, exist_ok=True)
            train, test = (read(arguments.folder / name / f"{part}.csv") for part in ("train", "test"))
            half = np.random.default_rng(arguments.seed).permutation(len(train[0]))[: len(train[0]) // 2]
            classifier, small = folder / "classifier", folder / "small.safetensors"
            if not (classifier / "model.safetensors").is_file():
                labelled = [train[0][i] for i in half], [train[1][i] for i in half]
                make_classifier(arguments.encoder, labelled, classifier, arguments.seed)
            further = arguments.log.read_text(encoding="utf-8").splitlines() if arguments.log else []
            lines = [" ".join(text.split()) for text in (*train[0], *further)]
            (folder / "texts.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
            begin = time.perf_counter()
            if not small.is_file():
                seed = ("--seed", arguments.seed)
                run_command(["train", folder / "texts.txt", "--teacher", classifier, *seed, "-o", small])
            seconds = time.perf_counter() - begin
            model = folder / "small.int8.onnx"
            run_command(["export", small, "-o", model, "--quantize", "int8"])
            ours = Classifier.load(model)
            said = [ours.labels[i] for i in ours.probabilities(test[0]).argmax(axis=1)]
            teacher = answers_of(classifier, sorted(set(train[1])), test[0])
            shares = [
                np.mean([a == b for a, b in zip(*pair)])
                for pair in ((said, teacher), (teacher, test[1]), (said, test[1]))
            ]
            cells = " | ".join(f"{share:.2%}" for share in shares)
            kb = model.stat().st_size / 1000
            print(f"| {name} | {len(ours.labels)} | {cells} | {kb:.0f} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
