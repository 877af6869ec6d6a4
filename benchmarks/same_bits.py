"""Whether the engine gives the same bits on every machine, and ONNX Runtime's labels.

    EDGE_LSTM_DATA=FOLDER python -m benchmarks.same_bits [--model FILE] [--texts 25000] [--only
    aarch64]

The texts are IMDB's test reviews, 2,000 of letters from many scripts, and six of odd lengths; the
model is the embedded one. The machines are each kernel of this one (gcc), and, where qemu, node,
ziglang and gcc-arm-none-eabi are installed, aarch64, 32-bit ARM, RISC-V, WebAssembly, and a
Cortex-M4, which answers 500 of the texts. Ends with exit code 1 where a bit differs from the plain
kernel's, a label from ONNX Runtime's, or a probability from its by more than 1e-6.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.sets import imdb
from edge_lstm import Classifier
from edge_lstm.core.modelfile import embedded_model

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "engine"
TESTS = PROJECT / "tests" / "engine"
TOLERANCE = 1e-6  # of a probability, from ONNX Runtime's on AVX2
ON_CORTEX = 500  # texts
AT_A_TIME = 5_000  # by a process: in longer ones of WASI, Node 20's garbage collector crashes
# First and last letters of scripts, and what is odd about letters and the space between them.
SCRIPTS = (
    "Ͱ-Ͽ Ѐ-ӿ Ա-ֆ א-ת ؠ-ي ऄ-ह ก-ฮ Ⴀ-ჿ Ꭰ-Ᏽ Ḁ-῿ Ⰰ-ⴭ ぁ-ヿ 一-龥 Ꙁ-Ɪ 가-힣 𐐀-𐑏 𑢠-𑣟 𞤀-𞥃 🌀-🙏 ‐-⁀ \x80-ɏ"
)
ODD = ("İ", "ı", "ẞ", "Σ", "ΟΔΟΣ", "ΣΑΣ", "K", "Å", "Ǆ", *"\r\t'.:\xad\x00\ufeff\u0300\u036f")
# Name → zig's target and options, and the command that runs its programs.
EMULATED = {
    "aarch64": (("aarch64-linux-musl", "-static"), ("qemu-aarch64",)),
    "aarch64, no dot product": (
        ("aarch64-linux-musl", "-static"),
        ("qemu-aarch64", "-cpu", "cortex-a53"),
    ),
    "32-bit ARM": (("arm-linux-musleabihf", "-static"), ("qemu-arm",)),
    "RISC-V": (("riscv64-linux-musl", "-static"), ("qemu-riscv64",)),
    "WebAssembly": (
        ("wasm32-wasi", "-msimd128"),
        ("node", "--no-warnings", str(TESTS / "wasi.mjs")),
    ),
    "WebAssembly without SIMD": (
        ("wasm32-wasi",),
        ("node", "--no-warnings", str(TESTS / "wasi.mjs")),
    ),
}
CORTEX = (
    *("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
    *("-std=gnu99", "-ffp-contract=off", "--specs=rdimon.specs", "-T", str(TESTS / "cortex_m4.ld")),
    str(TESTS / "cortex_m4.c"),
)
BOARD = (
    "qemu-system-arm -M mps2-an386 -display none -monitor none -serial none "
    "-chardev stdio,id=out -kernel"
)
SEMIHOSTING = "enable=on,target=native,chardev=out,arg=answers"


@dataclass(frozen=True)
class Machine:
    """command: its program (tests/engine/answers.c), to which the arguments are added. kernel: -
    for the
    best. texts: how many it answers; None for all.
    """

    name: str
    command: tuple[str, ...]
    kernel: str = "-"
    texts: int | None = None

    def bits(self, model: Path, texts: Sequence[str], records: Path) -> np.ndarray:
        """Return the bits of the texts' probabilities: uint32 [texts, labels]. records: a file for
        them.
        """
        rows: list[list[int]] = []
        arguments = [str(model), self.kernel, "many", str(records)]
        if "-kernel" in self.command:  # a board
            arguments = ["-semihosting-config", ",arg=".join([SEMIHOSTING, *arguments])]
        command = [*self.command, *arguments]
        for start in range(0, len(texts), AT_A_TIME):
            write_records(records, texts[start : start + AT_A_TIME])
            run = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
            )
            lines = run.stdout.decode().splitlines()
            rows += [[int(word, 16) for word in line.split("\t")[2:]] for line in lines]
        return np.array(rows, np.uint32)


def machines(folder: Path) -> Iterator[Machine]:
    """Yield those that can be compiled for and run here; the plain kernel first."""
    common = ["-O2", f"-I{ENGINE}", str(TESTS / "answers.c"), str(ENGINE / "edge_lstm.c"), "-o"]
    program = str(folder / "answers")
    subprocess.run(["gcc", "-std=c99", *common, program], check=True)
    listed = subprocess.run(
        [program, "--kernels"], capture_output=True, text=True, check=True
    ).stdout
    for kernel in reversed(listed.split()):
        yield Machine(kernel, (program,), kernel)
    for name, (target, emulator) in EMULATED.items():
        if shutil.which(emulator[0]) and importlib.util.find_spec("ziglang"):
            program = str(folder / name)
            # WASI warns of the clock, which is not asked here.
            zig = [
                sys.executable,
                "-m",
                "ziglang",
                "cc",
                "-std=c99",
                "-Wno-deprecated-declarations",
            ]
            subprocess.run([*zig, "-target", *target, *common, program], check=True)
            yield Machine(name, (*emulator, program))
    if shutil.which(CORTEX[0]) and shutil.which("qemu-system-arm"):
        program = str(folder / "cortex-m4")
        subprocess.run([*CORTEX, *common, program], check=True)
        yield Machine("Cortex-M4", (*BOARD.split(), program), texts=ON_CORTEX)


def other_scripts(count: int, words: Sequence[str]) -> list[str]:
    """Return texts of letters from many scripts, with sigmas, dotted I, emoji and known words."""
    rng = random.Random(17)
    texts = []
    for _ in range(count):
        low, high = map(ord, rng.choice(SCRIPTS.split()).split("-"))
        parts = []
        for _ in range(rng.randrange(1, 40)):
            kind = rng.random()
            if kind < 0.4:
                parts.append(rng.choice([str, str.upper, str.title])(rng.choice(words)))
            elif kind < 0.5:
                parts.append(rng.choice(ODD))
            else:
                parts.append(
                    "".join(chr(rng.randint(low, high)) for _ in range(rng.randrange(1, 8)))
                )
        texts.append(rng.choice(["", " ", "\u00a0"]).join(parts).replace("\n", " "))
    return texts


def texts_of(classifier: Classifier, reviews: int) -> list[str]:
    """Return the texts in random order, as a reader of UTF-8 gets them."""
    test = imdb().test
    words = classifier.model.tokenizer.words
    rng = random.Random(0)
    assert test is not None
    texts = [
        *rng.sample(list(test.texts), min(reviews, len(test.texts))),
        *other_scripts(2000, words),
    ]
    # Ids with the start: just not, just, and more than what is read.
    texts += [" ".join(rng.choices(words[:500], k=length - 1)) for length in (599, 600, 601)]
    texts += ["", " ", "Qwxyzzy!"]
    rng.shuffle(texts)
    return [text.encode("utf-8", "replace").decode() for text in texts]


def write_records(path: Path, texts: Sequence[str]) -> None:
    """Write texts as tests/engine/answers.c reads them."""
    encoded = [text.encode() for text in texts]
    path.write_bytes(b"".join(b"%d\n" % len(text) + text for text in encoded))


def main() -> None:
    """Print a row for each machine, and end with what it found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    # WASI knows no working directory.
    parser.add_argument("--model", type=lambda name: Path(name).resolve(), default=embedded_model())
    parser.add_argument("--texts", type=int, default=25_000, help="reviews, at random")
    parser.add_argument(
        "--only", action="append", help="machines of this name, beside the plain kernel"
    )
    asked = parser.parse_args()
    classifier = Classifier.load(asked.model)
    texts = texts_of(classifier, asked.texts)
    expected = classifier.probabilities(texts)
    plain = None
    right = True
    print(
        "| | texts | largest difference | other label | other bits |\n|---|---:|---:|---:|---:|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as made:
        for machine in machines(Path(made)):
            if plain is not None and asked.only and machine.name not in asked.only:
                continue
            bits = machine.bits(asked.model, texts[: machine.texts], Path(made) / "records")
            plain = bits if plain is None else plain
            answers = bits.view(np.float32)
            truth = expected[: machine.texts]
            apart = float(np.abs(answers - truth).max())
            flipped = int((answers.argmax(axis=1) != truth.argmax(axis=1)).sum())
            different = int((bits != plain[: machine.texts]).any(axis=1).sum())
            print(
                f"| {machine.name} | {len(bits):,} | {apart:.1e} | {flipped} | {different} |",
                flush=True,
            )
            right &= apart <= TOLERANCE and not flipped and not different
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
