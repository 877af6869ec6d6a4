"""Anyone's labels: edge-lstm's presets, fastText and linear models on a folder of labelled texts.

    python -m benchmarks.anyones_labels FOLDER [--sets NAME ...] [--presets small] [--seeds 3]
        [--only COLUMN ...] [--note TEXT] [--out benchmarks/results/anyones_labels]

FOLDER holds a folder for each set with train.csv and test.csv (columns text,label). Every column learns from
the whole of train.csv as a user would have it, and answers test.csv once:

- edge-lstm: ``edge-lstm train train.csv --test test.csv --preset P --teacher none``, then the int8 file that
  ``export --quantize int8`` writes through its gates; with ``--as-typed`` also without ``--teacher none``:
  another file where the embedded model knows the labels (of the sets in benchmarks/README.md SST-2 alone);
- fastText with word pairs, with subwords of 2 to 5 characters (lr 1, 50 epochs, 100 wide), and its own
  search (``autotune``) for a file no larger than edge-lstm's ``small``, each given words and marks split by
  spaces;
- TF-IDF of words and pairs with logistic regression, and of words, pairs and characters with a linear SVM.

Training times are CPU seconds, which other work on the machine hardly changes. Writes OUT.json, OUT.md and
OUT.svg; --note adds a sentence to the page. Intervals are Wilson's (95 %) of one seed's test texts; with
several seeds the figure is their mean, ± half of what lies between the best and the worst. fastText runs in
an environment of its own (benchmarks/environments.py); where it cannot be made, its columns are left out and
the page says so.
"""

from __future__ import annotations

import argparse
import csv
import json
import pickle  # to weigh scikit-learn's models; nothing is read back
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import EnvironmentUnavailableError, ensure
from edge_lstm.metrics import wilson_interval

FASTTEXT = {
    "fastText, word pairs": {"wordNgrams": 2, "lr": 1.0, "epoch": 50, "dim": 100},
    "fastText, subwords": {"wordNgrams": 2, "minn": 2, "maxn": 5, "lr": 1.0, "epoch": 50, "dim": 100},
    "fastText, autotune": {"autotune": True},
}
AS_TYPED = ", as typed"
LINEAR = ("TF-IDF words + LR", "TF-IDF words, characters + SVM")

Rows = tuple[list[str], list[str]]


@dataclass(frozen=True)
class Run:
    """One column on one set with one seed. accuracy, macro_f1: 0 to 1; seconds: CPU time of training; micros:
    mean time of a text, one after another, from text to label; kb: 1,000 bytes of the file."""

    set: str
    column: str
    seed: int
    texts: int
    accuracy: float
    macro_f1: float
    kb: float
    seconds: float
    micros: float


def read(path: Path) -> Rows:
    """The texts and labels of a CSV."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def scores(truth: Sequence[str], answers: Sequence[str]) -> tuple[float, float]:
    """(accuracy, macro F1 over the labels of the truth)."""
    f1 = []
    for label in sorted(set(truth)):
        both = sum(t == a == label for t, a in zip(truth, answers))
        either = truth.count(label) + list(answers).count(label)
        f1.append(2 * both / either if either else 0.0)
    return sum(t == a for t, a in zip(truth, answers)) / len(truth), statistics.mean(f1)


def timed(texts: Sequence[str], answer: Callable[[str], str]) -> tuple[list[str], float]:
    """(the answers, mean µs of a text, the texts one after another)."""
    answer(texts[0])
    start = time.perf_counter()
    answers = [answer(text) for text in texts]
    return answers, (time.perf_counter() - start) / len(texts) * 1e6


def edge_lstm(
    folder: Path, preset: str, seed: int, scratch: Path, teacher: Sequence[str]
) -> tuple[list[str], float, float, float]:
    """(answers, kB, CPU seconds, µs) of the int8 file of ``edge-lstm train``."""
    from edge_lstm import Classifier

    checkpoint, model = scratch / "m.safetensors", scratch / "m.onnx"
    start = _cpu_of_children()
    train = ["train", folder / "train.csv", "--test", folder / "test.csv", "--no-test", "-o", checkpoint]
    run_command([*train, "--preset", preset, "--seed", seed, *teacher])
    seconds = _cpu_of_children() - start
    run_command(["export", checkpoint, "-o", model, "--quantize", "int8"])
    classifier = Classifier.load(model)
    answers, micros = timed(read(folder / "test.csv")[0], lambda text: classifier.predict([text])[0].label)
    return answers, model.stat().st_size / 1000, seconds, micros


def _cpu_of_children() -> float:
    """CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_command(arguments: Iterable[Any]) -> None:
    """``edge-lstm`` with these arguments, in a process of its own; ends the benchmark where it fails."""
    _run([sys.executable, "-m", "edge_lstm", *arguments])


