"""Rows with columns: our files beside scikit-learn's tools → results/fields.jsonl, fields.md.

    python -m benchmarks.fields [--tables FOLDER] [--orders N] [NAME …]

Sets are cross-validated, with their texts alone, their other columns alone, and both. JSON states
of orders, whose answer is a rule on their numbers, are learnt from the objects and from their text.
A run that is in results/fields.jsonl is not made again. --tables names the folder of

    movies.csv    github.com/peetck/IMDB-Top1000-Movies, IMDB-Movie-Data.csv
    listings.csv  github.com/4data-lab/datasets, listing.csv
    airlines.csv  github.com/Saumya-Bhatt/Sentiment-Analysis-Dashboard, Tweets.csv
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from benchmarks.sets import DATA, append, lines
from benchmarks.table import markdown_table
from edge_lstm import Classifier

PAGE = Path(__file__).with_name("fields.md")
RESULTS = Path(__file__).parent / "results" / "fields.jsonl"
MOST_ROWS = 1000  # of a set; a fixed draw
FOLDS = 5
TESTED = 400  # states of a task
TOPICS = 64  # of TF-IDF, for trees
OURS = "ours"
OTHERS = {"text": ["TF-IDF"], "fields": ["boosting"], "both": ["boosting", "stack"]}
STATES = "states"
FEW = (80, 300)  # states to learn from
AS_TEXT = "json.dumps"
Run = Callable[[], dict[str, Any]]
HEAD = f"""# Rows with columns

`python -m benchmarks.fields` writes this page. Ours is the int8 file of
`TextClassifier("small", teacher="none")`, and nothing is set for one set. TF-IDF is logistic
regression on words and pairs of words. Boosting is `HistGradientBoostingClassifier` on the columns,
and for both with {TOPICS} topics of TF-IDF, in a `ColumnTransformer`. The stack is logistic
regression on the out-of-fold probabilities of TF-IDF and of boosting on the columns. `json.dumps`
is ours on the text of a state.

