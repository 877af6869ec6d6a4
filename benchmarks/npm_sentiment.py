"""The package's model beside npm's ``sentiment``, on the sentences that package is validated on.

    python -m benchmarks.npm_sentiment CLONE

CLONE is a clone of github.com/thisandagain/sentiment, whose test/benchmark/validate.js says the
rule: a sentence is positive if its score is at least 0. Needs node and edge-lstm-native. A time is
the mean over the sentences of the fastest of the rounds, each tool in its own process. Prints the
table.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.clock import fastest
from benchmarks.table import markdown_table
from edge_lstm import Classifier

SETS = ("amazon", "imdb", "yelp")
ROUNDS = 5
SCRIPT = f"""
const Sentiment = require(process.argv[1] + "/lib/index");
const sentiment = new Sentiment();
const texts = require(process.argv[2]).map((row) => row.text).filter(Boolean);
const fastest = texts.map(() => Infinity);
const scores = [];
for (let round = 0; round < {ROUNDS}; round++)
  texts.forEach((text, i) => {{
    const start = process.hrtime.bigint();
    scores[i] = sentiment.analyze(text).comparative;
    fastest[i] = Math.min(fastest[i], Number(process.hrtime.bigint() - start) / 1000);
  }});
console.log(JSON.stringify([scores, fastest]));
"""


def main() -> None:
    """Measure and print the table."""
    clone = Path(sys.argv[1]).absolute()
    classifier = Classifier.load(engine="native")
    rows = []
    for name in SETS:
        path = clone / "test" / "fixtures" / f"{name}.json"
        sentences = [row for row in json.loads(path.read_text("utf-8")) if row["text"]]
        truth = np.array([row["class"] == 1 for row in sentences])
        command = ["node", "-e", SCRIPT, clone, path]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        scores, theirs = map(np.array, json.loads(run.stdout))
        texts = [row["text"] for row in sentences]
        positive = classifier.probabilities(texts)[:, 1]
        ours = fastest({"": classifier.predict}, [[text] for text in texts], ROUNDS)[""]
        shares = (((scores >= 0) == truth).mean(), ((positive > 0.5) == truth).mean())
        cells = [f"{100 * share:.1f}" for share in shares]
        rows.append([name, f"{len(texts):,}", *cells, f"{theirs.mean():.1f}", f"{ours.mean():.1f}"])
    heads = ("", "sentences", "`sentiment`, %", "ours, %", "`sentiment`, µs", "ours, µs")
    print(markdown_table(heads, rows))


if __name__ == "__main__":
    main()
