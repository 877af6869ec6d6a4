"""What the engine takes on CPUs that are not at hand, counted and modelled; and the page of it.

    python tools/devices.py count     # runs the engine emulated, writes docs/devices/modelled.json
    python tools/devices.py write     # the tables of docs/devices/README.md, of that and of measured/

Counts the executions of each basic block of an emulated run (qemu's log), and takes a block's cycles
from LLVM's model of the core: a hundred in a row, divided by a hundred. A token's share is the
difference of a longer and a shorter text. The same is done for this machine and compared with its
clock.

Needs Debian's qemu-user, qemu-system-arm, llvm, and gcc for each target; see MACHINES.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_lstm.classifier import Classifier

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "engine"
BOARD = PROJECT / "tests" / "engine"
FOLDER = PROJECT / "docs" / "devices"
MODELLED = FOLDER / "modelled.json"
MEASURED = FOLDER / "measured"
PAGE = FOLDER / "README.md"
SOURCES = (str(PROJECT / "tools" / "devices.c"), str(ENGINE / "edge_lstm.c"))
# The int8 files of the repository. tiny is exported from its checkpoint.
MODELS = {
    "tiny": PROJECT / "examples" / "tiny.safetensors",
    "small": PROJECT / "export" / "edge_lstm_export" / "sentiment-small.int8.onnx",
    "base": PROJECT / "edge_lstm" / "models" / "sentiment.int8.onnx",
}
SENTENCE = (
    "I expected little, and yet the plot was clever, the actors were brilliant and the end was a "
    "great surprise; one of the best films I have seen in years, and I would watch it again tonight. "
)
REPEATS = (1, 3)  # of the sentence, in the two texts
ROUNDS = 100  # of a block, by which its cycles are counted
COVERED = 0.995  # of the instructions; of the rarer blocks, each takes a cycle per instruction
PASSES = 200
ADDITIONS = 1_000_000  # as in devices.c
# PSRAM of QEMU's boards, and the end of it: of AN386 (Cortex-M4), of AN500 (Cortex-M7).
PSRAM = {"mps2-an386": ("0x21000000", "0x22000000"), "mps2-an500": ("0x60000000", "0x61000000")}


@dataclass(frozen=True)
class Machine:
    """A CPU. compile: its compiler with options. emulator: the command before the program's, or the
    board's name. triple, cpu: LLVM's names. kernel: of the engine. mhz, board: a clock that such a
    board has; 0 for this machine, which is measured.
    """

    name: str
    compile: tuple[str, ...]
    emulator: tuple[str, ...]
    triple: str
    cpu: str
    kernel: str
    mhz: int = 0
    board: str = ""


def microcontroller(name: str, fpu: str, board: str, mhz: int, example: str) -> Machine:
    """Return a Cortex-M."""
    cpu = name.lower()
    compiler = ("arm-none-eabi-gcc", f"-mcpu={cpu}", "-mthumb", "-mfloat-abi=hard", f"-mfpu={fpu}")
    options = ("-O2", "-std=gnu99", "-ffp-contract=off", "--specs=rdimon.specs")
    emulator = (board,)
    return Machine(
        name, (*compiler, *options), emulator, "thumbv7em-none-eabihf", cpu, "plain", mhz, example
    )


LINUX = ("-O3", "-std=gnu99", "-static")
ARM = ("aarch64-linux-gnu-gcc", *LINUX)
MACHINES = (
    microcontroller("Cortex-M4", "fpv4-sp-d16", "mps2-an386", 64, "nRF52840"),
    microcontroller("Cortex-M7", "fpv5-sp-d16", "mps2-an500", 600, "i.MX RT1062"),
    Machine(
        "Cortex-A53", ARM, ("qemu-aarch64", "-cpu", "cortex-a53"), "aarch64-linux-gnu",
        "cortex-a53", "neon", 1000, "Raspberry Pi Zero 2 W",
    ),
    Machine(
        "Cortex-A72", ARM, ("qemu-aarch64", "-cpu", "cortex-a72"), "aarch64-linux-gnu",
        "cortex-a72", "neon", 1500, "Raspberry Pi 4",
    ),
    Machine(
        "RISC-V U74", ("riscv64-linux-gnu-gcc", *LINUX), ("qemu-riscv64",), "riscv64-linux-gnu",
        "sifive-u74", "plain", 1500, "VisionFive 2",
    ),
)  # fmt: skip
HERE = tuple(
    Machine(
        f"this machine, {kernel}", ("gcc", *LINUX), ("qemu-x86_64", "-cpu", "max"),
        "x86_64-linux-gnu", "skylake-avx512", kernel,
    )
    for kernel in ("plain", "sse2", "avx2")
)  # fmt: skip


def run(*command: str | Path, **options: Any) -> str:
    """Run a command, and return what it prints."""
    done = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, **options
    )
    return done.stdout


def build(machine: Machine, folder: Path, *flags: str) -> Path:
    """Compile devices.c for a machine."""
    program = folder / "program"
    # The digest of the file is not computed: it takes most of a run, and no part of an answer.
    extra: list[str | Path] = [*flags, "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"]
    if machine.emulator[0] in PSRAM:
        for name in ("cortex_m4.ld", "cortex_m4.c"):
            text = (BOARD / name).read_text(encoding="utf-8")
            for old, new in zip(PSRAM["mps2-an386"], PSRAM[machine.emulator[0]]):
                text = text.replace(old, new)
            (folder / name).write_text(text, encoding="utf-8")
        extra += ["-T", folder / "cortex_m4.ld", folder / "cortex_m4.c"]
    run(*machine.compile, *extra, f"-I{ENGINE}", *SOURCES, "-o", program)
    return program


def emulated(machine: Machine, program: Path, arguments: list[str], log: Path) -> list[str]:
    """Return the command of an emulated run that is logged."""
    logging = ["-d", "in_asm,exec,nochain", "-D", str(log)]
    board = machine.emulator[0]
    if board not in PSRAM:
        return [*machine.emulator, *logging, str(program), *arguments]
    hosting = ",arg=".join(["enable=on,target=native,chardev=out", "devices", *arguments])
    return [
        "qemu-system-arm", "-M", board, "-display", "none", "-monitor", "none", "-serial", "none",
        "-chardev", "stdio,id=out", "-kernel", str(program), "-semihosting-config", hosting,
        *logging,
    ]  # fmt: skip


INSTRUCTION = re.compile(r"0x[0-9a-f]+:  ((?:[0-9a-f]{2,8} )+)")
Blocks = dict[str, tuple[str, ...]]  # address → the bytes of each instruction, in hexadecimal


def executions(
    machine: Machine, program: Path, arguments: list[str]
) -> tuple[Counter[str], Blocks]:
    """Return how often each basic block of a run is executed, and the blocks."""
    counts: Counter[str] = Counter()
    blocks: Blocks = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        run(*emulated(machine, program, arguments, log))
        new: list[str] = []
        with log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("Trace "):
                    address = line.split("/", 2)[1]
                    if new:
                        blocks[address] = tuple(new)
                        new = []
                    counts[address] += 1
                elif line.startswith("IN:"):
                    new = []
                elif found := INSTRUCTION.match(line):
                    # Each group is a number, in the order of digits; bytes are in the order of memory.
                    groups = found[1].split()
                    new.append("".join(bytes.fromhex(group)[::-1].hex() for group in groups))
    return counts, blocks


def cycles(machine: Machine, block: tuple[str, ...]) -> float | None:
    """Return the cycles of a block by LLVM's model; None if it does not know an instruction."""
    options = (f"--mcpu={machine.cpu}",)
    numbers = [" ".join(f"0x{b:02x}" for b in bytes.fromhex(each)) for each in block]
    try:
        code = run(
            "llvm-mc",
            "--disassemble",
            f"--triple={machine.triple}",
            *options,
            input="\n".join(numbers),
        )
        told = run(
            "llvm-mca",
            f"--mtriple={machine.triple}",
            *options,
            f"--iterations={ROUNDS}",
            input=code,
        )
    except subprocess.CalledProcessError:
        return None
    found = re.search(r"Total Cycles: +(\d+)", told)
    return int(found[1]) / ROUNDS if found else None