Accuracy is in %, {FOLDS}-fold cross-validated; of a set of more rows, {MOST_ROWS:,} are drawn. A
state's task is judged on {TESTED} states. "Orders" counts the shuffles of the rows. "Other" is the
most accurate other tool on the same shuffles. The difference has its 95 % interval over the rows,
whose answers are averaged over the shuffles. Bytes are those of the
int8 file and of the pickle. µs are CPU time for a row, and s to learn, on one thread of a machine
that was busy: only their ratios say something."""
HEADS = (
    "set", "read", "orders", "other", "its %", "ours %", "difference", "kB: other", "ours",
    "µs: other", "ours", "s: other", "ours",
)  # fmt: skip


class Table(NamedTuple):
    """Rows with labels. texts: the columns that are texts."""

    rows: pd.DataFrame
    labels: Any
    texts: list[str]


def from_file(
    name: str, label: str, texts: list[str], columns: list[str]
) -> Callable[[Path], Table]:
    """Return the reader of a file. columns: that are no texts."""

    def read(folder: Path) -> Table:
        path = folder / f"{name}.csv"
        if not path.exists():
            raise SystemExit(f"error: no {path}; --tables names its folder, --help its source")
        rows = pd.read_csv(path)
        rows = rows.sample(min(MOST_ROWS, len(rows)), random_state=0).reset_index(drop=True)
        return Table(rows[texts + columns].fillna(dict.fromkeys(texts, "")), rows[label], texts)

    return read


def dramas(folder: Path) -> Table:
    """Return films; whether one is a drama."""
    texts = ["Title", "Description", "Director", "Actors"]
    numbers = ["Year", "Runtime (Minutes)", "Rating", "Votes", "Revenue (Millions)", "Metascore"]
    table = from_file("movies", "Genre", texts, numbers)(folder)
    return table._replace(labels=table.labels.str.contains("Drama").map({True: "yes", False: "no"}))


def tweets(folder: Path) -> Table:
    """Return tweets to airlines; their sentiment."""
    columns = ["airline", "retweet_count", "tweet_created"]
    table = from_file("airlines", "airline_sentiment", ["text"], columns)(folder)
    dates = table.rows["tweet_created"].str.rsplit(" ", n=1).str[0]  # without the zone
    return table._replace(rows=table.rows.assign(tweet_created=dates))


def numbers(load: Callable[..., Any]) -> Callable[[Path], Table]:
    """Return the reader of a table of scikit-learn."""

    def read(_: Path) -> Table:
        data = load(as_frame=True)
        return Table(data.data, data.target.astype(str), [])

    return read


SETS: Mapping[str, Callable[[Path], Table]] = {
    "movies": dramas,
    "listings": from_file(
        "listings",
        "room_type",
        ["name", "host_name"],
        [
            "neighbourhood_group", "neighbourhood", "latitude", "longitude", "price",
            "minimum_nights", "number_of_reviews", "last_review", "reviews_per_month",
            "calculated_host_listings_count", "availability_365",
        ],
    ),
    "airlines": tweets,
    "cancer": numbers(datasets.load_breast_cancer),
    "wine": numbers(datasets.load_wine),
    "digits": numbers(datasets.load_digits),
}  # fmt: skip


# --- The tools ------------------------------------------------------------------------------------


class Answers(NamedTuple):
    """What a tool answered, its bytes, and seconds of CPU: to answer and to learn."""

    labels: Any
    size: int
    seconds: float
    learning: float


def ours(learnt: Any, labels: Any, judged: Any) -> Answers:
    """Train on rows or texts, and answer others with the int8 file."""
    from edge_lstm_export import TextClassifier

    began = time.process_time()
    model = TextClassifier("small", teacher="none").fit(learnt, labels)
    learning = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        path = model.export(Path(folder) / "model.onnx", quantize="int8")
        classifier = Classifier.load(path)
        size = path.stat().st_size
        began = time.process_time()
        found = [each.label for each in classifier.predict(judged)]
    return Answers(np.array(found), size, time.process_time() - began, learning)


def theirs(tool: str, learnt: pd.DataFrame, labels: Any, judged: pd.DataFrame) -> Answers:
    """Do the same with scikit-learn, on rows of :func:`for_trees`."""
    began = time.process_time()
    model = rival(tool, learnt).fit(learnt, labels)
    learning = time.process_time() - began
    began = time.process_time()
    found = model.predict(judged)
    return Answers(found, len(pickle.dumps(model)), time.process_time() - began, learning)


def for_trees(rows: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    """Return rows with one column of text, and dates as numbers."""
    made = rows.drop(columns=texts)
    for name in made.select_dtypes(exclude="number"):
        dates = pd.to_datetime(made[name], errors="coerce", format="ISO8601")
        if dates.notna().any():
            made[name] = dates.astype("int64").where(dates.notna())
    return made.assign(text=rows[texts].agg(" ".join, axis=1)) if texts else made


def rival(tool: str, rows: pd.DataFrame) -> Any:
    """Return a tool of scikit-learn, not fitted."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    of_text = make_column_transformer((words, "text"))
    linear = make_pipeline(of_text, LogisticRegression(C=10, max_iter=1000))
    if tool == "TF-IDF":
        return linear
    columns = rows.drop(columns="text", errors="ignore")
    numbers = [*columns.select_dtypes("number")]
    names = [name for name in columns if name not in numbers]
    codes = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    parts: list[Any] = [(codes, names), ("passthrough", numbers)]
    trees = HistGradientBoostingClassifier(
        random_state=0, categorical_features=[*range(len(names))]
    )
    if tool == "stack":
        both = [("words", linear), ("trees", make_pipeline(make_column_transformer(*parts), trees))]
        return StackingClassifier(both, LogisticRegression())
    if "text" in rows:
        parts.append((make_pipeline(words, TruncatedSVD(TOPICS, random_state=0)), "text"))
    return make_pipeline(make_column_transformer(*parts), trees)


def run(right: Any, made: list[Answers]) -> dict[str, Any]:
    """Return which rows are answered right, as a string of 0 and 1, and what that costs."""
    return {
        "right": "".join(str(int(each)) for each in right),
        "bytes": round(statistics.mean(each.size for each in made)),
        "microseconds": 1e6 * sum(each.seconds for each in made) / len(right),
        "learning": statistics.mean(each.learning for each in made),
    }


def cross_validated(table: Table, reading: str, tool: str, order: int) -> dict[str, Any]:
    """Return the run of a tool. reading: text, fields or both."""
    texts = [] if reading == "fields" else table.texts
    left_out = [name for name in table.rows if (name in table.texts) != (reading == "text")]
    rows = table.rows if reading == "both" else table.rows.drop(columns=left_out)
    plain = rows.astype(object).where(rows.notna(), None).to_dict("records")
    labels = table.labels.to_numpy()
    right = np.zeros(len(rows), int)
    made = []
    for a, b in StratifiedKFold(FOLDS, shuffle=True, random_state=order).split(rows, labels):
        if tool == OURS:
            made.append(ours([plain[i] for i in a], labels[a], [plain[i] for i in b]))
        else:
            every = for_trees(rows, texts)
            made.append(theirs(tool, every.iloc[a], labels[a], every.iloc[b]))
        right[b] = made[-1].labels == labels[b]
    return run(right, made)


# --- JSON states ----------------------------------------------------------------------------------


