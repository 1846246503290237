"""A wheel in an environment without a compiler: installed, a first fit, dynamics in two engines.

    python benchmarks/first_hour.py dist/acepot-*.whl     in a new environment, with its seconds
    python benchmarks/first_hour.py --here                in this one

The environment's PATH has nothing but its own programs: no compiler, no git. What is fitted are the
silicon structures of examples/data.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "examples" / "data"
MD = """model = "Si/model.acepot"
[structure]
file = "start.extxyz"
[ensemble]
temperature = 300
[run]
steps = 100
timestep = 1
[output]
every = 10
"""
START = """8
Lattice="5.43 0 0 0 5.43 0 0 0 5.43" Properties=species:S:1:pos:R:3 pbc="T T T"
Si 0 0 0
Si 0 2.715 2.715
Si 2.715 0 2.715
Si 2.715 2.715 0
Si 1.3575 1.3575 1.3575
Si 1.3575 4.0725 4.0725
Si 4.0725 1.3575 4.0725
Si 4.0725 4.0725 1.3575
"""


def timed(name: str, words: list[str], folder: Path, path: str) -> float:
    """Run a command and say how long it took."""
    begin = time.perf_counter()
    environment = {"PATH": path, "HOME": str(folder), "OMP_NUM_THREADS": "2"}
    environment |= {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_"))}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed\n{done.stdout}\n{done.stderr}")
    seconds = time.perf_counter() - begin
    print(f"{name:28} {seconds:6.1f} s", flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", nargs="?", type=Path)
    parser.add_argument("--here", action="store_true", help="use this environment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python, total = Path(sys.executable), 0.0
        if not options.here:
            venv.create(folder / "env", with_pip=True)
            python = folder / "env" / "bin" / "python"
        path = str(python.parent)
        if not options.here:
            if options.wheel is None:
                parser.error("expected a wheel, or --here")
            wanted = f"acepot[ase,openmm] @ {options.wheel.resolve().as_uri()}"
            install = [str(python), "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
            total += timed("pip install", [*install, wanted], folder, path)
        acepot = [str(python), "-m", "acepot.cli"]
        (folder / "start.extxyz").write_text(START)
        (folder / "md.toml").write_text(MD)
        train = str(DATA / "Si_train.extxyz.xz")
        fit = [*acepot, "fit", train, "--out", "Si", "--no-plots"]
        total += timed("first fit", fit, folder, path)
        for engine in ("ase", "openmm"):
            words = [*acepot, "md", "md.toml", "--engine", engine, "--out", engine, "--no-plots"]
            total += timed(f"100 steps in {engine}", words, folder, path)
        print(f"{'together':28} {total:6.1f} s")


if __name__ == "__main__":
    main()
