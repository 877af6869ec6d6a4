"""Does what was trained with the defaults become an int8 file? 200 trainings on data that are made
here.

    python -m benchmarks.default_trainings [--only TEXT] [--first 0] [--last 200]

Each kind of data is trained with each preset. A training's number is also its seed, of the data
too: no two read the same texts. Words are made of syllables, or are everyday English, and are drawn
by Zipf's law; of each text a few are its label's own. Every training is exported to int8, through
all gates.

Each training is a line of the results, and is not made again. In the end the command prints a table
of sizes, and every training that gave no file.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from edge_lstm_export import TextClassifier
from edge_lstm_export.onnx.export import export
from edge_lstm_export.train.defaults import PRESETS
from edge_lstm_export.train.pretrained import english
from edge_lstm_export.train.train import quiet_thread

from benchmarks.sets import append, lines
from benchmarks.table import markdown_table

RESULTS = Path(__file__).parent / "results" / "default_trainings.jsonl"
OWN_WORDS = 4  # of each label
OWN_SHARE = 0.3  # of a text's words, which are of its label
EVERYDAY = 3000  # the most frequent English words, of which texts are made
VOCABULARY = 2000  # made-up words
CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"
# words of a text
SHORT = 7
MEDIUM = 40
LONG = 150

# Own words of two labels that the package's sentiment model knows, so that it teaches.
OPINIONS = (
    ["awful", "boring", "terrible", "worst", "waste"],
    ["great", "excellent", "loved", "wonderful", "superb"],
)

Random = np.random.Generator
Label = str | set[str]


@dataclass(frozen=True)
class Data:
    """What texts are made like. labels, rows: how many; words: of a text, the mean."""

    kind: str
    labels: int
    rows: int
    words: int = SHORT

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.kind}, {self.words} words"


# Rows are so few that a training takes seconds; each label has two or more.
DATA = (
    *(
        Data("syllables", labels, rows)
        for labels, rows in ((2, 60), (2, 300), (4, 200), (6, 600), (16, 300))
    ),
    *(
        Data("syllables", labels, rows)
        for labels, rows in ((30, 300), (64, 500), (64, 600), (150, 600))
    ),
    *(
        Data("syllables", labels, rows, MEDIUM)
        for labels, rows in ((2, 200), (5, 300), (20, 200), (77, 200))
    ),
    *(
        Data("syllables", labels, rows, LONG)
        for labels, rows in ((2, 100), (3, 150), (10, 120), (40, 90))
    ),
    *(Data("English", labels, rows) for labels, rows in ((6, 400), (12, 300), (64, 500))),
    Data("opinions", 2, 200),
    *(Data("English", labels, rows, MEDIUM) for labels, rows in ((2, 150), (8, 200))),
    *(Data("English", labels, rows, LONG) for labels, rows in ((2, 100), (20, 120))),
    Data("equal texts", 2, 60),  # but two, since a training refuses texts that are all the same
    Data("one word", 2, 100, 1),
    Data("one word", 30, 300, 1),
    Data("very long words", 4, 120),
    Data("unsegmented script", 2, 200, 20),
    Data("unsegmented script", 30, 300, 20),
    Data("emoji", 3, 200),
    Data("digits", 5, 200),
    Data("two rows a label", 40, 80),
    Data("two rows a label", 150, 300),
    Data("unbalanced", 4, 300),
    Data("unbalanced", 20, 400),
    Data("several labels", 4, 200),
    Data("several labels", 20, 300),
    Data("several labels", 8, 150, MEDIUM),
)


def syllables(rng: Random, count: int, syllables: tuple[int, int] = (1, 4)) -> list[str]:
    """Return so many different words; syllables: how many each has, from the first to below the
    second.
    """
    words: dict[str, None] = {}
    while len(words) < count:
        parts = rng.integers((len(CONSONANTS), len(VOWELS)), size=(rng.integers(*syllables), 2))
        words["".join(CONSONANTS[consonant] + VOWELS[vowel] for consonant, vowel in parts)] = None
    return [*words]


def everyday(rng: Random, count: int) -> list[str]:
    """Return so many of the most frequent English words, the first ones in their order."""
    frequent = [word for word in english().words[:EVERYDAY] if word.isalpha()]
    common = frequent[: count // 2]
    rare = frequent[count // 2 :]
    return [*common, *rng.choice(rare, count - len(common), replace=False).tolist()]


def characters(
    first: str, last: str, length: tuple[int, int]
) -> Callable[[Random, int], list[str]]:
    """Return what makes words of the characters from the first to the last; length: of a word,
    below the second number.
    """

    def words(rng: Random, count: int) -> list[str]:
        made: dict[str, None] = {}
        while len(made) < count:
            drawn = rng.integers(ord(first), ord(last) + 1, size=rng.integers(*length))
            made["".join(map(chr, drawn))] = None
        return [*made]

    return words


def very_long(rng: Random, count: int) -> list[str]:
    """Return words of 100 to 1,000 letters."""
    return syllables(rng, count, (50, 500))


# Kind of data → its words, where they are not made of syllables; and how many there are.
WORDS: Mapping[str, tuple[Callable[[Random, int], list[str]], int]] = {
    "English": (everyday, 1500),
    "opinions": (everyday, 1500),
    "very long words": (very_long, 200),
    "unsegmented script": (characters("一", "丿", (1, 3)), 500),
    "emoji": (characters("🌀", "🗿", (1, 3)), 500),
    "digits": (characters("0", "9", (1, 7)), 1000),
}


def make(data: Data, seed: int) -> tuple[list[str], list[Label]]:
    """Return texts and the label of each, or where it may have several the set of them."""
    rng = np.random.default_rng([0xDEFA, seed])
    kind, count = WORDS.get(data.kind, (syllables, VOCABULARY))
    own_words = min(OWN_WORDS, count // (2 * data.labels)) * data.labels
    words = kind(rng, count + max(own_words, data.labels))
    common = words[:count]
    own = np.array_split(np.array(words[count:], dtype=object), data.labels)
    if data.kind == "opinions":
        own = [np.array(of_label, dtype=object) for of_label in OPINIONS]
    zipf = 1 / np.arange(1, count + 1)
    zipf /= zipf.sum()
    texts = []
    labels = []
    for row in range(data.rows):
        first = row % data.labels
        if data.kind == "unbalanced" and row >= 2 * data.labels:  # two rows of each come first
            first = 0 if rng.random() < 0.9 else first
        has = [first]
        if data.kind == "several labels":
            drawn = rng.integers(data.labels, size=rng.integers(0, 3))
            has = sorted({first, *drawn.tolist()}) if row >= data.labels else has
        length = max(1, rng.poisson(data.words)) if data.words > 1 else 1
        text = np.array(common, dtype=object)[rng.choice(count, length, p=zipf)]
        of_label = rng.random(length) < OWN_SHARE
        of_label[rng.integers(length)] = True
        own_of_text = np.concatenate([own[label] for label in has])
        text[of_label] = rng.choice(own_of_text, int(of_label.sum()))
        texts.append(("" if data.kind == "unsegmented script" else " ").join(text))
        labels.append(
            {f"label {n}" for n in has} if data.kind == "several labels" else f"label {first}"
        )
    if data.kind == "equal texts":
        texts = [*[texts[0]] * (len(texts) - 2), *texts[-2:]]
    return texts, labels


def measure(data: Data, preset: str, seed: int) -> dict[str, Any]:
    """Train and export → what is recorded, plain values."""
    texts, labels = make(data, seed)
    begin = time.process_time()
    line: dict[str, Any] = {"training": "done", "export": None}
    stage = "training"
    try:
        model = TextClassifier(preset, random_state=seed).fit(texts, labels)
        stage = "export"
        line["preset_bytes"] = model.plan_.max_kilobytes * 1000
        line["closed_in_training"] = model.result_.closed_units
        with quiet_thread():
            exported = export(model.result_.checkpoint, quantize="int8")
        line |= {"export": "done", "int8_bytes": len(exported.data), "headroom": exported.headroom}
        line["closed_by_export"] = exported.closed.units if exported.closed else 0
    except Exception as error:  # whatever it is, it is what the run is to find
        line[stage] = f"{type(error).__name__}: {error}"
    return {**line, "seconds": round(time.process_time() - begin, 1)}


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the sizes of the files as Markdown: largest of each kind of data and preset, in 1,000
    bytes.
    """
    largest: dict[str, dict[str, int]] = defaultdict(dict)
    for run in runs:
        if size := run.get("int8_bytes"):
            of_kind = largest[f"{run['kind']}, {run['words']} words"]
            of_kind[run["preset"]] = max(size, of_kind.get(run["preset"], 0))
    heads = [f"{name} ({preset.max_kilobytes} kB)" for name, preset in PRESETS.items()]
    cells = (
        [kind, *(f"{sizes[name] / 1000:,.0f}" if name in sizes else "–" for name in PRESETS)]
        for kind, sizes in largest.items()
    )
    return markdown_table(("kB", *heads), cells)


