"""Everything once, on texts that are installed: which commands, in which order, and what each has shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_lstm.atomic import write_atomically
from edge_lstm.classifier import Classifier
from edge_lstm.errors import DataError

# Support tickets, written for this project: tickets.csv (120, labelled), few.csv (60 of them), log.txt (600
# without a label), labelled.csv (some of the log, with their labels) and test.csv (60 others, labelled).
TICKETS = Path(__file__).parent / "tickets"

# With what a person says of each. Of every label the first one that the new model gets right is shown.
NEW_TICKETS = (
    ("Why was I charged twice this month?", "billing"),
    ("The screen stays black after I log in.", "bug"),
    ("Can I export my notes as PDF?", "question"),
    ("The invoice shows the wrong amount.", "billing"),
    ("The app crashes whenever I save.", "bug"),
    ("How do I invite a colleague?", "question"),
    ("Is there a free plan for schools?", "question"),
)
# For the embedded model: the first ones that it gets right are shown, and the first that it does not.
SENTENCES = (
    ("A wonderful film, beautifully played from the first scene to the last.", "pos"),
    ("Dull, far too long, and the ending makes no sense.", "neg"),
    ("I laughed, I cried, and I would see it again tomorrow.", "pos"),
    ("What a waste of a great cast.", "neg"),
    ("The acting is good, but the story is a mess and I was bored.", "neg"),
    ("Slow at first, and then one of the best hours of cinema that I know.", "pos"),
    ("Two hours I will never get back.", "neg"),
    ("A slow start, but what an ending!", "pos"),
    ("Not bad at all.", "pos"),
    ("I have seen worse, though not this year.", "neg"),
    ("Nobody who loves the book will forgive this film.", "neg"),
    ("I expected nothing and could not have been more wrong.", "pos"),
    ("It never once put a foot wrong.", "pos"),
    ("If you need a good sleep, buy a ticket.", "neg"),
    ("You will look at your watch, and only to wish that it had stopped.", "pos"),
    ("The trailer has everything that is worth seeing.", "neg"),
)
RIGHT_SHOWN = 3
Judged = list[tuple[str, str]]


@dataclass(frozen=True)
class Step:
    """One stage: its title, the arguments of ``edge-lstm`` that do it alone, and what it has shown."""

    title: str
    arguments: tuple[str, ...]
    shown: str


def write_texts(folder: Path) -> list[Path]:
    """Write the example tickets into a folder → the files. Raises OutputError; DataError, before anything is
    written, where a file of such a name holds something else."""
    texts = {folder / path.name: path.read_bytes() for path in sorted(TICKETS.iterdir())}
    for path, data in texts.items():
        if path.exists() and not (path.is_file() and path.read_bytes() == data):
            raise DataError(f"{path} is not the example file; give another --folder, or delete it")
    for path, data in texts.items():
        write_atomically(data, path, parents=True)
    return list(texts)


def steps(folder: Path) -> Iterator[Step]:
    """From labelled tickets to a measured model in ``folder``, then the embedded model. Each step is to be
    run before the next one is asked for."""
    write_texts(folder)
    names = ("tickets.csv", "test.csv", "log.txt", "scored.csv", "tickets.safetensors", "tickets.onnx")
    tickets, test, log, scored, checkpoint, model = (str(folder / name) for name in names)
    resume = ["--resume"] if Path(f"{checkpoint}.partial").exists() else []
    yield Step(
        "Train on 120 support tickets",
        ("train", tickets, "-o", checkpoint, *resume),
        "A network of your own. Its accuracy is cross-validated: each ticket was judged by a network that "
        "had not seen it.",
    )
    # Of sixty tickets one is 1.7 points, and one near the border may change its label.
    yield Step(
        "Export: PyTorch → ONNX → int8, through the gates",
        ("export", checkpoint, "-o", model, "--quantize", "auto", "--data", test, "--max-drop", "2"),
        "The file answers as PyTorch does; int8 was compared on 60 tickets that nothing has learnt from. "
        "'chosen' says which of the two was written. A device may have another CPU: measure there.",
    )
    right, _ = judged(Classifier.load(model), NEW_TICKETS)
    of_each_label = list({label: text for text, label in reversed(right)}.values())[::-1]
    predict = ("predict", "-m", model, *(of_each_label or [NEW_TICKETS[0][0]]))
    yield Step("Classify", predict, "Label, probability and status of each text.")
    shown = "A row out for each row in, on all cores; after a kill, --resume goes on to the same bytes."
    yield Step("Score a file", ("score", log, "-o", scored, "-m", model), shown)
    yield Step(
        "Is it right on tickets that it has not seen?",
        ("evaluate", model, test),
        "Accuracy with its interval, and which labels are mistaken for which. It is above the "
        "cross-validated one: these tickets are shorter, and the network has learnt from all 120, not from "
        "two thirds of them.",
    )
    yield Step(
        "How fast is it here?",
        ("latency", model, "--texts", tickets, "--runs", "1200"),
        "A cold start, a text and a token, each measured by itself. A line 'distrust' says what else the "
        "machine was doing: measure again when it is idle.",
    )
    yield _sentiment(Classifier.load())


def _sentiment(classifier: Classifier) -> Step:
    """The embedded model on sentences that it gets right and one that it does not."""
    right, wrong = judged(classifier, SENTENCES)
    texts = [text for text, _ in (*right[:RIGHT_SHOWN], *wrong[:1])]
    said = f"Of {len(SENTENCES)} sentences, most of them hard on purpose, it gets {len(right)} right"
    if wrong:
        said += f". It gets the last one here wrong: a person would say {wrong[0][1]}"
    return Step(
        "The model in the package: is a film review positive?",
        ("predict", *texts),
        f"It learnt from film reviews and their sentences. {said}. Before you use it, measure it on "
        "your own texts: edge-lstm evaluate FILE.",
    )


def judged(classifier: Classifier, texts: Sequence[tuple[str, str]]) -> tuple[Judged, Judged]:
    """Texts with their true labels → those that the model gets right, and those that it does not."""
    answers = classifier.predict([text for text, _ in texts])
    right = [pair for pair, answer in zip(texts, answers) if answer.label == pair[1]]
    return right, [pair for pair in texts if pair not in right]
