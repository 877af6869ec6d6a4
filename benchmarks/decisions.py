"""What a teacher answers, compiled into a file: which share of the questions still reaches it.

    python -m benchmarks.decisions [SET/TEACHER …] [--data FOLDER]

The training questions of a set come one after the other. A teacher of another kind answers: an SVM
on words and characters, fitted on the other nine tenths of the questions (``strong``), or a linear
model on words, fitted on few rows that do not come (``weak``). At some moments ``train`` and
``export`` make a file of the answers so far. From then on the file answers with its own threshold
for ``--abstain 0.05``, and hands the other questions back to the teacher.

The teacher's answer to every question is known, as in the log of a gateway.

Each training is a line of the results and is not made again. Without a name, every stream is run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from benchmarks.linear_svm import linear_svm
from benchmarks.sets import DATA, append, lines, read
from benchmarks.table import markdown_table
from edge_lstm import Classifier
from edge_lstm.core.decide import Policy
from edge_lstm.errors import DataError

RESULTS = Path(__file__).parent / "results" / "decisions.jsonl"
RISK = 0.05  # share of the answers that may differ from the teacher's
QUESTION = "answer"

Labels = npt.NDArray[np.str_]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Stream:
    """Questions in the order in which they come, and a teacher.

    rows: of a weak teacher's training; None for a strong one.
    moments: numbers of questions after which a file is trained.
    """

    name: str
    rows: int | None
    moments: tuple[int, ...]

    @property
    def teacher(self) -> str:
        """For people."""
        return "strong" if self.rows is None else "weak"


STREAMS = (
    Stream("banking77", None, (1000, 2000, 4000, 7000, 10003)),
    Stream("banking77", 1500, (1000, 2000, 4000, 7000, 8503)),
    Stream("trec6", None, (1000, 2000, 4000, 5452)),
    Stream("trec6", 600, (1000, 2000, 4000, 4852)),
    Stream("sms_spam", None, (1000, 2000, 4000, 4459)),
    Stream("sms_spam", 150, (1000, 2000, 4000, 4309)),
)


@dataclass(frozen=True)
class Taught:
    """Questions, the teacher's answers to them, and the right ones."""

    texts: list[str]
    answers: Labels
    right: Labels

    def part(self, begin: int, end: int) -> Taught:
        """Return the questions from one place on, up to another."""
        chosen = slice(begin, end)
        return Taught(self.texts[chosen], self.answers[chosen], self.right[chosen])


@dataclass(frozen=True)
class Run:
    """A file, and what it did.

    questions: that it was trained on.
    threshold: its own for RISK; None if it has none, and answers nothing.
    answered, wrong: of the questions until the next file; wrong: with another label than the
        teacher's.
    test_answered, test_wrong: of the test questions.
    oracle: test questions that are answered at RISK wrong if the threshold is chosen by them.
    right, teacher_right: share of the test questions that the file, answering all, and its teacher
        answer as people do.
    """

    set: str
    teacher: str
    questions: int
    threshold: float | None
    came: int
    answered: int
    wrong: int
    test: int
    test_answered: int
    test_wrong: int
    oracle: int
    right: float
    teacher_right: float
    kilobytes: float


def taught(stream: Stream, data: Path) -> tuple[Taught, Taught]:
    """Return the questions that come, and the test questions, with the teacher's answers."""
    train = read(data / stream.name / "train.csv")
    test = read(data / stream.name / "test.csv")
    order = np.random.default_rng(0).permutation(len(train[0]))
    texts = [train[0][i] for i in order]
    right = np.array(train[1])[order]
    if stream.rows is None:
        teacher = linear_svm()
        answers = cross_val_predict(teacher, texts, right, cv=10)
        teacher.fit(texts, right)
    else:
        words = TfidfVectorizer(sublinear_tf=True)
        teacher = make_pipeline(words, LogisticRegression(C=10, max_iter=300))
        teacher.fit(texts[: stream.rows], right[: stream.rows])
        texts = texts[stream.rows :]
        right = right[stream.rows :]
        answers = teacher.predict(texts)
    tested = Taught(test[0], teacher.predict(test[0]), np.array(test[1]))
    return Taught(texts, answers, right), tested


def train(rows: Sequence[tuple[str, str]], folder: Path) -> Path:
    """Return the int8 file that the commands make of a log."""
    log = folder / "log.jsonl"
    made = [json.dumps({"text": text, QUESTION: label}) + "\n" for text, label in rows]
    log.write_text("".join(made), encoding="utf-8")
    checkpoint = folder / "answer.safetensors"
    file = folder / "answer.onnx"
    for command in (
        ["train", log, "--label-column", QUESTION, "-o", checkpoint],
        ["export", checkpoint, "-o", file, "--quantize", "int8"],
    ):
        subprocess.run(
            [sys.executable, "-m", "edge_lstm", *map(str, command)], check=True, capture_output=True
        )
    return file