def token(
    machine: Machine, model: Path, tokens: tuple[int, int], texts: list[Path]
) -> dict[str, Any]:
    """Return the instructions and modelled cycles of a token, and the memory."""
    with tempfile.TemporaryDirectory() as folder:
        program = build(machine, Path(folder))
        runs = [
            executions(machine, program, [str(model), str(text), machine.kernel]) for text in texts
        ]
    blocks = {**runs[0][1], **runs[1][1]}
    more = Counter(runs[1][0])
    more.subtract(runs[0][0])
    by_weight = sorted(more, key=lambda address: -more[address] * len(blocks[address]))
    instructions = sum(more[address] * len(blocks[address]) for address in more)
    total = 0.0
    seen = 0
    modelled = 0
    for address in by_weight:
        count = more[address]
        size = count * len(blocks[address])
        each = cycles(machine, blocks[address]) if seen < COVERED * instructions else None
        seen += size
        total += size if each is None else count * each
        modelled += 0 if each is None else size
    apart = tokens[1] - tokens[0]
    return {
        "instructions": round(instructions / apart),
        "cycles": round(total / apart),
        "modelled": round(modelled / instructions, 3),
    }


def measured_cycles(
    machine: Machine, model: Path, tokens: tuple[int, int], texts: list[Path]
) -> int:
    """Return the cycles of a token on this machine: its time over that of a dependent addition."""
    with tempfile.TemporaryDirectory() as folder:
        program = build(machine, Path(folder), "-DTIMED")
        told = [run(program, model, text, machine.kernel, str(PASSES)).split() for text in texts]
    nanoseconds = float(told[1][0]) - float(told[0][0])
    cycle = min(float(additions) for _, additions in told) / ADDITIONS
    return round(nanoseconds / cycle / (tokens[1] - tokens[0]))


