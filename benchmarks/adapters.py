"""What the adapters cost: CPU time per step of OpenMM and ASE around a model that costs nothing.

    OMP_NUM_THREADS=1 python benchmarks/adapters.py [--rounds 15]

Verlet dynamics of silicon at rest. The null model is the adapter with its kernel replaced by one
that returns zeros made beforehand, so what remains is the way from the host's arrays to the kernel
and back; "free" is the engine with the same integrator and no force (ASE: a calculator that returns
zeros). Times are the least of all rounds: other work on the machine only adds to them.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import openmm
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.md.verlet import VelocityVerlet

import acepot
from acepot.evaluate.protocol import Totals
from ase_ace import ACECalculator
from openmm_ace.force import ACEComputation, create_force

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
SIZES = {64: 2, 1000: 5, 10648: 11}  # atoms: cells along an edge


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=15)
    rounds = options.parse_args().rounds
    model = acepot.load(MODEL)
    print("atoms, platform: µs per step free, with the null model, added; limit")
    for count, repeat in SIZES.items():
        positions, cell = _silicon(repeat)
        count = len(positions)
        for platform in ("Reference", "CPU"):
            runs = {
                "free": _openmm(positions, cell, None, platform),
                "null": _openmm(positions, cell, _null_force(count), platform),
            }
            _report(f"{count:6d} OpenMM {platform:9s}", runs, rounds, 25 + 0.015 * count)
        runs = {
            "free": _ase(positions, cell, Nothing()),
            "null": _ase(positions, cell, ACECalculator(NullPotential(model, threads=1))),
        }
        _report(f"{count:6d} ASE             ", runs, rounds, 60 + 0.03 * count)
    print("the shipped model itself, µs per atom and step: its kernel alone, in OpenMM, in ASE")
    for repeat in (2, 5):
        positions, cell = _silicon(repeat)
        numbers = np.full(len(positions), 14)
        bound = acepot.Potential(model, threads=1).bind(numbers, True)
        force = create_force(model, numbers, periodic=True, threads=1)
        runs = {
            "kernel": lambda n, b=bound, p=positions, c=cell: [b.compute(p, c) for _ in range(n)],
            "OpenMM": _openmm(positions, cell, force, "Reference"),
            "ASE": _ase(positions, cell, ACECalculator(acepot.Potential(model, threads=1))),
        }
        times = _measure(runs, rounds)
        line = ", ".join(f"{name} {t / len(positions):.2f}" for name, t in times.items())
        print(f"{len(positions):6d} {line}")


def _report(name: str, runs: dict[str, Callable], rounds: int, limit: float) -> None:
    times = _measure(runs, rounds)
    added = times["null"] - times["free"]
    print(f"{name} {times['free']:7.1f} {times['null']:7.1f} {added:7.1f}; {limit:.0f}", flush=True)


def _measure(runs: dict[str, Callable], rounds: int) -> dict[str, float]:
    """Least CPU time per step in µs; the runs alternate."""
    steps = {}
    for name, run in runs.items():
        run(3)
        begin = time.process_time()
        run(10)
        steps[name] = max(3, int(10 * 0.1 / max(time.process_time() - begin, 1e-4)))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.process_time()
            run(steps[name])
            times[name].append(1e6 * (time.process_time() - begin) / steps[name])
    return {name: min(values) for name, values in times.items()}


# ------------------------------------------------------------------ OpenMM


def _null_force(count: int) -> openmm.PythonForce:
    computation = ACEComputation(MODEL.read_bytes(), [14] * count, True, 1)
    zeros = Totals(np.zeros(count), np.zeros((count, 3)), np.zeros((3, 3)))
    computation._compute = lambda positions, cell: zeros
    force = openmm.PythonForce(computation)
    force.setUsesPeriodicBoundaryConditions(True)
    return force


def _openmm(
    positions: np.ndarray, cell: np.ndarray, force: openmm.Force | None, platform: str
) -> Callable[[int], None]:
    system = openmm.System()
    for _ in positions:
        system.addParticle(28.085)
    system.setDefaultPeriodicBoxVectors(*(0.1 * cell))
    if force is not None:
        system.addForce(force)
    integrator = openmm.VerletIntegrator(0.001)
    properties = {"Threads": "1"} if platform == "CPU" else {}
    context = openmm.Context(
        system, integrator, openmm.Platform.getPlatformByName(platform), properties
    )
    context.setPositions(0.1 * positions)

    def run(steps: int, keep: object = context) -> None:
        integrator.step(steps)

    return run


# ------------------------------------------------------------------ ASE


class Nothing(Calculator):
    """The cheapest calculator that ASE can have."""

    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):  # noqa: D102
        super().calculate(atoms, properties, system_changes)
        if "forces" not in self.results or len(self.results["forces"]) != len(atoms):
            self._zeros = np.zeros((len(atoms), 3))
        self.results = {"energy": 0.0, "forces": self._zeros}


class NullPotential(acepot.Potential):
    """Bound, it returns zeros made beforehand."""

    def bind(self, numbers, pbc):  # noqa: D102
        zeros = Totals(np.zeros(len(numbers)), np.zeros((len(numbers), 3)), np.zeros((3, 3)))
        return SimpleNamespace(compute=lambda positions, cell: zeros)


def _ase(positions: np.ndarray, cell: np.ndarray, calculator: Calculator) -> Callable[[int], None]:
    atoms = Atoms(f"Si{len(positions)}", positions, cell=cell, pbc=True)
    atoms.set_velocities(np.full(positions.shape, 1e-5))
    atoms.calc = calculator
    return VelocityVerlet(atoms, timestep=0.1).run


def _silicon(repeat: int) -> tuple[np.ndarray, np.ndarray]:
    """Diamond silicon, 8 repeat³ atoms, in Å."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    return 5.43 * (cells + basis).reshape(-1, 3), 5.43 * repeat * np.eye(3)


if __name__ == "__main__":
    main()