def _run(command: Iterable[Any]) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr.strip()}")


def linear_model(name: str) -> Any:
    """One of LINEAR, not fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    if name == LINEAR[0]:
        return make_pipeline(words, LogisticRegression(C=10, max_iter=300))
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LinearSVC(C=0.5))


def linear(name: str, train: Rows, test: list[str]) -> tuple[list[str], float, float, float]:
    """(answers, kB of the pickled model, CPU seconds, µs) of scikit-learn's."""
    model = linear_model(name)
    start = time.process_time()
    model.fit(*train)
    seconds = time.process_time() - start
    answers, micros = timed(test, lambda text: str(model.predict([text])[0]))
    return answers, len(pickle.dumps(model)) / 1000, seconds, micros


_FASTTEXT_CODE = """
import json, sys, time, os
import fasttext
train, valid, test, options, out, kb = sys.argv[1:7]
options = json.loads(options)
start = time.process_time()
if options.pop("autotune", False):
    model = fasttext.train_supervised(train, autotuneValidationFile=valid, autotuneDuration=300,
                                      autotuneModelSize=f"{int(float(kb))}K", thread=1, verbose=0)
    out += ".ftz"
else:
    model = fasttext.train_supervised(train, thread=1, verbose=0, seed=int(sys.argv[7]), **options)
    out += ".bin"
seconds = time.process_time() - start
model.save_model(out)
lines = open(test, encoding="utf-8").read().split("\\n")
answer = model.f.predict
answer(lines[0] + "\\n", 1, 0.0, "strict")
start = time.perf_counter()
found = [(answer(line + "\\n", 1, 0.0, "strict") or [(0, "")])[0][1] for line in lines]
micros = (time.perf_counter() - start) / len(lines) * 1e6
print(json.dumps([found, os.path.getsize(out) / 1000, seconds, micros]))
"""


class FastTextFailedError(Exception):
    """fastText ended without a model: its search meets a NaN at times, and a second one does not."""


def fasttext(
    python: Path, options: dict[str, Any], train: Rows, test: list[str], kb: float, seed: int, scratch: Path
) -> tuple[list[str], float, float, float]:
    """(answers, kB, CPU seconds, µs) of fastText. The search keeps a tenth of the texts to choose by."""
    from edge_lstm.text import split_marks

    names = sorted(set(train[1]))

    def lines(rows: Rows) -> str:
        return "".join(f"__label__{names.index(y)} {' '.join(split_marks(x))}\n" for x, y in zip(*rows))

    kept = {
        True: ([x for i, x in enumerate(train[0]) if i % 10], [y for i, y in enumerate(train[1]) if i % 10])
    }
    search = "autotune" in options
    parts = {
        "train.txt": lines(kept[True] if search else train),
        "valid.txt": lines((train[0][::10], train[1][::10])),
        "test.txt": "\n".join(" ".join(split_marks(text)) for text in test),
    }
    for name, content in parts.items():
        (scratch / name).write_text(content, encoding="utf-8")
    files = [scratch / name for name in parts]
    command = [python, "-c", _FASTTEXT_CODE, *files, json.dumps(options), scratch / "model", kb, seed]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise FastTextFailedError(said[-1])
    found, size, seconds, micros = json.loads(done.stdout.splitlines()[-1])
    return [names[int(a.removeprefix("__label__"))] if a else "" for a in found], size, seconds, micros


