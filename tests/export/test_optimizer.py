"""AdamW without PyTorch's compiler: PyTorch's bits, and a start that is a second shorter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from edge_lstm_export.checkpoint import Checkpoint, save_checkpoint
from edge_lstm_export.network import Network, NetworkConfig
from edge_lstm_export.optimizer import AdamW, one_cycle, set_rate

from edge_lstm.text import Tokenizer

STEPS = 40


def parameters() -> list[torch.nn.Parameter]:
    made = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=made)) for shape in ((30, 7), (7,))]


def groups(own: list[torch.nn.Parameter]) -> list[dict[str, object]]:
    return [{"params": own[:1], "weight_decay": 0.1}, {"params": own[1:], "weight_decay": 0.0}]


def test_steps_and_rates_are_pytorchs_to_the_bit() -> None:
    ours, theirs, fused = parameters(), parameters(), parameters()
    optimizers = AdamW(groups(ours), 0.01), AdamW(groups(fused), 0.01, fused=True)
    theirs_by = torch.optim.AdamW(groups(theirs), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(theirs_by, 0.01, total_steps=STEPS + 1, pct_start=0.1)
    made = torch.Generator().manual_seed(1)
    for step in range(STEPS):
        rate, momentum = one_cycle(step, STEPS + 1, 0.01)
        now = theirs_by.param_groups[0]
        assert (rate, momentum) == (now["lr"], now["betas"][0])
        for optimizer in optimizers:
            optimizer.zero_grad()
            set_rate(optimizer, rate, momentum)
        for three in zip(ours, theirs, fused):
            gradient = torch.randn(three[0].shape, generator=made)
            for parameter in three:
                parameter.grad = gradient.clone()
        for optimizer in (*optimizers, theirs_by, schedule):
            optimizer.step()
    for own, other, fast in zip(ours, theirs, fused):
        assert torch.equal(own, other)
        assert torch.allclose(own, fast, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 6, 7, 10, 20])
def test_a_cycle_of_any_length_ends_near_no_rate(steps: int) -> None:
    rates = [one_cycle(step, steps, 0.01)[0] for step in range(steps)]
    assert (max(rates) <= 0.01 and rates[-1] < 1e-6) or steps == 1


def test_a_checkpoint_is_read_without_the_compiler(tmp_path: Path) -> None:
    network = Network(NetworkConfig(num_words=20, embedding_dim=4, hidden=4, ngrams=2, ngram_dim=2))
    assert network.ngrams is not None
    network.ngrams.choose(torch.tensor([[4, 0], [5, 0]]).numpy())
    path = tmp_path / "a.safetensors"
    save_checkpoint(Checkpoint(network, Tokenizer(("a", "b")), ("no", "yes"), {}), path)
    program = (
        "import sys, torch\n"
        "known = set(sys.modules)\n"
        "from pathlib import Path\n"
        "from edge_lstm_export.checkpoint import load_checkpoint\n"
        "network = load_checkpoint(Path(sys.argv[1])).network\n"
        "assert not any(value.is_meta for value in network.state_dict().values())\n"
        "print(sorted({'torch._dynamo', 'sklearn'} & set(sys.modules) - known))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