def summary(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return how many trainings gave a file, what became of the others, and the table."""
    failed = [run for run in runs if run["export"] != "done"]
    over = [run for run in runs if run.get("int8_bytes", 0) > run.get("preset_bytes", 0)]
    rooms = [run["headroom"] for run in runs if run.get("headroom") is not None]
    said = [
        (
            f"{len(runs):,} trainings, {len(runs) - len(failed):,} files, {len(over):,} over their "
            "preset"
        )
    ]
    if rooms:
        closed = [
            sum(run.get(name, 0) > 0 for run in runs)
            for name in ("closed_in_training", "closed_by_export")
        ]
        said.append(f"least headroom {min(rooms):.1e}")
        said.append("units closed in {} trainings and by {} exports".format(*closed))
    for run in failed:
        error = run["export"] or run["training"]
        said.append(
            f"- {run['seed']}: {run['kind']}, {run['labels']} labels, {run['preset']}: {error}"
        )
    return "\n".join([*said, "", table(runs)])


def main() -> None:
    """Make the trainings that are asked for and not there, and print what came of all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add(
        "--only",
        default="",
        metavar="TEXT",
        help="of the kinds of data that have this in their names",
    )
    add("--first", type=int, default=0, help="number of the first training")
    add(
        "--last",
        type=int,
        default=len(DATA) * len(PRESETS),
        help="number of the last one, not made",
    )
    add("--results", type=Path, default=RESULTS, help="JSON lines")
    asked = parser.parse_args()
    made = {run["seed"] for run in lines(asked.results)}
    every = [(data, preset) for data in DATA for preset in PRESETS]
    for seed, (data, preset) in enumerate(every):
        if asked.first <= seed < asked.last and seed not in made and asked.only in data.name:
            line = {"seed": seed, "preset": preset, **asdict(data), **measure(data, preset, seed)}
            append(asked.results, line)
            print(line, flush=True)
    print(summary(lines(asked.results)))


if __name__ == "__main__":
    main()
