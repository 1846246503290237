"""Runs of `acepot md` that are made longer, moved and chained, killed ten times each.

    OMP_NUM_THREADS=1 python benchmarks/kills.py [--engines ase openmm] [--kills 10] [--kind nvt]

Eight silicon atoms. Every run is ended by kill -9 and given again until it has been killed so
often, half of the times while it starts, half of the times after some rows; then it goes on to
its end.

    extended   a finished run whose run.steps has grown
    moved      the same, with 1 and 2 threads (in LAMMPS also ranks) in turn
    chained    a new run that starts from another one's last state

Printed for each: rows of the log that are missing or twice, frames that are too many or too few,
and whether log and frames equal those of a run that was not killed bit by bit. The exit status is 1
where a row or frame is lost or repeated, or where bits differ that docs/md_toml.md says are the
same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "engines"))
from md_runs import TRAJECTORIES, frames  # noqa: E402

BASE, LONG, EVERY, CHECKPOINT = 200, 4000, 10, 50
KINDS = ("extended", "moved", "chained")


def written(path: Path, kind: str, steps: int, **more: object) -> Path:
    """A TOML file."""
    settings: dict[str, object] = {
        "model": str(ROOT / "models" / "Si-mlearn" / "model.acepot"),
        "structure.file": str(ROOT / "examples" / "ipi" / "Si8.extxyz"),
        "ensemble.kind": kind,
        "ensemble.temperature": 600,
        "run.steps": steps,
        "run.seed": 7,
        "output.every": EVERY,
        "output.checkpoint": CHECKPOINT,
    }
    settings |= {key.replace("__", "."): value for key, value in more.items()}
    if "structure.run" in settings:
        del settings["structure.file"]
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return path


def command(toml: Path, engine: str, out: Path) -> list[str]:
    words = ["md", str(toml), "--engine", engine, "--out", str(out), "--no-plots"]
    return [sys.executable, "-m", "acepot.cli", *words]


def finished(toml: Path, engine: str, out: Path) -> None:
    done = subprocess.run(command(toml, engine, out), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{engine}, {out.name}: {done.stdout + done.stderr}")


def killed(toml: Path, engine: str, out: Path, rng: np.random.Generator, early: bool) -> bool:
    """Start a run and kill it; False: it ended by itself."""
    log, null = out / "log.csv", subprocess.DEVNULL
    before = log.stat().st_size if log.exists() else 0
    process = subprocess.Popen(command(toml, engine, out), stdout=null, stderr=null)
    limit, grown = rng.uniform(0.3, 3.0), int(rng.integers(1, 2000))
    begin = time.monotonic()
    while process.poll() is None and time.monotonic() - begin < (limit if early else 120):
        if not early and log.exists() and log.stat().st_size > before + grown:
            break
        time.sleep(0.001)
    running = process.poll() is None
    process.kill()
    process.wait()
    return running


def judged(engine: str, run: Path, whole: Path, steps: int) -> tuple[int, int, int, bool]:
    """Rows lost, rows repeated, frames too many or few, and whether the runs are equal."""
    rows = (run / "log.csv").read_text().splitlines()[1:]
    found = Counter(int(row.split(",")[0]) for row in rows)
    expected = range(0, steps + 1, EVERY)
    lost, repeated = len(set(expected) - set(found)), sum(found.values()) - len(found)
    ours, theirs = (frames(engine, f / TRAJECTORIES[engine], 8) for f in (run, whole))
    same = (run / "log.csv").read_bytes() == (whole / "log.csv").read_bytes() and ours == theirs
    return lost, repeated, len(ours) - len(expected), same


def tried(engine: str, kind: str, way: str, kills: int, folder: Path) -> bool:
    """One line of the table; whether it is as it should be."""
    rng = np.random.default_rng([len(engine), KINDS.index(way)])
    toml, out, whole = folder / "md.toml", folder / "killed", folder / "whole"
    short = written(folder / "short.toml", kind, BASE)
    more: dict[str, object] = {}
    if way == "chained":
        finished(short, engine, folder / "first")
        more = {"structure__run": str(folder / "first")}
    else:
        finished(short, engine, out)
        finished(short, engine, whole)
    finished(written(toml, kind, LONG, **more), engine, whole)
    done = attempts = 0
    while done < kills and attempts < 2 * kills:
        if way == "moved":
            more = {"run__threads": 1 + attempts % 2, "lammps__ranks": 1 + attempts // 2 % 2}
        written(toml, kind, LONG, **more)
        done += killed(toml, engine, out, rng, early=attempts % 2 == 0)
        attempts += 1
    finished(toml, engine, out)
    lost, repeated, extra, same = judged(engine, out, whole, LONG)
    equal = "yes" if same else "no"
    print(
        f"| {engine} | {kind} | {way} | {done} | {lost} | {repeated} | {extra} | {equal} |",
        flush=True,
    )
    promised = way != "moved" and (engine, kind) != ("openmm", "npt")
    return done == kills and not (lost or repeated or extra) and (same or not promised)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--engines", nargs="+", default=list(TRAJECTORIES))
    options.add_argument("--ways", nargs="+", default=list(KINDS))
    options.add_argument("--kind", default="nvt", choices=("nvt", "npt", "nve"))
    options.add_argument("--kills", type=int, default=10)
    chosen = options.parse_args()
    print("| engine | ensemble | run | kills | rows lost | repeated | frames off | bits equal |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    good = True
    for engine in chosen.engines:
        for way in chosen.ways:
            with tempfile.TemporaryDirectory() as name:
                good &= tried(engine, chosen.kind, way, chosen.kills, Path(name))
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
