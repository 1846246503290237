"""Temperatures and volumes of Langevin dynamics, the same simulation in every engine.

    OMP_NUM_THREADS=1 python benchmarks/ensembles.py [--length 100] [--runs 2] [--out FOLDER]

64 silicon atoms at 600 K, 1 fs, friction 10/ps, at constant volume and at constant pressure
(1 bar), run by `acepot md`, each in a process of its own, some times with other seeds. Means with
block-averaged errors, from blocks of 2 ps: 40 correlation times of the kinetic energy (0.05 ps,
measured). Every pair of engines must agree within 3 combined errors, and every temperature with
600 K; the exit status is 1 otherwise. With --folder the runs stay there, and go on when the command
is given again.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
ENGINES = ("ase", "openmm", "ipi", "lammps")
TEMPERATURE = 600.0
#: Rows of the log in a block, 20 fs each.
BLOCK = 100
#: Column of the log, what people call it, and its unit.
WATCHED = {
    "nvt": (("temperature", "K"), ("potential", "eV")),
    "npt": (("temperature", "K"), ("potential", "eV"), ("volume", "Å³")),
}
CONFIG = """\
model = "{root}/models/Si-mlearn/model.acepot"

[structure]
file = "{root}/examples/ipi/Si8.extxyz"
repeat = [2, 2, 2]

[ensemble]
kind = "{kind}"
temperature = {temperature}
pressure = 0.0001
friction = 10
barostat_time = 0.5

[run]
steps = {steps}
equilibration = 10000
initial_temperature = 1200
seed = {seed}

[output]
every = 20
checkpoint = 20000
"""


def simulated(kind: str, engine: str, steps: int, seed: int, folder: Path) -> np.ndarray:
    """The log of one run, from step 0, as a structured array."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{kind}-{engine}-{seed}.toml"
    config.write_text(
        CONFIG.format(root=ROOT, kind=kind, temperature=TEMPERATURE, steps=steps, seed=seed)
    )
    out = folder / f"{kind}-{engine}-{seed}"
    command = [sys.executable, "-m", "acepot.cli", "md", config, "--engine", engine, "--out", out]
    done = subprocess.run([*command, "--no-plots"], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{kind}, {engine}: {(done.stdout + done.stderr)[-3000:]}")
    log = np.genfromtxt(
        out / "log.csv", delimiter=",", names=_names(out / "log.csv"), skip_header=1
    )
    return log[log["step"] > 0]


def _names(path: Path) -> list[str]:
    """First words of the columns: temperature of temperature_K."""
    head = path.read_text().splitlines()[0]
    return [name.strip().split("_")[0].split(" ")[0] for name in head.split(",")]


def mean(values: np.ndarray) -> tuple[float, float]:
    """Mean and its error from blocks."""
    count = len(values) // BLOCK
    blocks = values[len(values) - count * BLOCK :].reshape(count, BLOCK).mean(axis=1)
    return float(blocks.mean()), float(blocks.std(ddof=1) / np.sqrt(count))


def disagreements(found: dict[str, tuple[float, float]], exact: float | None) -> list[str]:
    """Pairs, and engines from the exact value, more than 3 combined errors apart."""
    said = [
        f"{a} and {b}"
        for a, b in itertools.combinations(found, 2)
        if abs(found[a][0] - found[b][0]) > 3 * np.hypot(found[a][1], found[b][1])
    ]
    if exact is not None:
        said += [f"{a} and {exact:g}" for a, (m, e) in found.items() if abs(m - exact) > 3 * e]
    return said


def table(kind: str, logs: dict[str, np.ndarray], length: float) -> tuple[list[str], bool]:
    """Rows for one ensemble, and whether all agree."""
    rows, good = [], True
    for column, unit in WATCHED[kind]:
        found = {engine: mean(log[column]) for engine, log in logs.items()}
        wrong = disagreements(found, TEMPERATURE if column == "temperature" else None)
        good = good and not wrong
        cells = " | ".join(f"{m:.3f} ± {e:.3f}" for m, e in found.values())
        rows.append(
            f"| {kind}, {length:g} ps | {column}, {unit} | {cells} | "
            f"{'differ: ' + ', '.join(wrong) if wrong else 'agree'} |"
        )
    return rows, good


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--length", type=float, default=100.0, help="ps, each run")
    options.add_argument("--runs", type=int, default=2, help="of each engine and ensemble")
    options.add_argument("--kinds", nargs="+", choices=tuple(WATCHED), default=list(WATCHED))
    options.add_argument("--seed", type=int, default=3)
    options.add_argument("--folder", type=Path, help="of the runs")
    options.add_argument("--out", type=Path, help="folder for ensembles.md and ensembles.csv")
    chosen = options.parse_args()
    steps = round(1000 * chosen.length / 20) * 20
    head = ["", "", *ENGINES, ""]
    rows = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    thinned, good = ["ensemble,engine,step,temperature_K,potential_eV,volume_A3"], True
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.folder or Path(name)
        for kind in chosen.kinds:
            logs = {}
            for k, engine in enumerate(ENGINES):
                seeds = [chosen.seed + k + len(ENGINES) * run for run in range(chosen.runs)]
                runs = [simulated(kind, engine, steps, seed, folder) for seed in seeds]
                logs[engine] = np.concatenate(runs)
                print(f"{kind}, {engine}: done", file=sys.stderr, flush=True)
                every = max(1, len(logs[engine]) // 200)
                thinned += [
                    f"{kind},{engine},{row['step']:.0f},{row['temperature']:.3f},"
                    f"{row['potential']:.6f},{row['volume']:.4f}"
                    for row in logs[engine][::every]
                ]
            part, agree = table(kind, logs, chosen.runs * chosen.length)
            rows += part
            good = good and agree
    text = "\n".join(rows) + "\n"
    print(text)
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / "ensembles.md").write_text(text)
        (chosen.out / "ensembles.csv").write_text("\n".join(thinned) + "\n")
    sys.exit(not good)


if __name__ == "__main__":
    main()
