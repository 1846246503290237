"""Nested sampling of a periodic Lennard-Jones system at P* = 0.03162: where it boils and melts.

    OMP_NUM_THREADS=1 python benchmarks/nested_lj.py [--atoms 32] [--walkers 128] [--seeds 2] …

In reduced units: an eV is ε and an Å is σ. Pairs are cut at 2.5 σ, and what is beyond is added for
a homogeneous fluid of the same density, so that bulk theory of the whole potential holds: the
vapour pressure of Lotfi, Vrabec and Fischer, Mol. Phys. 76, 1319 (1992), and the melting line of
Agrawal and Kofke, Mol. Phys. 85, 43 (1995). The potential is one pair function in a table: the
native evaluator computes it like any model's. A folder that was interrupted goes on.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from machine import machine
from scipy.optimize import brentq

from acepot.basis.irrep import SCALAR
from acepot.basis.jet import Jet
from acepot.basis.splines import Knots, tabulate
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.protocol import BoundMany
from acepot.sampling.analysis.pipeline import AtPressure, Choices, analyse
from acepot.sampling.config import Atoms, EnsembleSettings, NestedConfig, Output, Run, StopSettings
from acepot.sampling.energies import Energies, PotentialEnergies
from acepot.sampling.limits import Guards
from acepot.sampling.run import sample
from acepot.sampling.settings import Exchange, Tuning
from acepot.structure import Structure
from acepot.tables import Products, RadialTable, Tables
from acepot.units import BOLTZMANN, GIGAPASCAL

PRESSURE = 0.03162
#: Where the table begins and the pairs are cut, and how far its knots are apart, in σ. Closer pairs
#: are refused: u(0.25) is 7e7 ε.
BEGIN, CUTOFF, SPACING = 0.25, 2.5, 0.005
#: Columns of the table of peaks and what they show of one.
_HEADER = "kT of the peak | C/k of an atom | ΔH/ε of an atom | ΔV/σ³ of an atom | two phases"


def pair(r: np.ndarray) -> Jet:
    """Half of u(r) = 4 (r^-12 - r^-6) over Y_00, as the density of an atom sums it."""
    sixth = r**-6.0
    half = np.sqrt(np.pi)
    value = 4 * sixth * (sixth - 1)
    first = -24 * sixth * (2 * sixth - 1) / r
    second = 24 * sixth * (26 * sixth - 7) / r**2
    return Jet(*(half * one[None] for one in (value, first, second)))


def tables() -> Tables:
    """One element, one function of one neighbour, and its coefficient 1."""
    knots = Knots(BEGIN, SPACING, round((CUTOFF - BEGIN) / SPACING))
    coefficients, error = tabulate(pair, knots)
    one, zeros = np.array([[1.0]]), np.zeros(1, np.int32)
    radial = RadialTable(
        BEGIN * one, SPACING * one, np.array([[knots.bins]], np.int32), coefficients[None, None],
        np.zeros((1, 1), np.int32), float(error.max()),
    )  # fmt: skip
    products = Products(
        np.zeros((1, 1), np.int32), zeros, zeros, np.ones(1), np.zeros(1), np.ones((1, 1, 1)),
        np.zeros((1, 0, 1)),
    )  # fmt: skip
    return Tables(
        np.array([18], np.int32), CUTOFF * one, (radial,), zeros, zeros, zeros, zeros, (products,),
        np.zeros(1), (SCALAR,), (1,), (1,),
    )  # fmt: skip


class Pairs:
    """What `PotentialEnergies` asks of a potential."""

    def __init__(self) -> None:
        self.tables = tables()
        self._native = NativeEvaluator(self.tables, 1)

    def bind_many(self, structures: list[Structure]) -> BoundMany:
        """As `Potential`."""
        return self._native.bind_many(structures)


class LennardJones:
    """Energies of pairs within the cut-off, and of a homogeneous fluid beyond."""

    def __init__(self) -> None:
        self._pairs = PotentialEnergies(Pairs())

    def compute(
        self, numbers: np.ndarray, positions: np.ndarray, cells: np.ndarray, out: Energies
    ) -> None:
        """As `EnergyModel`.

        Beyond: (N/2) ρ ∫ u 4π r² dr = (8π/3) N ρ (rc^-9/3 - rc^-3), which has no forces.
        """
        self._pairs.compute(numbers, positions, cells, out)
        n = numbers.shape[1]
        density = n / np.linalg.det(cells)
        out.energy[:] += 8 * np.pi / 3 * n * density * (CUTOFF**-9 / 3 - CUTOFF**-3)


def boiling() -> float:
    """T where the vapour pressure, ln P = 1.2629 T - 4.8095/T - 0.15115/T⁴, is that of here."""

    def away(t: float) -> float:
        return 1.2629 * t - 4.8095 / t - 0.15115 / t**4 - float(np.log(PRESSURE))

    return float(brentq(away, 0.7, 1.3))


def melting() -> float:
    """T where P = β^(-5/4) e^(-0.4759 √β) (16.89 - 7.19 β - 3.028 β²) is that of here."""

    def away(t: float) -> float:
        b = 1 / t
        powers = 16.89 - 7.19 * b - 3.028 * b * b
        return float(b**-1.25 * np.exp(-0.4759 * np.sqrt(b)) * powers) - PRESSURE

    return float(brentq(away, 0.6, 1.0))


def config(args: argparse.Namespace, seed: int) -> NestedConfig:
    """A run of free cells from three times the volume of the vapour that condenses."""
    return NestedConfig(
        model="Lennard-Jones",
        structure=Atoms({"Ar": args.atoms}),
        ensemble=EnsembleSettings((PRESSURE / GIGAPASCAL,), args.volume, min_aspect=args.aspect),
        run=Run(args.walkers, args.length, args.batch, seed, threads=1),
        stop=StopSettings(args.coldest / BOLTZMANN),
        tuning=Tuning(args.walkers),
        exchange=Exchange(0),
        guards=Guards(0.0),
        output=Output(culled=args.walkers),
    )


def rows(found: AtPressure) -> list[str]:
    """A row for each peak, and what is expected of boiling and melting."""
    expected = {"boiling": boiling(), "melting": melting()}
    n = found.atoms
    lines = [f"| | {_HEADER} |", "|---" * 6 + "|"]
    for peak in reversed(found.peaks):
        t, height = peak.temperature, peak.height
        name = min(expected, key=lambda one: abs(expected[one] - BOLTZMANN * t.value))
        error = f" ± {BOLTZMANN * t.error:.4f}" if t.error is not None else ""
        lines.append(
            f"| near {name}, {expected[name]:.3f} in the bulk | {BOLTZMANN * t.value:.4f}{error} "
            f"| {height.value / n:.1f} | {peak.latent_heat.value / n:.2f} "
            f"| {peak.step.value / n:.2f} | {'yes' if peak.resolved else 'no'} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--atoms", type=int, default=32)
    parser.add_argument("--walkers", type=int, default=128)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--volume", type=float, default=60.0, help="largest, of an atom in σ³")
    parser.add_argument("--aspect", type=float, default=0.7)
    parser.add_argument("--coldest", type=float, default=0.5, help="kT in ε")
    parser.add_argument("--folder", type=Path, default=Path("lj"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    folders = [args.folder / f"{args.atoms}-{seed}" for seed in args.seeds]
    for seed, folder in zip(args.seeds, folders, strict=True):
        began = time.process_time()
        try:
            sample(config(args, seed), folder, say=print, plots=False, energies=LennardJones())
        finally:
            with (folder / "seconds").open("a") as file:
                file.write(f"{time.process_time() - began}\n")
    text = report(args, folders)
    print(text)
    if args.out:
        with args.out.open("a") as file:
            file.write(text + "\n\n")


def report(args: argparse.Namespace, folders: list[Path]) -> str:
    """The peaks of all runs together and of each, and what they cost."""
    lines = [
        f"{args.atoms} atoms, P* = {PRESSURE}, {args.walkers} walkers, {args.length} evaluations "
        f"an iteration in batches of {args.batch}, aspect above {args.aspect}, "
        f"{args.volume:g} σ³ an atom at most; {machine()}"
    ]
    for folder in folders:
        seconds = sum(map(float, (folder / "seconds").read_text().split()))
        iterations = len((folder / "P0.energies").read_text().splitlines()) - 1
        lines.append(
            f"seed {folder.name.split('-')[1]}: {iterations} iterations, "
            f"{iterations * args.length / 1e6:.2f} million evaluations, {seconds:.0f} s CPU"
        )
    choices = Choices((1.1 * args.coldest / BOLTZMANN, 1.3 / BOLTZMANN))
    groups = [folders] if len(folders) == 1 else [folders, *([one] for one in folders)]
    for group in groups:
        lines.append("all runs:" if group is folders else f"{group[0].name}:")
        lines += rows(analyse(group, choices).pressures[0])
    return "\n".join(lines)


if __name__ == "__main__":
    main()
