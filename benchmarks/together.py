"""MoNbTaW with sums over all elements and learned radial functions: errors, memory, time.

    OMP_NUM_THREADS=1 python benchmarks/together.py FOLDER [--out FILE]

FOLDER holds train.extxyz.xz and test.extxyz.xz of Li et al., npj Comput. Mater. 6, 70 (2020): 5,282
frames of elements and of binary solid solutions, and 360 to test with.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from machine import machine

import acepot
from acepot.report.metrics import table

BASIS = {"order": 3, "degree": [10, 12, 10], "max_n": 6, "cutoff": 5.0, "together": True}
LEARNED = {"functions": 8, "steps": 8, "atoms": 4000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    train, test = (
        acepot.read_structures(args.folder / f"{part}.extxyz.xz")[0] for part in ("train", "test")
    )
    began = time.process_time()
    fit = acepot.fit(train, BASIS, learned=LEARNED, test=test, threads=1, say=print)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    lines = [
        machine(),
        f"{fit.report['basis']['total']} functions, {seconds:.0f} CPU s, {peak:.2f} GB",
        "",
        table(fit.report["test"]),
    ]
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
