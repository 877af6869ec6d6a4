"""What it costs to read a text that grows, as a chat or a model's answer, again after each token.

    python -m benchmarks.streams

A text of the package's reviews grows by a word; the whole of it is asked each time, of which a file
reads the last 600 tokens. tiny and small are random networks of their shape, which changes no time;
base is the embedded model. Needs edge-lstm-native. Models and engines take turns; a time is the
mean over ten words of the fastest of the rounds. Writes the table of streams.md.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.clock import fastest
from benchmarks.engine import model_files
from benchmarks.table import markdown_table, write_table
from edge_lstm import Classifier
from edge_lstm.models import example_texts

PAGE = Path(__file__).with_suffix(".md")
TOKENS = (20, 100, 600)
WORDS = 10  # by which the text grows from there
ROUNDS = 20
ENGINES = {"native engine": "native", "ONNX Runtime": "onnxruntime"}


def growing(classifier: Classifier, words: list[str], tokens: int) -> list[list[str]]:
    """Return the text with so many tokens, and with each of the words that follow."""
    encode = classifier.model.tokenizer.encode_text
    count = tokens // 2
    while len(encode(" ".join(words[:count])).ids) < tokens:
        count += 1
    return [[" ".join(words[: count + more])] for more in range(WORDS)]


def main() -> None:
    """Measure, and write the table."""
    words = " ".join(example_texts()).split()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path in model_files(Path(folder)).items():
            files = {shown: Classifier.load(path, engine=e) for shown, e in ENGINES.items()}
            tools = {shown: file.predict for shown, file in files.items()}
            found = [
                fastest(tools, growing(files["native engine"], words, tokens), ROUNDS)
                for tokens in TOKENS
            ]
            for shown in ENGINES:
                means = [f"{each[shown].mean():,.0f}" for each in found]
                rows.append([f"`{name}`, {shown}", *means])
    heads = ("µs after a token", *(f"{tokens} tokens" for tokens in TOKENS))
    table = markdown_table(heads, rows)
    write_table(PAGE, "benchmarks.streams", table)
    print(table)


if __name__ == "__main__":
    main()
