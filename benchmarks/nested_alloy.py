"""MoNbTaW by nested sampling: a compact model, a small equiatomic cell, and what a large one costs.

    OMP_NUM_THREADS=1 python benchmarks/nested_alloy.py --data FOLDER [--atoms 8] [--seeds 1 2 3] …

FOLDER has train.extxyz.xz and test.extxyz.xz, the unary and binary structures of Li, Chen, Zheng,
Zuo and Ong, npj Comput. Mater. 6, 70 (2020), of which a fifth is fitted. They have no free atoms:
E0 is the energy of the bulk metal and its cohesive energy (Kittel). Nor have they close atoms:
dimers and squeezed cells of two elements with a screened Coulomb energy are added, lest there be
holes. The prior ends at 70 Å³ an atom, in the vapour, and at nine tenths of the shortest
distance of each pair in the data. A fit or a run that is in the folder is not repeated, one that
was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import lzma
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from machine import machine

import acepot
from acepot.basis.species import SYMBOLS, atomic_number
from acepot.io.structures.datasets import read_structures
from acepot.neighbours import build
from acepot.sampling.analysis.pipeline import AtPressure, Choices, analyse
from acepot.sampling.cells import Floats
from acepot.sampling.config import load_config
from acepot.sampling.energies import Energies, PotentialEnergies
from acepot.sampling.run import sample
from acepot.structure import Structure

#: eV: that of an atom of the bulk in these data, and the cohesive energy.
E0 = {"Nb": 7.57 - 10.10, "Mo": 6.82 - 10.85, "Ta": 8.10 - 11.85, "W": 8.90 - 12.96}
FIT = """\
[data]
train = ["train.extxyz", "repulsion.extxyz"]
test = "{data}/test.extxyz.xz"

[basis]
elements = ["Nb", "Mo", "Ta", "W"]
order = 3
degree = [8, 5, 4]
cutoff = 5.0

[e0]
{e0}

[weights]
default = {{energy = 30.0, forces = 1.0, virial = 1.0}}
{weights}
"""
#: eV per atom of close atoms, and what their number of electrons makes of Coulomb's law (Ziegler,
#: Biersack and Littmark).
STEPS = (10, 20, 40, 80)
#: Of the structures, each so many is fitted; and how many artificial ones there are.
EVERY, COUNT = 5, 220
SCREENING = ((0.18175, 3.1998), (0.50986, 0.94229), (0.28022, 0.4029), (0.02817, 0.20162))
CONFIG = """\
model = "../fit/model.acepot"
structure.composition = {{Nb = {each}, Mo = {each}, Ta = {each}, W = {each}}}

[ensemble]
pressures = [0.1]
volume_max = 70
volume_min = 8

[run]
walkers = {walkers}
length = {length}
batch = {batch}
seed = {seed}
threads = 1

[guards]
holes = "allow"

[guards.min_distance]
Nb-Nb = 1.92
Nb-Mo = 2.47
Nb-Ta = 2.57
Nb-W = 2.49
Mo-Mo = 1.91
Mo-Ta = 2.44
Mo-W = 2.46
Ta-Ta = 1.81
Ta-W = 2.47
W-W = 1.94