def sizes(model: Path, text: Path) -> dict[str, int]:
    """Return the bytes of a file, and of memory on a machine of 32 bits for it and for a worker."""
    with tempfile.TemporaryDirectory() as folder:
        machine = MACHINES[0]
        program = build(machine, Path(folder))
        told = run(*emulated(machine, program, [str(model), str(text)], Path("/dev/null")))
        lines = run("arm-none-eabi-size", program).splitlines()
    needs, worker = map(int, told.split())
    del lines
    return {"file": model.stat().st_size, "opened": needs, "worker": worker}


def count() -> dict[str, Any]:
    """Count and model all machines."""
    from edge_lstm_export.onnx.export import export

    del export
    result: dict[str, Any] = {"llvm": run("llvm-mca", "--version").split()[3], "models": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [folder / f"text{times}" for times in REPEATS]
        for path, times in zip(texts, REPEATS):
            path.write_text(SENTENCE * times, encoding="utf-8")
        for preset, source in MODELS.items():
            model = source
            if source.suffix != ".onnx":
                model = folder / f"{preset}.onnx"
                run("edge-lstm", "export", source, "-o", model, "--quantize", "int8")
            tokenizer = Classifier.load(model).model.tokenizer
            tokens = tuple(len(tokenizer.encode_text(SENTENCE * times).ids) for times in REPEATS)
            told: dict[str, Any] = {"sizes": sizes(model, texts[0]), "tokens": tokens}
            for machine in (*MACHINES, *HERE):
                told[machine.name] = token(machine, model, tokens, texts)
                if not machine.mhz:
                    told[machine.name]["measured"] = measured_cycles(machine, model, tokens, texts)
                print(preset, machine.name, told[machine.name], file=sys.stderr)
            result["models"][preset] = told
    return result
