"""What the engine takes on CPUs that are not at hand, counted and modelled; and the page of it.

    python -m benchmarks.devices count    # run the engine emulated, write the counts
    python -m benchmarks.devices write    # the tables of the page

Counts the executions of each basic block of an emulated run (qemu's log). A block's cycles are
those of LLVM's model of the core: a hundred in a row, divided by a hundred. A token's share is the
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
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.table import markdown_table, write_table
from edge_lstm.core.classifier import Classifier

Json = dict[str, Any]

PROJECT = Path(__file__).resolve().parents[1]
ENGINE = PROJECT / "engine"
BOARD = PROJECT / "tests" / "engine"
MODELLED = PROJECT / "benchmarks" / "results" / "devices.json"
PAGE = PROJECT / "benchmarks" / "devices.md"
SOURCES = (str(PROJECT / "benchmarks" / "devices.c"), str(ENGINE / "edge_lstm.c"))
# The int8 files of the repository. tiny is exported from its checkpoint.
MODELS = {
    "tiny": PROJECT / "examples" / "tiny.safetensors",
    "small": PROJECT / "export" / "edge_lstm_export" / "sentiment-small.int8.onnx",
    "base": PROJECT / "edge_lstm" / "models" / "sentiment.int8.onnx",
}
SENTENCE = "The plot was clever, the actors were brilliant and the end was a great surprise. "
REPEATS = (1, 2)  # of the sentence, in the two texts
ROUNDS = 100  # of a block, by which its cycles are counted
COVERED = 0.98  # of the instructions; of the rarer blocks, each takes a cycle per instruction
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
    for kernel in ("plain", "avx2")
)  # fmt: skip


def run(*command: str | Path, **options: Any) -> str:
    """Run a command, and return what it prints."""
    done = subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, **options
    )
    return done.stdout


def build(machine: Machine, folder: Path, *flags: str, name: str = "program") -> Path:
    """Compile devices.c for a machine."""
    program = folder / name
    # The digest of the file is not computed: it takes most of a run, and no part of an answer.
    extra: list[str | Path] = [*flags, "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION"]
    if machine.emulator[0] in PSRAM:
        for part in ("cortex_m4.ld", "cortex_m4.c"):
            text = (BOARD / part).read_text(encoding="utf-8")
            for old, new in zip(PSRAM["mps2-an386"], PSRAM[machine.emulator[0]]):
                text = text.replace(old, new)
            (folder / part).write_text(text, encoding="utf-8")
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


@dataclass
class Run:
    """An emulated run. counts: how often each basic block was executed. blocks: the bytes of its
    instructions, in hexadecimal. said: what the program printed.
    """

    counts: Counter[str]
    blocks: dict[str, tuple[str, ...]]
    said: str


def executions(machine: Machine, program: Path, arguments: list[str]) -> Run:
    """Count the basic blocks of a run."""
    counts: Counter[str] = Counter()
    blocks: dict[str, tuple[str, ...]] = {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        said = run(*emulated(machine, program, arguments, log))
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
                    # Each group is a number; the bytes of memory begin with its last.
                    groups = found[1].split()
                    new.append("".join(bytes.fromhex(group)[::-1].hex() for group in groups))
    return Run(counts, blocks, said)


@cache
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
    machine: Machine, program: Path, model: Path, texts: list[Path], tokens: tuple[int, int]
) -> Json:
    """Return the instructions and modelled cycles of a token, and the bytes of memory that it takes
    for the opened file and for a worker.
    """
    runs = [executions(machine, program, [str(model), str(text), machine.kernel]) for text in texts]
    blocks = {**runs[0].blocks, **runs[1].blocks}
    more = runs[1].counts
    more.subtract(runs[0].counts)
    sizes = {address: count * len(blocks[address]) for address, count in more.items()}
    instructions = sum(sizes.values())
    total = 0.0
    seen = 0
    modelled = 0
    for address in sorted(sizes, key=lambda address: -sizes[address]):
        each = cycles(machine, blocks[address]) if seen < COVERED * instructions else None
        seen += sizes[address]
        total += sizes[address] if each is None else more[address] * each
        modelled += 0 if each is None else sizes[address]
    apart = tokens[1] - tokens[0]
    opened, worker = map(int, runs[0].said.split())
    return {
        "instructions": round(instructions / apart),
        "cycles": round(total / apart),
        "modelled": round(modelled / instructions, 3),
        "opened": opened,
        "worker": worker,
    }


def measured_cycles(
    machine: Machine, program: Path, model: Path, texts: list[Path], tokens: tuple[int, int]
) -> int:
    """Return the cycles of a token on this machine: its time over that of a dependent addition."""
    told = [
        list(map(float, run(program, model, text, machine.kernel, str(PASSES)).split()))
        for text in texts
    ]
    cycle = min(additions for _, additions in told) / ADDITIONS
    return round((told[1][0] - told[0][0]) / cycle / (tokens[1] - tokens[0]))


def code_bytes(machine: Machine, folder: Path) -> int:
    """Return the bytes of the engine's code and constants."""
    compiled = folder / "engine.o"
    options = [option for option in machine.compile if not option.startswith("--specs")]
    run(*options, f"-I{ENGINE}", "-c", ENGINE / "edge_lstm.c", "-o", compiled)
    return int(run("llvm-size", compiled).splitlines()[1].split()[0])


