"""Hamiltonians: errors on published data, levels, bands of aluminium, and cost.

    python benchmarks/hamiltonian.py si64 ../shared/data/hamiltonians/deeptb_si64
    python benchmarks/hamiltonian.py cost ../shared/data/hamiltonians/deeptb_si64
    acepot hamiltonian fit benchmarks/data/aluminium/aluminium.toml --out Al

si64: the off-site split of 48 and 16 atoms of a disordered cell of silicon. cost: CPU time of H and
S of cells of growing size with the model of that fit, and of levels near the gap by shift and
invert. Both print a table; results/hamiltonian.md keeps them.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np

from acepot.hamiltonian.accuracy import Error
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.families import matched
from acepot.hamiltonian.fit import fit_hamiltonian
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.matrices import OrbitalMatrix, Snapshot
from acepot.hamiltonian.spectrum import Mesh, levels, levels_near
from acepot.model import HamiltonianModel
from acepot.structure import Structure

#: k at which levels are compared, and the occupied levels of Si64.
POINTS = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.13, 0.27, 0.41]])
OCCUPIED = 128


def fitted(snapshot: Snapshot) -> HamiltonianModel:
    """The model of blocks between the first 48 atoms."""
    known = np.arange(len(snapshot.structure)) < 48
    began, wall = time.process_time(), time.perf_counter()
    model = fit_hamiltonian([replace(snapshot, known=known)]).model
    spent = time.process_time() - began, time.perf_counter() - wall
    print(f"fit: {spent[0]:.1f} s of CPU, {spent[1]:.1f} s")
    return model


def si64(snapshot: Snapshot) -> None:
    """Errors of blocks whose first atom was not fitted, and of levels."""
    model = fitted(snapshot)
    structure = snapshot.structure
    found = HamiltonianEvaluator(model).matrices(structure)
    given = snapshot.hamiltonian
    one = given.pairs[14, 14]
    off = matched(one.index, found.hamiltonian[0].pairs[14, 14]) - one.values
    new, length = one.index[:, 0] >= 48, np.linalg.norm(given.vectors((14, 14)), axis=1)
    print("| blocks of the 16 other atoms | count | MAE meV | RMSE meV |\n|---|---|---|---|")
    for name, chosen in (
        ("atoms", one.onsite), ("bonds", ~one.onsite), ("bonds < 6 Å", ~one.onsite & (length < 6)),
    ):  # fmt: skip
        error = Error.of(name, [off[chosen & new]])
        print(f"| {name} | {error.count} | {error.mae:.3f} | {error.rmse:.3f} |")
    s = snapshot.overlap.pairs[14, 14]
    largest = np.abs(matched(s.index, found.overlap.pairs[14, 14]) - s.values).max()
    print(f"largest error of S {largest:.1e}")
    onsite = OrbitalMatrix(structure, given.orbitals, {(14, 14): replace(
        found.hamiltonian[0].pairs[14, 14],
        values=_with_onsite(found.hamiltonian[0], given),
    )})  # fmt: skip
    print("| k | occupied levels, MAE meV | only blocks of bonds predicted | gap | true gap |")
    print("|---|---|---|---|---|")
    for k in POINTS:
        points = Mesh(k[None], np.ones(1))
        true = levels(given, snapshot.overlap, points).energies[0]
        mine = levels(found.hamiltonian[0], found.overlap, points).energies[0]
        bonds = levels(onsite, found.overlap, points).energies[0]
        gap = [e[OCCUPIED] - e[OCCUPIED - 1] for e in (mine, true)]
        mae = [1e3 * np.abs((e - true)[:OCCUPIED]).mean() for e in (mine, bonds)]
        print(f"| {k.tolist()} | {mae[0]:.2f} | {mae[1]:.2f} | {gap[0]:.3f} | {gap[1]:.3f} |")


def _with_onsite(made: OrbitalMatrix, given: OrbitalMatrix) -> np.ndarray:
    """The values of a prediction with the true blocks of atoms with themselves."""
    values, own = made.pairs[14, 14].values.copy(), made.pairs[14, 14].onsite
    values[own] = matched(made.pairs[14, 14].index[own], given.pairs[14, 14])
    return values


def cost(snapshot: Snapshot) -> None:
    """CPU time of H and S, atom by atom, and of levels near the gap."""
    evaluator = HamiltonianEvaluator(fitted(snapshot), threads=1)
    one = snapshot.structure
    print("| atoms | bonds | H and S, CPU s | µs per bond | ms per atom | 20 levels at Γ, CPU s |")
    print("|---|---|---|---|---|---|")
    for repeat in ((1, 1, 1), (2, 2, 2), (4, 4, 4)):
        structure = repeated(one, repeat)
        count, spent = len(structure), []
        for _ in range(3 if count < 1000 else 1):
            began = time.process_time()
            made = evaluator.matrices(structure)
            spent.append(time.process_time() - began)
        cpu, bonds = float(np.median(spent)), made.hamiltonian[0].count - count
        near = "–"
        if count <= 600:
            began = time.process_time()
            levels_near(made.hamiltonian[0], made.overlap, np.zeros(3), -3.0, 20)
            near = f"{time.process_time() - began:.1f}"
        row = f"{cpu:.2f} | {1e6 * cpu / bonds:.1f} | {1e3 * cpu / count:.2f} | {near}"
        print(f"| {count} | {bonds} | {row} |", flush=True)


def repeated(one: Structure, by: tuple[int, int, int]) -> Structure:
    """A cell several times along each of its vectors."""
    shifts = np.array(list(np.ndindex(*by))) @ one.cell
    places = (one.positions[None] + shifts[:, None]).reshape(-1, 3)
    return Structure(
        np.tile(one.numbers, len(shifts)), places, one.cell * np.array(by)[:, None], one.pbc
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("si64", "cost"))
    parser.add_argument("data", help="folder of DeePTB with Si64")
    options = parser.parse_args()
    {"si64": si64, "cost": cost}[options.what](read(options.data)[0].snapshot)