WORDS = ["box", "late", "please", "thanks", "colour", "wrong", "size", "call"]
# A task → its labels, and the place of a state's label among them.
TASKS: Mapping[str, tuple[list[str], Callable[[Any], int]]] = {
    "received less than ordered": (
        ["missing", "complete"],
        lambda row: row["received"] >= row["order"]["items"],
    ),
    "paid less, as much or more": (
        ["remind", "ok", "refund"],
        lambda row: 1 + np.sign(row["paid"] - row["order"]["price"]),
    ),
    "a number and a category": (
        ["wait", "escalate"],
        lambda row: row["days"] > 30 and row["customer"] == "key",
    ),
    "a number or a word": (
        ["automatic", "manual"],
        lambda row: row["order"]["price"] > 25 or "wrong" in row["note"],
    ),
}


def state(draw: random.Random) -> dict[str, Any]:
    """Return the state of an order."""
    ordered = draw.randint(1, 40)
    price = round(draw.lognormvariate(3, 1), 2)
    return {
        "order": {"items": ordered, "price": price},
        "received": max(0, ordered + draw.choice([-3, -1, 0, 0, 0, 2])),
        "paid": round(price * draw.choice([0.5, 1, 1, 1.1]), 2),
        "days": draw.randint(0, 60),
        "customer": draw.choice(["new", "known", "key"]),
        "note": " ".join(draw.choices(WORDS, k=5)),
    }


def of_states(task: str, few: int, tool: str, order: int) -> dict[str, Any]:
    """Return the run of a task. One label in twenty is any. few: states to learn from."""
    names, right = TASKS[task]
    draw = random.Random(f"{task} {order}")
    states = [state(draw) for _ in range(few + TESTED)]
    labels = np.array(
        [draw.choice(names) if draw.random() < 0.05 else names[int(right(row))] for row in states]
    )
    rows: list[Any] = states if tool == OURS else [*map(json.dumps, states)]
    answers = ours(rows[:few], labels[:few], rows[few:])
    return run(answers.labels == labels[few:], [answers])


# --- The page -------------------------------------------------------------------------------------


def page(results: list[dict[str, Any]]) -> str:
    """Return the table in Markdown."""
    found: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    for each in results:
        found[each["set"], each["reading"]].setdefault(each["tool"], []).append(each)
    table = [
        [name, reading, *_compared(tools)]
        for (name, reading), tools in found.items()
        if OURS in tools and len(tools) > 1
    ]
    means = [
        f"{statistics.mean(float(row[6].split()[0]) for row in table if row[1] == reading):+.1f} "
        f"({reading})"
        for reading in dict.fromkeys(row[1] for row in table)
    ]
    end = f"The means of the differences: {', '.join(means)}."
    return f"{HEAD}\n\n{markdown_table(HEADS, table, (0, 1, 3))}\n\n{end}\n"


def _compared(tools: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    orders = {each["order"] for each in tools[OURS]}
    shares = {
        tool: np.mean([[*map(int, each["right"])] for each in runs if each["order"] in orders], 0)
        for tool, runs in tools.items()
    }
    own = shares.pop(OURS)
    best = max(shares, key=lambda tool: float(shares[tool].mean()))
    difference = 100 * (own - shares[best])
    interval = 1.96 * difference.std() / np.sqrt(len(own))
    costs = [
        f"{statistics.mean(each[key] for each in tools[tool]) / unit:,.{digits}f}"
        for key, unit, digits in (("bytes", 1000, 0), ("microseconds", 1, 0), ("learning", 1, 1))
        for tool in (best, OURS)
    ]
    accuracies = [f"{100 * shares[best].mean():.1f}", f"{100 * own.mean():.1f}"]
    said = f"{difference.mean():+.1f} ± {interval:.1f}"
    return [str(len(tools[OURS])), best, *accuracies, said, *costs]


def runs_of(name: str, folder: Path, order: int) -> Iterator[tuple[dict[str, Any], Run]]:
    """Yield what describes each run of a set, or of the states, and what makes it."""
    if name == STATES:
        for task, few, tool in product(TASKS, FEW, (AS_TEXT, OURS)):
            cell = {"set": f"{task}, {few} rows", "reading": STATES, "tool": tool, "order": order}
            yield cell, partial(of_states, task, few, tool, order)
        return
    table = SETS[name](folder)
    for reading in OTHERS if table.texts else ("fields",):
        for tool in (*OTHERS[reading], OURS):
            cell = {"set": name, "reading": reading, "tool": tool, "order": order}
            yield cell, partial(cross_validated, table, reading, tool, order)


def main() -> None:
    """Make the runs that are not there, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("names", nargs="*", default=[*SETS, STATES], help=f"of {', '.join(SETS)}, {STATES}")
    add("--tables", type=Path, default=DATA.parent / "tables", help="the folder of the files")
    add("--orders", type=int, default=5, help="shuffles of the rows")
    asked = parser.parse_args()
    results = lines(RESULTS)
    for order, name in product(range(asked.orders), asked.names):
        for cell, make in runs_of(name, asked.tables, order):
            if not any(cell.items() <= each.items() for each in results):
                results.append({**cell, **make()})
                append(RESULTS, results[-1])
                print(*cell.values(), flush=True)
    PAGE.write_text(page(results), encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
