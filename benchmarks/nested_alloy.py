"""MoNbTaW by nested sampling: a compact model, a small equiatomic cell, and what a large one costs.

    OMP_NUM_THREADS=1 python benchmarks/nested_alloy.py --data FOLDER [--atoms 8] [--seeds 1 2 3] …

FOLDER has train.extxyz.xz and test.extxyz.xz, the structures of one and two elements of Li, Chen,
Zheng, Zuo and Ong, npj Comput. Mater. 6, 70 (2020), of which a fifth is fitted (`alloy_model.py`).
Walkers have swaps of elements besides the moves of all atoms and of the cell. The prior ends at 30
Å³ an atom: the gas is left out, where the model has no data. Structures of the phases are quenched;
they are labelled twice, with the elements and as if all atoms were the same, and their nearest
neighbours are counted. --unseen names a file of labelled structures of more elements, which nothing
was fitted to. A fit or a run that is in the folder is not repeated, one that was interrupted goes
on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import alloy_model
import numpy as np
from machine import machine

import acepot
from acepot.basis.species import SYMBOLS
from acepot.io.structures.datasets import read_structures
from acepot.neighbours import build
from acepot.sampling.analysis.folder import read_run
from acepot.sampling.analysis.frames import chosen, read_frames
from acepot.sampling.analysis.phases import label
from acepot.sampling.analysis.pipeline import AtPressure, Choices, analyse
from acepot.sampling.analysis.quench import quench
from acepot.sampling.analysis.thermodynamics import Sums
from acepot.sampling.config import Atoms, EnsembleSettings, NestedConfig, Output, Run, StopSettings
from acepot.sampling.energies import Energies, PotentialEnergies
from acepot.sampling.limits import Guards
from acepot.sampling.run import sample
from acepot.structure import Structure

HEADER = "K | C/k of an atom | width, K | ΔH of an atom, meV | ΔV of an atom, Å³ | two phases"
#: Temperatures in units of the highest peak's at which structures are looked at, and how many.
LOOKED_AT, FRAMES = (1.5, 0.85, 0.6, 0.4, 0.25), 16
#: Nearest neighbours in bcc, and the pairs that are counted.
SHELL = 8
PAIRS = (("Mo", "Ta"), ("Mo", "Nb"), ("Ta", "W"), ("Nb", "W"), ("Mo", "W"), ("Nb", "Ta"))
#: Of the forecast: walkers, evaluations an iteration and how many of them follow on each other in
#: the walk of one walker, as many as a Galilean trajectory and a few other moves. Seconds from one
#: iteration to the next besides, where workers of Dask share it (docs/nested_sampling.md).
WALKERS, LENGTH, FOLLOWING, ROUND_TRIP = 2000, 1600, 16, 0.02


def fit(args: argparse.Namespace) -> list[str]:
    """Fit the model, unless it is there; its size, its errors and its holes."""
    home, told = args.folder / "fit", args.folder / "fit" / "summary.json"
    if not told.exists():
        home.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        report = alloy_model.fitted(home, args.data).report
        spent = time.process_time() - began
        told.write_text(json.dumps([report["test"], report["basis"]["total"], spent]) + "\n")
    test, functions, spent = json.loads(told.read_text())
    model = acepot.load(home / "model.acepot")
    count, inside = alloy_model.holes(model)
    lines = [
        f"model: {functions} functions, {spent:.0f} s CPU; test errors (RMSE) "
        + "; ".join(f"{name} {_errors(one)}" for name, one in sorted(test.items())),
        f"holes: {count} in all, {len(inside)} of them within the prior"
        + (f", at {inside[0]:.1f} to {inside[-1]:.1f} eV/atom above free atoms" if inside else ""),
    ]
    return [*lines, unseen(model, args.unseen)] if args.unseen else lines


def _errors(of: dict[str, dict[str, float]]) -> str:
    return f"{of['E']['rmse']:.1f} meV/atom, {of['F']['rmse']:.0f} meV/Å"


def unseen(model: acepot.Model, path: Path) -> str:
    """Errors for structures of more elements than the fit has seen together."""
    structures = read_structures(path)[0]
    found = acepot.Potential(model, threads=1).compute_all(structures)
    away = [
        1000 * (one.energy - other.energy) / len(other)
        for one, other in zip(found, structures, strict=True)
        if other.energy is not None
    ]
    said = ", ".join(f"{one:+.0f}" for one in away)
    return f"structures that were not fitted ({path.name}): {said} meV/atom"


def config(args: argparse.Namespace, seed: int) -> NestedConfig:
    """A run at one pressure."""
    each, (low, high) = args.atoms // len(alloy_model.METALS), alloy_model.VOLUMES
    return NestedConfig(
        model=str(args.folder / "fit" / "model.acepot"),
        structure=Atoms(dict.fromkeys(alloy_model.METALS, each)),
        ensemble=EnsembleSettings((args.pressure,), high, low),
        run=Run(args.walkers, args.length, args.batch, seed, threads=1),
        stop=StopSettings(args.coldest),
        guards=Guards(alloy_model.least(alloy_model.CLOSEST), "allow"),
        output=Output(culled=max(args.walkers // 8, 1)),
    )


def run(args: argparse.Namespace, seed: int) -> tuple[Path, str]:
    """One run, and what it cost."""
    home = args.folder / f"{args.atoms}-{seed}"
    home.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    try:
        sample(config(args, seed), home / "run", say=print, plots=False)
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


# ------------------------------------------------------------------ what is found


def rows(name: str, found: AtPressure) -> list[str]:
    """A row for each peak, from high temperature to low."""
    n = found.atoms
    return [
        f"| {name} | {peak.temperature} | {peak.height.value / n:.1f} | {peak.width.value:.0f} "
        f"| {1000 * peak.latent_heat.value / n:.0f} | {peak.step.value / n:.2f} "
        f"| {'yes' if peak.resolved else 'no'} |"
        for peak in reversed(found.peaks)
    ]


def structures(
    folders: Sequence[Path], potential: acepot.Potential, temperatures: Sequence[float]
) -> list[str]:
    """What configurations at some temperatures quench to, and who their neighbours are."""
    lines = [
        f"| K | lattice | with elements | {' | '.join(map('-'.join, PAIRS))} | like |",
        "|---" * (len(PAIRS) + 4) + "|",
    ]
    runs = [read_run(folder)[0] for folder in folders]
    frames, lowest = [read_frames(one.frames, one.samples) for one in runs], np.inf
    for t in temperatures:
        lattices, orders = defaultdict[str, float](float), defaultdict[str, float](float)
        mean = np.zeros((len(alloy_model.METALS),) * 2)
        for one, of_run in zip(runs, frames, strict=True):
            sums = Sums(one.samples, np.array([t]))
            for structure, share in chosen(of_run, sums, 0, FRAMES):
                end = quench(potential, structure, one.samples.pressure or 0.0)
                found, lowest = end.structure, min(lowest, end.enthalpy / len(structure))
                lattices[label(_alike(found)).name] += share / len(runs)
                orders[label(found).name] += share / len(runs)
                mean += share / len(runs) * neighbours(found)
        numbers = [f"{mean[_at(a), _at(b)]:.2f}" for a, b in PAIRS]
        numbers.append(f"{np.trace(mean) / len(mean):.2f}")
        lines.append(
            f"| {t:.0f} | {_shares(lattices)} | {_shares(orders)} | {' | '.join(numbers)} |"
        )
    return [*lines, f"lowest enthalpy that was reached, eV/atom: {lowest:.3f}"]


def _shares(names: dict[str, float]) -> str:
    first = sorted(names.items(), key=lambda one: -one[1])[:3]
    return "; ".join(f"{share:.0%} {name}" for name, share in first)


def _alike(structure: Structure) -> Structure:
    """The same with atoms of one element."""
    numbers = np.full(len(structure), structure.numbers[0])
    return Structure(numbers, structure.positions, structure.cell, structure.pbc)


def _at(name: str) -> int:
    return alloy_model.METALS.index(name)


def neighbours(structure: Structure) -> np.ndarray:
    """How many of the eight nearest neighbours of an atom are of each element, shape (4, 4)."""
    edges = build(structure, 4.5)
    lengths = np.linalg.norm(edges.vector, axis=1)
    elements = np.array([_at(SYMBOLS[z]) for z in structure.numbers])
    table = np.zeros((len(alloy_model.METALS),) * 2)
    for atom in range(len(structure)):
        own = np.flatnonzero(edges.centre == atom)
        near = own[np.argsort(lengths[own])[:SHELL]]
        np.add.at(table[elements[atom]], elements[edges.neighbour[near]], 1.0)
    return table * len(alloy_model.METALS) / len(structure)


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


def forecast(depth: float, micro: float, cores: int = 1000) -> list[str]:
    """What converged runs would cost, by the iterations and the time that were measured.

    Args:
        depth: iterations in units of N K.
        micro: of an evaluation in µs per atom.
        cores: that share the walks.
    """
    at_once, runs = LENGTH // FOLLOWING, cores * FOLLOWING // LENGTH
    lines = [
        f"forecast for one pressure: {WALKERS} walkers, {LENGTH} evaluations an iteration, "
        f"{FOLLOWING} of them one after the other, of {at_once} walkers at once; {depth:.1f} N K "
        f"iterations, {micro:.1f} µs per atom, {ROUND_TRIP:g} s an iteration for its distribution; "
        f"{cores} cores make {runs} runs at a time",
        f"| atoms | evaluations | core hours of these | hours on {cores} cores, {runs} runs |",
        "|---" * 4 + "|",
    ]
    for atoms in (32, 64):
        iterations, one = depth * atoms * WALKERS, 1e-6 * atoms * micro
        busy = iterations * LENGTH * one / 3600
        hours = iterations * (FOLLOWING * one + ROUND_TRIP) / 3600
        lines.append(f"| {atoms} | {iterations * LENGTH:.1e} | {busy:.0f} | {hours:.1f} |")
    return lines


def report(args: argparse.Namespace, made: list[tuple[Path, str]]) -> list[str]:
    """Cost, peaks and structures of all runs, and the forecast."""
    folders = [home for home, _ in made]
    potential = acepot.Potential(acepot.load(args.folder / "fit" / "model.acepot"), threads=1)
    last = read_structures(folders[0] / "P0.culled.extxyz")[0][-16:]
    here, large = (cost(potential, last, times) for times in (1, 2))
    lines = [
        f"an evaluation of 16 crystals takes {here:.1f} µs per atom, {large:.1f} with eight times "
        "as many atoms",
        f"{args.atoms} atoms at {args.pressure:g} GPa, {args.walkers} walkers, {args.length} "
        f"evaluations an iteration in batches of {args.batch}, to {args.coldest:g} K",
        *(told for _, told in made),
        alloy_model.orders(potential.model, last[-1].volume / args.atoms),
        f"| | {HEADER} |",
        "|---" * 7 + "|",
    ]
    choices = Choices((1.1 * args.coldest, args.hottest))
    together = analyse(folders, choices).pressures[0]
    if len(made) > 1:
        lines += rows("all runs", together)
    for seed, folder in zip(args.seeds, folders, strict=True):
        lines += rows(f"seed {seed}", analyse([folder], choices).pressures[0])
    hot = max((one.temperature.value for one in together.peaks), default=args.hottest / 2)
    looked = [part * hot for part in LOOKED_AT if part * hot > args.coldest]
    lines += ["", *structures(folders, potential, looked), ""]
    depth = np.mean([count(folder) for folder in folders]) / args.walkers / args.atoms
    return lines + forecast(float(depth), large)


def main() -> None:
    """Make everything that is not there yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--atoms", type=int, default=8, help="a multiple of four")
    parser.add_argument("--pressure", type=float, default=0.1, help="GPa")
    parser.add_argument("--walkers", type=int, default=96)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--coldest", type=float, default=300.0, help="K")
    parser.add_argument("--hottest", type=float, default=5000.0, help="K")
    parser.add_argument("--folder", type=Path, default=Path("alloy"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    model = fit(args)
    made = [run(args, seed) for seed in args.seeds]
    text = "\n".join([machine(), *model, *report(args, made)])
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
