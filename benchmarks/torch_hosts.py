"""What the kernel costs inside torch: CPU time per step in metatomic-ase and TorchForce.

    OMP_NUM_THREADS=1 python benchmarks/torch_hosts.py [--rounds 7]

The shipped silicon model, one thread, Verlet dynamics at rest. Lines of what is not installed are
left out: TorchForce needs the environment of `make test-torchforce`, metatomic the usual one.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

import acepot
import torch_ace

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"
SIZES = (2, 5, 11)  # cells along an edge


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=7)
    rounds = options.parse_args().rounds
    warnings.simplefilter("ignore", DeprecationWarning)
    torch.set_num_threads(1)
    model = acepot.load(MODEL)
    print("µs of CPU time per step; least of all rounds")
    for repeat in SIZES:
        positions, cell = silicon(repeat)
        with tempfile.TemporaryDirectory() as folder:
            runs = {"kernel": kernel(model, positions, cell)}
            runs["operator"] = operator(model, positions, cell)
            if find_spec("openmmtorch"):
                runs |= torchforce(positions, cell, Path(folder))
            if find_spec("metatomic_ase"):
                runs |= metatomic(positions, cell, Path(folder))
            times = measured(runs, rounds)
        line = ", ".join(f"{name} {t:.0f}" for name, t in times.items())
        print(f"{len(positions):6d} atoms: {line}", flush=True)


def measured(runs: dict[str, Callable[[int], None]], rounds: int) -> dict[str, float]:
    steps, times = {}, {name: [] for name in runs}
    for name, run in runs.items():
        run(3)
        begin = time.process_time()
        run(3)
        steps[name] = max(1, int(3 * 0.1 / max(time.process_time() - begin, 1e-4)))
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.process_time()
            run(steps[name])
            times[name].append(1e6 * (time.process_time() - begin) / steps[name])
    return {name: min(values) for name, values in times.items()}


def kernel(model: acepot.Model, positions: np.ndarray, cell: np.ndarray) -> Callable[[int], None]:
    bound = acepot.Potential(model, threads=1).bind(np.full(len(positions), 14), True)

    def run(steps: int) -> None:
        for _ in range(steps):
            bound.compute(positions, cell)

    return run


def operator(model: acepot.Model, positions: np.ndarray, cell: np.ndarray) -> Callable[[int], None]:
    module = torch.jit.script(torch_ace.NativeStructureModule(model))
    species = torch.zeros(len(positions), dtype=torch.int64)
    places, rows = torch.tensor(positions), torch.tensor(cell)
    pbc = torch.ones(3, dtype=torch.bool)

    def run(steps: int) -> None:
        for _ in range(steps):
            module(species, places, rows, pbc)

    return run


class Nothing(torch.nn.Module):
    """A TorchForce that costs nothing."""

    def forward(self, positions: torch.Tensor, box: torch.Tensor):  # noqa: D102
        return box[0, 0] * 0.0, torch.zeros_like(positions.detach())


def torchforce(
    positions: np.ndarray, cell: np.ndarray, folder: Path
) -> dict[str, Callable[[int], None]]:
    import openmm
    import openmmtorch

    from openmm_ace import create_torch_force

    torch.jit.script(Nothing()).save(str(folder / "nothing.pt"))
    null = openmmtorch.TorchForce(str(folder / "nothing.pt"))
    null.setOutputsForces(True)
    null.setUsesPeriodicBoundaryConditions(True)
    native = create_torch_force(
        MODEL, ["Si"] * len(positions), folder / "native.pt", periodic=True, backend="native"
    )
    runs = {}
    for name, force in {"TorchForce null": null, "TorchForce native": native}.items():
        system = openmm.System()
        for _ in positions:
            system.addParticle(28.085)
        system.setDefaultPeriodicBoxVectors(*(0.1 * cell))
        system.addForce(force)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(0.1 * positions)
        runs[name] = lambda n, c=context: c.getIntegrator().step(n)
    return runs


def metatomic(
    positions: np.ndarray, cell: np.ndarray, folder: Path
) -> dict[str, Callable[[int], None]]:
    from ase import Atoms
    from ase.md.verlet import VelocityVerlet
    from metatomic_ase import MetatomicCalculator

    from ase_ace import ACECalculator
    from torch_ace.metatomic import export_metatomic

    extensions = export_metatomic(MODEL, folder / "Si.pt")
    there = MetatomicCalculator(str(folder / "Si.pt"), extensions_directory=str(extensions))
    ours = ACECalculator(acepot.Potential(acepot.load(MODEL), threads=1))
    runs = {}
    for name, calculator in {"ase_ace": ours, "metatomic-ase": there}.items():
        atoms = Atoms(f"Si{len(positions)}", positions, cell=cell, pbc=True)
        atoms.set_velocities(np.full(positions.shape, 1e-5))
        atoms.calc = calculator
        runs[name] = VelocityVerlet(atoms, timestep=0.1).run
    return runs


def silicon(repeat: int) -> tuple[np.ndarray, np.ndarray]:
    """Diamond silicon, 8 repeat³ atoms, in Å."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    basis = np.concatenate((corners, corners + 0.25))
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    return 5.43 * (cells + basis).reshape(-1, 3), 5.43 * repeat * np.eye(3)


if __name__ == "__main__":
    main()