def oracle(probabilities: npt.NDArray[np.float32], wrong: Bools) -> int:
    """Return the most texts that a threshold answers with RISK of them wrong."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    counts = np.arange(1, len(order) + 1)
    is_low = np.cumsum(wrong[order]) <= RISK * counts
    return int(counts[is_low].max(initial=0))


def answer(
    classifier: Classifier, threshold: float | None, questions: Taught
) -> tuple[Bools, Bools, npt.NDArray[np.float32]]:
    """Return which questions are answered, which would be answered wrongly, and probabilities."""
    probabilities = classifier.probabilities(questions.texts)
    if threshold is None:
        is_answered = np.zeros(len(questions.texts), np.bool_)
    else:
        is_answered = probabilities.max(axis=1, initial=0) >= np.float32(threshold)
    labels = np.array(classifier.labels)[probabilities.argmax(axis=1)]
    return is_answered, labels != questions.answers, probabilities


def follow(stream: Stream, data: Path) -> Iterator[Run]:
    """Yield a run for each file of a stream."""
    questions, test = taught(stream, data)
    ends = [*stream.moments[1:], len(questions.texts)]
    for begin, end in zip(stream.moments, ends):
        with tempfile.TemporaryDirectory() as folder:
            log = questions.part(0, begin)
            file = train([*zip(log.texts, map(str, log.answers))], Path(folder))
            kilobytes = file.stat().st_size / 1000
            classifier = Classifier.load(file)
        try:
            threshold = Policy.of(classifier.model, abstain=RISK).threshold
        except DataError:
            # The curve has too few texts: the file answers nothing.
            threshold = None
        coming = questions.part(begin, end)
        is_answered, is_wrong, _ = answer(classifier, threshold, coming)
        is_tested, is_test_wrong, probabilities = answer(classifier, threshold, test)
        labels = np.array(classifier.labels)[probabilities.argmax(axis=1)]
        yield Run(
            set=stream.name,
            teacher=stream.teacher,
            questions=begin,
            threshold=threshold,
            came=end - begin,
            answered=int(is_answered.sum()),
            wrong=int((is_wrong & is_answered).sum()),
            test=len(test.texts),
            test_answered=int(is_tested.sum()),
            test_wrong=int((is_test_wrong & is_tested).sum()),
            oracle=oracle(probabilities, is_test_wrong),
            right=float((labels == test.right).mean()),
            teacher_right=float((test.answers == test.right).mean()),
            kilobytes=kilobytes,
        )


def table(runs: Iterable[Run]) -> str:
    """Return a row for each file."""
    heads = (
        "stream", "questions", "threshold", "then answered", "differ",
        "to the teacher", "test answered", "differ", "oracle", "right", "teacher", "kB",
    )  # fmt: skip
    rows = []
    sent: dict[tuple[str, str], int] = {}
    for run in runs:
        stream = (run.set, run.teacher)
        asked = sent.setdefault(stream, run.questions) + run.came - run.answered
        sent[stream] = asked
        rows.append(
            (
                f"{run.set}, {run.teacher}",
                f"{run.questions:,}",
                "none" if run.threshold is None else f"{run.threshold:.3f}",
                share(run.answered, run.came),
                share(run.wrong, run.answered),
                f"{asked:,}",
                share(run.test_answered, run.test),
                share(run.test_wrong, run.test_answered),
                share(run.oracle, run.test),
                f"{run.right:.1%}",
                f"{run.teacher_right:.1%}",
                f"{run.kilobytes:.0f}",
            )
        )
    return markdown_table(heads, rows)


def share(part: int, whole: int) -> str:
    """Return a percentage; nothing of nothing."""
    return f"{part / whole:.1%}" if whole else ""


def main() -> None:
    """Make the runs that are missing, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = {f"{stream.name}/{stream.teacher}": stream for stream in STREAMS}
    parser.add_argument("streams", nargs="*", metavar="SET/TEACHER", help=", ".join(names))
    parser.add_argument("--data", type=Path, default=DATA)
    asked = parser.parse_args()
    runs = [Run(**line) for line in lines(RESULTS)]
    for name in asked.streams or names:
        stream = names[name]
        made = [run for run in runs if [run.set, run.teacher] == name.split("/")]
        if len(made) == len(stream.moments):
            continue
        for run in follow(stream, asked.data):
            if run.questions not in [each.questions for each in made]:
                append(RESULTS, asdict(run))
                runs.append(run)
    print(table(sorted(runs, key=lambda run: (run.set, run.teacher, run.questions))))


if __name__ == "__main__":
    main()
