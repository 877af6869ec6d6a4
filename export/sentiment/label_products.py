"""Label the sentences of products with a fine-tuned encoder and the stars of their reviews, once.

    python export/sentiment/label_products.py ENCODER OTHERS.csv... -o export/sentiment/products.safetensors

ENCODER: a folder of all-MiniLM-L6-v2. It is fine-tuned for two passes on comments with emotions, on spans of
reviews and on turned clauses, whose labels are kept: no sentence of the treebank, none of a product. OTHERS:
sets that are to judge the model (columns text, label), whose texts are left out. Half an hour on two cores.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from labels import KEPT, KEY, load_labels, read_imdb
from negation import negated_clauses
from safetensors.numpy import save_file
from sentences import DATA_VARIABLE, LEFT_OUT, MOST, PRODUCTS, labelled_sentences, product_texts, sentences
from torch import nn
from torch.nn import functional
from transformers import AutoModel, AutoTokenizer

SPANS, NEGATED, MOST_WORDS = 80_000, 15_000, 24  # texts, and words of a span
PASSES, RATE, HEAD_RATE, WARMUP, TOKENS = 2, 6e-5, 1e-3, 0.06, 1536  # tokens of a step
OF_TITLE, OF_SENTENCE = 1.5, 0.7  # log-odds that the stars of a review add
LEAST = 0.02  # of a probability
say = partial(print, file=sys.stderr, flush=True)


class Encoder(nn.Module):
    """The mean of the last layer, and one logit."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.tokenizer, self.enc = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
        self.head = nn.Linear(self.enc.config.hidden_size, 1)

    def forward(self, rows: list[list[int]]) -> torch.Tensor:
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        hidden = self.enc(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(hidden.dtype)
        return self.head((hidden * weight).sum(1).float() / weight.sum(1).float())[:, 0]

    def pieces(self, texts: list[str], most: int) -> list[list[int]]:
        return self.tokenizer(texts, truncation=True, max_length=most)["input_ids"]

    def logits(self, texts: list[str]) -> np.ndarray:
        """float32 [n]."""
        rows, out = self.pieces(texts, 128), np.zeros(len(texts), np.float32)
        lengths = np.array(list(map(len, rows)))
        self.eval()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for batch in batches(lengths, lengths, 4096):
                out[batch] = self([rows[i] for i in batch]).float().numpy()
        return out


def batches(lengths: np.ndarray, order: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Texts of about one length, so many tokens with their padding."""
    rows, made, start = np.argsort(order, kind="stable"), [], 0
    while start < len(rows):
        end = start + 1
        while end < len(rows) and (end - start + 1) * lengths[rows[end]] <= tokens:
            end += 1
        made.append(rows[start:end])
        start = end
    return made


def fine_tune(encoder: Encoder, texts: list[str], targets: np.ndarray, rng: np.random.Generator) -> None:
    rows = encoder.pieces(texts, 64)
    lengths, steps = np.array(list(map(len, rows))), []
    for _ in range(PASSES):
        made = batches(lengths, lengths + rng.random(len(rows)) * 4, TOKENS)
        steps += [made[i] for i in rng.permutation(len(made))]
    groups = [
        {"params": encoder.enc.parameters(), "lr": RATE},
        {"params": encoder.head.parameters(), "lr": HEAD_RATE},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    rates = [group["lr"] for group in optimizer.param_groups]
    encoder.train()
    for step, batch in enumerate(steps):
        share = min(1, (step + 1) / (WARMUP * len(steps))) * (1 - step / len(steps))
        for group, rate in zip(optimizer.param_groups, rates):
            group["lr"] = rate * share
        with torch.autocast("cpu", torch.bfloat16):
            logits = encoder([rows[i] for i in batch])
        loss = functional.binary_cross_entropy_with_logits(logits.float(), torch.from_numpy(targets[batch]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 199:
            say(f"step {step + 1} of {len(steps)}, loss {loss.item():.4f}")


def learnt(rng: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """Texts and their probabilities of "pos"."""
    imdb = read_imdb()
    spans = load_labels(KEPT, imdb)[1]
    negated, turned = negated_clauses(imdb.spans, spans)
    (emotions,) = labelled_sentences(trees=False, products=False)
    short = np.array([len(span.split()) <= MOST_WORDS for span in imdb.spans])
    chosen = rng.permutation(np.flatnonzero(short))[:SPANS]
    drawn = rng.permutation(len(negated))[:NEGATED]
    texts = [*emotions, *(imdb.spans[i] for i in chosen), *(negated[i] for i in drawn)]
    parts = [[*emotions.values()], spans[chosen, 1], turned[drawn, 1]]
    return texts, np.concatenate(parts).astype(np.float32)


def star_odds(folder: Path) -> dict[str, float]:
    """Text → log-odds of its reviews' stars, their mean where several have it."""
    review = re.compile(r"<title>(.*?)</title>.*?<review_text>(.*?)</review_text>", re.DOTALL)
    found: dict[str, list[float]] = {}
    for name in PRODUCTS:
        for stars, sign in (("negative", -1), ("positive", 1)):
            for title, text in review.findall(
                (folder / name / f"{stars}.review").read_text("utf-8", "replace")
            ):
                found.setdefault(" ".join(title.split()), []).append(sign * OF_TITLE)
                for sentence in sentences(text):
                    found.setdefault(" ".join(sentence.split()), []).append(sign * OF_SENTENCE)
    return {text: math.fsum(odds) / len(odds) for text, odds in found.items()}


def write_labels(encoder: Encoder, others: list[Path], output: Path) -> None:
    folder = Path(os.environ[DATA_VARIABLE]) / "sorted_data_acl"
    texts, stars = product_texts(folder), star_odds(folder)

    def key(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    left_out = set()
    for path in others:
        with path.open(newline="", encoding="utf-8") as file:
            left_out |= {key(row["text"]) for row in csv.DictReader(file)}
    odds = encoder.logits(texts) + np.array([stars[text] for text in texts])
    kept = np.rint((1 / (1 + np.exp(-odds))).clip(LEAST, 1 - LEAST) * MOST).astype(np.uint8)
    out = np.array([key(text) in left_out for text in texts])
    kept[out] = LEFT_OUT
    say(f"{len(texts):,} texts, {out.sum()} left out, {(kept[~out] > MOST / 2).mean():.1%} pos")
    digest = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    save_file({"labels": kept}, output, {KEY: digest})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder")
    parser.add_argument("others", nargs="*", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    encoder = Encoder(arguments.encoder)
    texts, targets = learnt(rng)
    fine_tune(encoder, texts, targets, rng)
    write_labels(encoder, arguments.others, arguments.output)


if __name__ == "__main__":
    main()