def main() -> None:
    """Runs what is asked for; every finished run is kept in OUT.json, and is not made again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+")
    parser.add_argument("--presets", nargs="+", default=["small"])
    parser.add_argument("--as-typed", action="store_true", help="also without --teacher none")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", help="columns that begin so")
    parser.add_argument("--note", default="", help="a sentence for the page")
    parser.add_argument("--fasttext-python", type=Path, help="an environment that has fastText")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "anyones_labels")
    arguments = parser.parse_args()
    names = arguments.sets or sorted(
        path.parent.name for path in arguments.folder.glob("*/train.csv") if single_label(path)
    )
    if not names:
        parser.error(f"no NAME/train.csv with the columns text,label in {arguments.folder}")
    kept = arguments.out.with_suffix(".json")
    runs = [Run(**run) for run in json.loads(kept.read_text())] if kept.exists() else []
    python, missing = arguments.fasttext_python, ""
    if python is None:
        try:
            python = ensure("fasttext", Path.home() / ".cache" / "edge-lstm" / "benchmarks").python
        except EnvironmentUnavailableError as error:
            missing = str(error)
    ways = ("", AS_TYPED) if arguments.as_typed else ("",)
    mine = [f"edge-lstm {name}{way}" for name in arguments.presets for way in ways]
    columns = [*mine, *(FASTTEXT if python else ()), *LINEAR]
    if arguments.only:
        columns = [column for column in columns if column.startswith(tuple(arguments.only))]
    for name in names:
        folder = arguments.folder / name
        train, (texts, truth) = read(folder / "train.csv"), read(folder / "test.csv")
        for column in columns:
            seeds = 1 if column in LINEAR or "autotune" in column else arguments.seeds
            for seed in range(seeds):
                if any((run.set, run.column, run.seed) == (name, column, seed) for run in runs):
                    continue
                with tempfile.TemporaryDirectory() as scratch:
                    if column.startswith("edge-lstm"):
                        preset = column.removesuffix(AS_TYPED).split()[1]
                        teacher = () if column.endswith(AS_TYPED) else ("--teacher", "none")
                        made = edge_lstm(folder, preset, seed, Path(scratch), teacher)
                    elif column in LINEAR:
                        made = linear(column, train, texts)
                    else:
                        sizes = [
                            run.kb for run in runs if run.set == name and run.column == "edge-lstm small"
                        ]
                        kb = min(sizes, default=300.0)
                        try:
                            made = fasttext(
                                python, dict(FASTTEXT[column]), train, texts, kb, seed, Path(scratch)
                            )
                        except FastTextFailedError as error:
                            print(f"{name:20} {column:30} {seed}  not made: {error}")
                            continue
                answers, *rest = made
                run = Run(name, column, seed, len(texts), *scores(truth, answers), *rest)
                print(
                    f"{name:20} {column:30} {seed}  {run.accuracy:.2%}  {run.kb:,.0f} kB  {run.seconds:.0f} s"
                )
                runs.append(run)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps([asdict(run) for run in runs], indent=1) + "\n", encoding="utf-8")
    arguments.out.with_suffix(".md").write_text(page(runs, missing, arguments.note), encoding="utf-8")
    arguments.out.with_suffix(".svg").write_text(picture(runs), encoding="utf-8")


def single_label(train: Path) -> bool:
    with train.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), None) == ["text", "label"] and (train.parent / "test.csv").exists()


def grouped(runs: Sequence[Run]) -> dict[str, dict[str, list[Run]]]:
    """Set → column → its seeds' runs."""
    found: dict[str, dict[str, list[Run]]] = {}
    for run in runs:
        found.setdefault(run.set, {}).setdefault(run.column, []).append(run)
    return found


def _mean(runs: Sequence[Run], what: str) -> float:
    return statistics.mean(getattr(run, what) for run in runs)


def page(runs: Sequence[Run], missing: str = "", note: str = "") -> str:
    """The table as Markdown."""
    lines = [
        "# Anyone's labels",
        "",
        "`python -m benchmarks.anyones_labels FOLDER`; what is run is said there.",
        "",
    ]
    if missing:
        lines += [f"Without fastText: {missing}.", ""]
    if note:
        lines += [note, ""]
    lines += [
        "| set | column | seeds | accuracy | 95 % interval | macro F1 | kB | training CPU s | µs a text |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, columns in grouped(runs).items():
        for column, those in columns.items():
            accuracy = _mean(those, "accuracy")
            spread = (max(run.accuracy for run in those) - min(run.accuracy for run in those)) / 2
            interval = wilson_interval(round(accuracy * those[0].texts), those[0].texts)
            cells = [
                name,
                column,
                str(len(those)),
                f"{accuracy * 100:.2f}" + (f" ± {spread * 100:.2f}" if len(those) > 1 else ""),
                f"{interval.low * 100:.1f} to {interval.high * 100:.1f}",
                f"{_mean(those, 'macro_f1') * 100:.2f}",
                f"{_mean(those, 'kb'):,.0f}",
                f"{_mean(those, 'seconds'):,.0f}",
                f"{_mean(those, 'micros'):,.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def picture(runs: Sequence[Run]) -> str:
    """Accuracy of each column, a row of dots a set."""
    import matplotlib as mpl

    mpl.use("svg")
    from io import StringIO

    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "edge-lstm"
    sets = grouped(runs)
    columns = list(dict.fromkeys(run.column for run in runs))
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.6 * len(sets)), layout="constrained")
    for column in columns:
        places = [(i, name) for i, name in enumerate(sets) if column in sets[name]]
        values = [100 * _mean(sets[name][column], "accuracy") for _, name in places]
        ours = column.startswith("edge-lstm")
        axes.plot(
            values, [i for i, _ in places], "D" if ours else "o", label=column, alpha=0.9 if ours else 0.6
        )
    axes.set_yticks(range(len(sets)), list(sets))
    axes.invert_yaxis()
    axes.set_xlabel("accuracy on the test texts, %")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, frameon=False, fontsize=8)
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return text.getvalue()


if __name__ == "__main__":
    main()