[stop]
temperature = {coldest}
"""
HEADER = "K | C/k of an atom | width, K | ΔH of an atom, meV | ΔV of an atom, Å³ | two phases"
#: Of the forecast: walkers, evaluations an iteration and how many of them follow on each other in
#: the walk of one walker, as many as a Galilean trajectory and a few other moves.
WALKERS, LENGTH, FOLLOWING = 2000, 1600, 16


def repulsion(first: Floats, second: Floats, r: Floats) -> Floats:
    """Universal screened Coulomb energy of two nuclei in eV, r in Å."""
    x = r * (first**0.23 + second**0.23) / 0.46850
    screened = sum(weight * np.exp(-decay * x) for weight, decay in SCREENING)
    return np.asarray(14.399645 * first * second / r * screened)


def squeezed(seed: int = 0) -> list[Structure]:
    """Dimers, and cells of two to six atoms of two elements, with atoms closer than in any data."""
    random, numbers = np.random.default_rng(seed), np.array([41, 42, 73, 74])
    made = [
        Structure([a, b], [[0.0, 0.0, 0.0], [r, 0.0, 0.0]], np.zeros((3, 3)), False)
        for k, a in enumerate(numbers)
        for b in numbers[k:]
        for r in np.arange(1.0, 1.85, 0.1)
    ]
    while len(made) < COUNT:
        n = int(random.integers(2, 7))
        atoms = random.choice(random.choice(numbers, 2), n)
        shape = np.eye(3) + 0.2 * random.standard_normal((3, 3))
        wanted = n * float(np.exp(random.uniform(np.log(STEPS[0]), np.log(STEPS[-1]))))
        places = random.random((n, 3))
        one = Structure(atoms, places @ shape, shape, True)
        for edge in 6.0 * 0.97 ** np.arange(60):
            one = Structure(atoms, edge * places @ shape, edge * shape, True)
            if close(one) > wanted:
                break
        if close(one) < 1.5 * wanted:  # not two atoms in one place
            made.append(one)
    return made


def close(structure: Structure) -> float:
    """Sum of the repulsions of all pairs within 3 Å in eV."""
    edges = build(structure, 3.0)
    z = structure.numbers.astype(float)
    lengths = np.linalg.norm(edges.vector, axis=1)
    return 0.5 * float(repulsion(z[edges.centre], z[edges.neighbour], lengths).sum())


def write_repulsion(path: Path) -> None:
    """Squeezed structures with their energies, in groups by energy."""
    e0 = {atomic_number(name): energy for name, energy in E0.items()}
    with path.open("w") as file:
        for one in squeezed():
            energy, n = close(one), len(one.numbers)
            step = min(STEPS, key=lambda s: abs(np.log(s * n / energy)))
            cell = " ".join(map(repr, one.cell.ravel().tolist()))
            lattice = f'Lattice="{cell}" pbc="T T T" ' if one.pbc.all() else 'pbc="F F F" '
            total = energy + sum(e0[z] for z in one.numbers.tolist())
            file.write(f"{n}\n{lattice}Properties=species:S:1:pos:R:3 energy={total!r} ")
            file.write(f"config_type=close{step}\n")
            for z, place in zip(one.numbers.tolist(), one.positions.tolist(), strict=True):
                file.write(f"{SYMBOLS[z]} {' '.join(map(repr, place))}\n")


def write_part(source: Path, path: Path) -> None:
    """Every so many of the structures of a file."""
    lines = lzma.open(source, "rt").read().splitlines()
    kept, at, index = list[str](), 0, 0
    while at < len(lines):
        stop = at + int(lines[at]) + 2
        if index % EVERY == 0:
            kept += lines[at:stop]
        at, index = stop, index + 1
    path.write_text("\n".join(kept) + "\n")


def fit(args: argparse.Namespace) -> str:
    """Fit the model, unless it is there; its size and errors."""
    home = args.folder / "fit"
    if not (home / "report.json").exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        write_part(args.data / "train.extxyz.xz", args.folder / "train.extxyz")
        write_repulsion(args.folder / "repulsion.extxyz")
        text = FIT.format(
            data=args.data.resolve(),
            e0="\n".join(f"{name} = {energy:.2f}" for name, energy in E0.items()),
            weights="\n".join(f"close{step} = {{energy = {2 / step}}}" for step in STEPS),
        )
        (args.folder / "fit.toml").write_text(text)
        words = ["fit", args.folder / "fit.toml", "--threads", "1", "--no-plots", "--out", home]
        subprocess.run([sys.executable, "-m", "acepot.cli", *words], check=True)
    report = json.loads((home / "report.json").read_text())
    test = report["test"]["all"]
    model = acepot.load(home / "model.acepot")
    return (
        f"model: {model.coefficients.shape[2]} functions, test errors (RMSE) "
        f"{test['E']['rmse']:.1f} meV/atom and {test['F']['rmse']:.0f} meV/Å, holes found: "
        f"{report['holes']['found']}"
    )


def cost(potential: acepot.Potential, frames: Sequence[Structure], times: int) -> float:
    """Processor time of energies and forces of cells repeated along each vector, in µs per atom."""
    shifts = np.stack(np.meshgrid(*[np.arange(times)] * 3, indexing="ij"), -1).reshape(-1, 3)
    numbers = np.stack([np.tile(one.numbers, len(shifts)) for one in frames])
    positions = np.stack(
        [(one.positions + (shifts @ one.cell)[:, None]).reshape(-1, 3) for one in frames]
    )
    cells = np.stack([times * one.cell for one in frames])
    energies, out = PotentialEnergies(potential), Energies.empty(*numbers.shape)
    seconds = []
    for _ in range(9):
        began = time.process_time()
        energies.compute(numbers, positions, cells, out)
        seconds.append(time.process_time() - began)
    return 1e6 * min(seconds) / numbers.size


def run(args: argparse.Namespace, seed: int) -> tuple[Path, str]:
    """One run, and what it cost."""
    home = args.folder / f"{args.atoms}-{args.walkers}-{seed}"
    home.mkdir(parents=True, exist_ok=True)
    text = CONFIG.format(
        each=args.atoms // 4, seed=seed, walkers=args.walkers, length=args.length,
        batch=args.batch, coldest=args.coldest,
    )  # fmt: skip
    (home / "settings.toml").write_text(text)
    began = time.process_time()
    try:
        sample(load_config(home / "settings.toml"), home / "run", say=print, plots=False)
    finally:
        with (home / "seconds").open("a") as file:
            file.write(f"{time.process_time() - began}\n")
    seconds = sum(map(float, (home / "seconds").read_text().split()))
    evaluations = count(home / "run") * args.length
    told = (
        f"seed {seed}: {count(home / 'run')} iterations, {evaluations / 1e6:.2f} million "
        f"evaluations, {seconds:.0f} s CPU, {1e6 * seconds / (evaluations * args.atoms):.1f} µs "
        "per atom and evaluation"
    )
    return home / "run", told


def count(folder: Path) -> int:
    """Iterations of a run."""
    return len((folder / "P0.energies").read_text().splitlines()) - 1


def rows(name: str, found: AtPressure) -> list[str]:
    """A row for each peak, from high temperature to low."""
    n = found.atoms
    return [
        f"| {name} | {peak.temperature} | {peak.height.value / n:.1f} | {peak.width.value:.0f} "
        f"| {1000 * peak.latent_heat.value / n:.0f} | {peak.step.value / n:.2f} "
        f"| {'yes' if peak.resolved else 'no'} |"
        for peak in reversed(found.peaks)
    ]


def forecast(depth: float, micro: float) -> list[str]:
    """What converged runs would cost, by the iterations and the time that were measured.

    Args:
        depth: iterations in units of N K.
        micro: of an evaluation in µs per atom.
    """
    lines = [
        f"forecast for one pressure: {WALKERS} walkers, {LENGTH} evaluations an iteration, "
        f"{FOLLOWING} of them one after the other, of {LENGTH // FOLLOWING} walkers at once; "
        f"{depth:.1f} N K iterations, {micro:.1f} µs per atom",
        f"| atoms | evaluations | core hours | hours on {LENGTH // FOLLOWING} cores |",
        "|---" * 4 + "|",
    ]
    for atoms in (32, 64):
        evaluations = depth * atoms * WALKERS * LENGTH
        hours = evaluations * atoms * micro / 3.6e9
        lines.append(
            f"| {atoms} | {evaluations:.1e} | {hours:.0f} | {hours / LENGTH * FOLLOWING:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--atoms", type=int, default=8, help="a multiple of four")
    parser.add_argument("--walkers", type=int, default=96)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--coldest", type=float, default=300.0, help="K")
    parser.add_argument("--folder", type=Path, default=Path("alloy"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = fit(args)
    made = [run(args, seed) for seed in args.seeds]
    text = "\n".join([machine(), model, *report(args, made)])
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


def report(args: argparse.Namespace, made: list[tuple[Path, str]]) -> list[str]:
    """Cost and peaks of all runs, and the forecast."""
    folders = [home for home, _ in made]
    potential = acepot.Potential(acepot.load(args.folder / "fit" / "model.acepot"), threads=1)
    frames = read_structures(folders[0] / "P0.culled.extxyz")[0][-16:]
    here, large = (cost(potential, frames, times) for times in (1, 2))
    lines = [
        f"an evaluation of 16 crystals takes {here:.1f} µs per atom, {large:.1f} with eight times "
        "as many atoms",
        f"{args.atoms} atoms at 0.1 GPa, {args.walkers} walkers, {args.length} evaluations an "
        f"iteration in batches of {args.batch}, to {args.coldest:g} K",
        *(told for _, told in made),
        f"| | {HEADER} |",
        "|---" * 7 + "|",
    ]
    choices = Choices((1.1 * args.coldest, 6000.0))
    if len(made) > 1:
        lines += rows("all runs", analyse(folders, choices).pressures[0])
    for seed, folder in zip(args.seeds, folders, strict=True):
        lines += rows(f"seed {seed}", analyse([folder], choices).pressures[0])
    depth = np.mean([count(folder) for folder in folders]) / args.walkers / args.atoms
    return lines + forecast(float(depth), large)


if __name__ == "__main__":
    main()
