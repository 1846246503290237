"""Fits into one folder, two at once and killed anywhere: always the files of one fit.

    OMP_NUM_THREADS=1 python benchmarks/fit_kills.py [--pairs 50] [--kills 50] [--seed 1]

pairs   two fits with other settings are started together into one folder; one of them is stopped
        (SIGSTOP) at a random time for a random time. Both must end, or the second say at once that
        the folder is taken; then model, report, settings and figures must be those of one fit.
kills   a fit is ended by kill -9 at a random time, fifty times in one folder; after each, what is
        there must be one complete set, of an earlier fit or of this one. A last fit runs to its
        end, and nothing but its files is left.

The exit status is 1 where files of two fits lie together, or something is left over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path

from machine import machine

import acepot
from acepot import Model, read_structures, write_structures

ROOT = Path(__file__).parents[1]
CUTOFFS = (4.8, 5.2)


def command(home: Path, cutoff: float) -> list[str]:
    words = ["fit", str(home / "train.extxyz"), "--order", "2", "--degree", "8,7", "--threads", "1"]
    words += ["--cutoff", str(cutoff), "--out", str(home / "out"), "--no-plots"]
    return [sys.executable, "-m", "acepot.cli", *words]


def start(home: Path, cutoff: float) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command(home, cutoff), **pipes)  # type: ignore[call-overload, no-any-return]


def made_by(home: Path) -> set[float] | None:
    """The cut-offs that the files of the folder say they were made with; None: no files yet."""
    out = home / "out"
    if not (out / "model.acepot").exists():
        return None
    found = acepot.load(out / "model.acepot", Model)
    (of_model,) = set(found.basis.cutoff.values())  # type: ignore[union-attr]
    settings = tomllib.loads((out / "fit.toml").read_text())
    of_toml = settings["basis"]["cutoff"]
    of_toml = {of_toml} if isinstance(of_toml, float) else set(of_toml.values())
    report = json.loads((out / "report.json").read_text())
    same = report["solver"]["residual"] == found.provenance["solver"]["residual"]
    return {of_model, *of_toml} | (set() if same else {-1.0})


def pairs(home: Path, count: int, rng: random.Random, length: float) -> bool:
    ends, sound = Counter[str](), True
    for _ in range(count):
        first, second = start(home, CUTOFFS[0]), start(home, CUTOFFS[1])
        paused = rng.choice((first, second))
        time.sleep(rng.uniform(0, length))
        if paused.poll() is None:
            os.kill(paused.pid, signal.SIGSTOP)
            time.sleep(rng.uniform(0, 0.5 * length))
            os.kill(paused.pid, signal.SIGCONT)
        texts = [one.communicate()[0] for one in (first, second)]
        codes = sorted(one.returncode for one in (first, second))
        refused = any("another process runs in this folder" in t for t in texts)
        ends["one refused" if refused else f"exit {codes}"] += 1
        files = made_by(home)
        if files is None or len(files) != 1:
            sound = False
            print("FAILED: files of", files, texts)
    print(f"pairs: {count}, {dict(ends)}, {'always one set' if sound else 'MIXED'}", flush=True)
    return sound


def kills(home: Path, count: int, rng: random.Random, length: float, names: set[str]) -> bool:
    killed, sound = 0, True
    for k in range(count):
        run = start(home, CUTOFFS[k % 2])
        try:
            run.communicate(timeout=rng.uniform(0.1, 1.1) * length)
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            killed += 1
        files = made_by(home)
        if files is None or len(files) != 1:
            sound = False
            print("FAILED: files of", files)
    last = start(home, CUTOFFS[0])
    text = last.communicate()[0]
    left = sorted({path.name for path in (home / "out").iterdir()} - names)
    if last.returncode or left:
        sound = False
        print("FAILED: left over", left, text)
    print(f"kills: {killed} of {count}, left over {left}, {'sound' if sound else 'UNSOUND'}")
    return sound


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        structures, _ = read_structures(ROOT / "examples" / "data" / "Si_train.extxyz.xz")
        write_structures(home / "train.extxyz", structures[:12])
        begin = time.perf_counter()
        start(home, CUTOFFS[0]).communicate()
        length = time.perf_counter() - begin
        print(f"one fit takes {length:.1f} s")
        names = {path.name for path in (home / "out").iterdir()}
        sound = pairs(home, options.pairs, rng, length)
        return 0 if kills(home, options.kills, rng, length, names) and sound else 1


if __name__ == "__main__":
    sys.exit(main())