def exported(folder: Path) -> dict[str, Path]:
    """Return the int8 files, by preset."""
    models = {}
    for preset, source in MODELS.items():
        models[preset] = source
        if source.suffix != ".onnx":
            models[preset] = folder / f"{preset}.onnx"
            command = (sys.executable, "-m", "edge_lstm", "export", source, "-o", models[preset])
            run(*command, "--quantize", "int8")
    return models


def count() -> None:
    """Count and model all machines, and write the file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = [folder / f"text{times}" for times in REPEATS]
        for path, times in zip(texts, REPEATS):
            path.write_text(SENTENCE * times, encoding="utf-8")
        models = exported(folder)
        rows: list[Json] = []
        for machine in (*MACHINES, *HERE):
            program = build(machine, folder)
            row = {"name": machine.name, "mhz": machine.mhz, "board": machine.board}
            rows.append({**row, "code": code_bytes(machine, folder), "models": {}})
            for preset, model in models.items():
                tokenizer = Classifier.load(model).model.tokenizer
                first, second = (len(tokenizer.encode_text(SENTENCE * n).ids) for n in REPEATS)
                told = token(machine, program, model, texts, (first, second))
                if not machine.mhz:
                    timed = build(machine, folder, "-DTIMED", name="timed")
                    told["measured"] = measured_cycles(
                        machine, timed, model, texts, (first, second)
                    )
                rows[-1]["models"][preset] = told
                print(machine.name, preset, told, file=sys.stderr)
        files = {preset: model.stat().st_size for preset, model in models.items()}
        llvm = re.search(r"version (\S+)", run("llvm-mca", "--version"))
        result = {"llvm": llvm[1] if llvm else "", "files": files, "machines": rows}
        MODELLED.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def modelled_table(result: Json) -> str:
    """Return the table of the CPUs that are modelled."""
    presets = [*result["files"]]
    names = [f"`{preset}`" for preset in presets]
    heads = ["CPU", *(f"instructions per token: {name}" for name in names)]
    heads += [*(f"µs per token, modelled: {name}" for name in names), "in the model"]
    rows = []
    for row in (row for row in result["machines"] if row["mhz"]):
        told = [row["models"][preset] for preset in presets]
        rows.append(
            [
                f"{row['name']} at {row['mhz']} MHz ({row['board']})",
                *(f"{each['instructions']:,}" for each in told),
                *(f"{each['cycles'] / row['mhz']:,.0f}" for each in told),
                f"{100 * min(each['modelled'] for each in told):.0f} %",
            ]
        )
    return markdown_table(heads, rows)


def memory_table(result: Json) -> str:
    """Return the table of flash and memory."""
    rows = []
    for row in (row for row in result["machines"] if row["mhz"]):
        for preset, size in result["files"].items():
            told = row["models"][preset]
            sizes = (row["code"], size, row["code"] + size, told["opened"], told["worker"])
            cells = (f"{each / 1000:,.0f} kB" for each in sizes)
            rows.append([row["name"], f"`{preset}`", *cells])
    heads = ("CPU", "preset", "code", "file", "flash, both", "memory: file opened", "worker")
    return markdown_table(heads, rows, words=(0, 1))


def check_table(result: Json) -> str:
    """Return the table of this machine: modelled and measured cycles."""
    rows = [
        (
            row["name"],
            f"`{preset}`",
            f"{told['cycles']:,}",
            f"{told['measured']:,}",
            f"{told['cycles'] / told['measured']:.2f}",
        )
        for row in result["machines"]
        for preset, told in row["models"].items()
        if "measured" in told
    ]
    heads = ("kernel", "preset", "cycles per token, modelled", "measured", "modelled / measured")
    return markdown_table(heads, rows, words=(0, 1))


def write(page: Path = PAGE) -> None:
    """Write the tables into the page."""
    result = json.loads(MODELLED.read_text(encoding="utf-8"))
    tables = {
        "modelled": modelled_table(result),
        "memory": memory_table(result),
        "check": check_table(result),
    }
    for name, table in tables.items():
        write_table(page, f"benchmarks.devices: {name}", table)


if __name__ == "__main__":
    if sys.argv[1:] not in (["count"], ["write"]):
        sys.exit("usage: python -m benchmarks.devices count | write")
    if sys.argv[1] == "count":
        count()
    write()
