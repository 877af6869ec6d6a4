"""A transformer as teacher: as it is and fine-tuned; resumed, refused."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

from cases import rows as cases
from commands import train
from edge_lstm_export import TrainingRequest
from edge_lstm_export.options import DataOptions
from edge_lstm_export.train.job import Job
from edge_lstm_export.train.run import run_job
from edge_lstm_export.train.sources.dataset import folds_of
from edge_lstm_export.train.teachers.base import accuracy, cross_fit
from edge_lstm_export.train.teachers.encoder import EncoderReader, FineTunedEncoder, encoder_words
from edge_lstm_export.train.teachers.transformer import load_transformer
from made import WORDS, dataset, multi_label_rows, rows, stop_after_an_epoch, write_csv


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights know nothing: a few large steps teach them more than many small ones."""
    monkeypatch.setattr("edge_lstm_export.train.teachers.encoder.LEARNING_RATE", 2e-3)
    monkeypatch.setattr("edge_lstm_export.train.teachers.encoder.FEWEST_STEPS", 30)


def split_of(count: int, *, multi_label: bool = False) -> Any:
    return dataset(
        multi_label_rows(count) if multi_label else rows(count), multi_label=multi_label
    ).train


# --- What it answers ------------------------------------------------------------------------------


def test_a_probe_learns_from_the_vectors_of_texts(encoder: Path) -> None:
    split = split_of(60)
    teacher = EncoderReader(str(encoder)).probe(multi_label=False)
    teacher.read(split.texts)
    found = cross_fit(teacher, split.labels, folds_of(split, 3, 0), np.zeros((4, 0), np.bool_))
    assert accuracy(found.labelled, split.labels, False) > 0.6


@pytest.mark.parametrize("multi_label", [True, False])
def test_what_is_fine_tuned_answers_texts_that_it_did_not_see(
    encoder: Path, multi_label: bool
) -> None:
    split = split_of(120, multi_label=multi_label)
    shared = EncoderReader(str(encoder))
    before = {name: value.clone() for name, value in shared.model.state_dict().items()}
    teacher = FineTunedEncoder(shared, multi_label)
    teacher.read(split.texts)
    found, again = (
        teacher.fit(np.arange(90), split.labels[:90])(np.arange(90, 120)) for _ in range(2)
    )
    assert accuracy(found, split.labels[90:], multi_label) > (0.3 if multi_label else 0.9)
    assert np.array_equal(found, again)
    after = shared.model.state_dict()
    assert all((value == before[name]).all() for name, value in after.items()), "a copy"


def test_its_words_are_those_of_letters(encoder: Path) -> None:
    found = encoder_words(load_transformer(str(encoder)))
    assert set(found.words) == {word for own in WORDS.values() for word in own}
    assert found.share_of(["wave, tide: x 7", "till unknown 12"]) == 3 / 4


# --- At the command line --------------------------------------------------------------------------


def few(teacher: Path) -> Any:
    source = write_csv("few.csv", rows(30))
    return train(source, "-o", "m.safetensors", "--preset", "tiny", "--teacher", teacher)


def test_an_encoder_teaches_few_rows_and_a_resumed_training_gives_the_same_bytes(
    encoder: Path,
) -> None:
    source = write_csv("d.csv", rows(30))
    log = write_csv("log.csv", rows(40, seed=3), ("text",))
    request = TrainingRequest("tiny", str(encoder), epochs=2)
    reading = DataOptions(unlabelled=str(log))
    job = Job((str(source),), Path("m.safetensors"), reading, request)
    training = run_job(job).checkpoint.training
    assert training["data"]["unlabelled_texts"] > 30 and training["data"]["augmented_texts"] > 0
    names = [teacher["name"] for teacher in training["teachers"]]
    assert names[0].startswith("linear") and f"{encoder.name}, fine-tuned" in names
    broken = replace(job, output=Path("broken.safetensors"))
    stop_after_an_epoch(broken)
    run_job(replace(broken, resume=True))
    assert broken.output.read_bytes() == job.output.read_bytes()


# A file of the folder, what it holds instead, and what is said.
FOLDERS = """
model.safetensors |  | has no weights; give a folder
pytorch_model.bin | x | weights in pytorch_model.bin, which can hold code
tokenizer.json |  | has no tokenizer
model.safetensors | cut | cannot use the teacher in
config.json | {"model_type": "bert", "hidden_size": "many"} | cannot use the teacher in
"""


@pytest.mark.parametrize(("name", "content", "said"), cases(FOLDERS))
def test_a_folder_that_is_no_teacher(encoder: Path, name: str, content: str, said: str) -> None:
    broken = shutil.copytree(encoder, Path("broken"))
    if name == "pytorch_model.bin":
        (broken / "model.safetensors").unlink()
    if content:
        (broken / name).write_text(content)
    else:
        (broken / name).unlink()
    result = few(broken)
    assert result.returncode == 1 and not list(Path().glob("m.*"))
    last = result.stderr.splitlines()[-1]
    assert last.startswith("error: ") and said in last


def test_code_in_a_folder_is_never_run(encoder: Path) -> None:
    """Its configuration names a class of the folder, as models of the hub with own code do."""
    own = shutil.copytree(encoder, Path("own"))
    config = json.loads((own / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (own / "config.json").write_text(json.dumps(config))
    (own / "own.py").write_text(f"open({str(Path('ran').resolve())!r}, 'w')\n")
    assert few(own).returncode == 1
    assert not Path("ran").exists() and not list(Path().glob("m.*"))


APART = """
--teacher no:such | neither a folder nor a name on the hub
--teacher {encoder} --preset seed | leave out --teacher
"""


@pytest.mark.parametrize(("options", "said"), cases(APART))
def test_what_does_not_go_together(encoder: Path, options: str, said: str) -> None:
    data = write_csv("d.csv", rows(30))
    given = options.format(encoder=encoder).split()
    assert said in train(data, "-o", "m.safetensors", *given).error
    assert not list(Path().glob("m.*"))


def test_without_transformers_the_extra_is_named(
    encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "[transformers]'" in few(encoder).error
