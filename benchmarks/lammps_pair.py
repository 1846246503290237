"""pair_style acepot: its time against the bare kernel, and one rank against two.

    OMP_NUM_THREADS=1 python benchmarks/lammps_pair.py [--rounds 7] [--parts one two]

Times are CPU times of the processes where ranks do not wait for each other, wall times where they
do. Rounds alternate between what is compared; ratios are medians over rounds.
"""

import argparse
import os
import re
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

import acepot
from acepot.conversion import convert
from acepot.evaluate.native import NativeEvaluator
from acepot.lowering import lower

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
PROGRAMS = Path(sysconfig.get_path("scripts"))
STEPS = 20
#: On paper: Å³ an atom, Å of cut-off and skin, seconds a message, bytes a second.
VOLUME, LIST_CUTOFF, LATENCY, BANDWIDTH = 20.0, 8.0, 2e-6, 5e9
#: µs an atom and step on the machine of README.md, used where the kernel is not measured.
KERNEL = 5.7
INPUT = """
units metal
atom_modify sort 0 0
lattice diamond 5.46
region box block 0 {x} 0 {y} 0 {z}
create_box 1 box
create_atoms 1 box
mass 1 28.0855
pair_style acepot
pair_coeff * * Si.tables Si
displace_atoms all random 0.05 0.05 0.05 4711
velocity all create 600 4711
fix 1 all nve
thermo 100
write_dump all custom start id x y z modify sort id format float %.17g
run {steps}
"""


def start(folder: Path, name: str, cells: tuple[int, int, int], ranks: int, cpu: str):
    x, y, z = cells
    (folder / name).write_text(INPUT.format(x=x, y=y, z=z, steps=STEPS))
    command = [str(PROGRAMS / "lmp"), "-in", name, "-log", "none"]
    if ranks > 1:
        command = [str(PROGRAMS / "mpirun"), "-np", str(ranks), *command]
    command = ["taskset", "-c", cpu, *command]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen) -> dict[str, float]:
    """Seconds a step of the loop and of the pair style, atoms, ghosts of a rank, CPU share."""
    said = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit(said)
    loop = re.search(r"Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms", said)
    pair = re.search(r"^Pair +\| (\S+) +\| (\S+) +\| (\S+)", said, re.MULTILINE)
    ghosts = re.search(r"^Nghost: +(\S+) ave", said, re.MULTILINE)
    share = re.search(r"^([\d.]+)% CPU use", said, re.MULTILINE)
    return {
        "loop": float(loop[1]) / STEPS,
        "pair": float(pair[2]) / STEPS,
        "atoms": int(loop[4]),
        "ghosts": float(ghosts[1]),
        "cpu": float(share[1]) / 100,
    }


def kernel(folder: Path, evaluator: NativeEvaluator, cells: tuple[int, int, int]) -> float:
    """CPU seconds of one evaluation of the atoms LAMMPS started from, neighbour list included."""
    rows = np.loadtxt((folder / "start").read_text().splitlines()[9:])
    box = 5.46 * np.diag(cells)
    structure = acepot.Structure(np.full(len(rows), 14), rows[:, 1:], box, True)
    times = []
    for _ in range(STEPS // 4):
        begin = time.process_time()
        evaluator.evaluate([structure])
        times.append(time.process_time() - begin)
    return statistics.median(times)


def one_rank(folder: Path, rounds: int, cpu: str) -> float:
    """The pair style against the kernel; µs an atom of the kernel for the largest system."""
    evaluator = NativeEvaluator(lower(acepot.load(MODEL)), threads=1)
    os.sched_setaffinity(0, {int(cpu)})  # the kernel runs where LAMMPS ran
    for cells in ((5, 5, 5), (10, 10, 5), (10, 10, 13)):
        ratios, pairs, bares = [], [], []
        for _ in range(rounds):
            found = finished(start(folder, "in", cells, 1, cpu))
            pair = found["pair"] * found["cpu"]  # CPU time: others use this machine
            bare = kernel(folder, evaluator, cells)
            pairs.append(1e6 * pair / found["atoms"])
            bares.append(1e6 * bare / found["atoms"])
            ratios.append(pair / bare)
        print(
            f"{found['atoms']:6.0f} atoms: pair {statistics.median(pairs):.2f}, kernel "
            f"{statistics.median(bares):.2f} µs/atom, ratio {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f}), "
            f"{found['ghosts'] / found['atoms']:.2f} ghosts an atom",
            flush=True,
        )
    return statistics.median(bares)


def two_ranks(folder: Path, rounds: int, x: int, y: int, z: int) -> None:
    """A box on two ranks against its two halves, each a periodic system on one rank."""
    ratios, pairs = [], []
    for _ in range(rounds):
        both = finished(start(folder, "both", (x, y, z), 2, "0,1"))
        halves = [start(folder, f"half{k}", (x // 2, y, z), 1, k) for k in "01"]
        half = [finished(process) for process in halves]
        speed = sum(one["atoms"] / one["loop"] for one in half)
        ratios.append(both["atoms"] / both["loop"] / speed)
        alone = statistics.mean(one["pair"] for one in half)
        pairs.append(both["pair"] / alone)
        print(
            f"{both['atoms']} atoms on 2 ranks: {1e3 * both['loop']:.1f} ms a step, pair "
            f"{1e3 * both['pair']:.1f}; halves {1e3 * half[0]['loop']:.1f} and "
            f"{1e3 * half[1]['loop']:.1f}, pair {1e3 * alone:.1f}; ghosts "
            f"{both['ghosts'] / (both['atoms'] / 2):.2f} an atom; ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(
        f"throughput of 2 ranks / two runs: median {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f}); pair times {statistics.median(pairs):.3f}"
    )


def on_paper(kernel_time: float) -> None:
    """What a step of 1,000 ranks costs, by the size of a rank's cube; nothing is run.

    A cube of n silicon atoms has (1 + 16 Å / edge)³ - 1 ghosts an atom. Positions go out and forces
    come back, 24 bytes each, in 6 messages each way.
    """
    print(
        f"1,000 ranks on paper, {1e6 * LATENCY:g} µs a message, {BANDWIDTH / 1e9:g} GB/s, kernel "
        f"{kernel_time:.2f} µs/atom:\natoms a rank, ghosts an atom, kB a step, communication in "
        "µs, kernel in µs, its part"
    )
    for atoms in (250, 1000, 4000, 32_000):
        edge = (VOLUME * atoms) ** (1 / 3)
        ghosts = (1 + 2 * LIST_CUTOFF / edge) ** 3 - 1
        size = 48 * ghosts * atoms
        communication = 1e6 * (12 * LATENCY + size / BANDWIDTH)
        work = kernel_time * atoms
        print(
            f"{atoms:7d} {ghosts:6.2f} {size / 1e3:8.0f} {communication:7.0f} {work:9.0f} "
            f"{communication / work:8.1%}"
        )


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--cpu", default="0", help="processor of the runs on one rank")
    options.add_argument(
        "--parts",
        nargs="+",
        choices=("one", "two"),
        default=["two", "one"],
        help="one rank against the kernel; two ranks against two runs",
    )
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        convert(MODEL, folder / "Si.tables")
        if "two" in chosen.parts:
            for cells in ((20, 20, 10), (20, 10, 5), (10, 5, 5)):
                two_ranks(folder, chosen.rounds, *cells)
        time_of_kernel = KERNEL
        if "one" in chosen.parts:
            time_of_kernel = one_rank(folder, chosen.rounds, chosen.cpu)
        on_paper(time_of_kernel)


if __name__ == "__main__":
    main()
