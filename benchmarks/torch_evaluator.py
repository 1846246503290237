"""The torch evaluator beside the native one: time per atom on one core, and memory.

    OMP_NUM_THREADS=1 python benchmarks/torch_evaluator.py [--rounds 5] [--device cpu]

Energies, forces and per-atom virials of perturbed crystals. The native times include its
neighbour list; the torch times do not, its list is given apart. CPU time on a processor, medians
of alternating rounds. DATA holds the potential Cu-PBE-core-rep; it is skipped where absent. Memory
is that of one process for each model, at 10,000 atoms.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import acepot
from acepot.evaluate.native import NativeEvaluator
from acepot.evaluate.torch_module import AceModule, forces_and_virials
from acepot.lowering import lower
from acepot.neighbours import build
from acepot.tables import Tables

ROOT = Path(__file__).parents[1]
PACE = ROOT.parent / "shared" / "data" / "pace_potentials"
MODELS = {
    "silicon": (ROOT / "models" / "Si-mlearn" / "model.acepot", 5.46),
    "copper": (PACE / "cu_pbe_core_rep" / "Cu-PBE-core-rep.ace", 3.63),
}
FCC = [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0]]
DIAMOND = [*FCC, [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]


def crystal(name: str, atoms: int) -> acepot.Structure:
    """About so many atoms, displaced by 0.05 Å."""
    sites, number = (DIAMOND, 14) if name == "silicon" else (FCC, 29)
    edge = MODELS[name][1]
    repeat = round((atoms / len(sites)) ** (1 / 3))
    shifts = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1)
    positions = edge * (np.array(sites) / 4 + shifts.reshape(-1, 1, 3)).reshape(-1, 3)
    positions += np.random.default_rng(0).normal(scale=0.05, size=positions.shape)
    numbers = np.full(len(positions), number)
    return acepot.Structure(numbers, positions, edge * repeat * np.eye(3), True)


def torch_call(
    tables: Tables, structure: acepot.Structure, device: str, dtype: torch.dtype, script: bool
) -> Callable[[], None]:
    """An evaluation with its neighbour list ready on the device."""
    module = AceModule(tables, dtype).to(device)
    if script:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.script(module)
    edges = build(structure, float(tables.cutoff.max()))
    species = np.zeros(len(structure), dtype=np.int64)
    arrays = (species, edges.centre, edges.neighbour, edges.vector)
    arguments = [torch.from_numpy(a).to(device) for a in arrays]

    def call() -> None:
        _, gradient = module(*arguments)
        forces_and_virials(gradient, *arguments[1:], len(species))
        if gradient.is_cuda:
            torch.cuda.synchronize()

    return call


def times(name: str, atoms: int, rounds: int, device: str) -> None:
    """Print µs per atom of every evaluator."""
    tables = lower(acepot.load(MODELS[name][0]))
    structure = crystal(name, atoms)
    native = NativeEvaluator(tables, 1)
    double, single = torch.float64, torch.float32
    work: dict[str, Callable[[], object]] = {
        "native": lambda: native.evaluate([structure]),
        "torch": torch_call(tables, structure, device, double, False),
        "TorchScript": torch_call(tables, structure, device, double, True),
        "torch, single": torch_call(tables, structure, device, single, False),
        "list": lambda: build(structure, float(tables.cutoff.max())),
    }
    clock = time.process_time if device == "cpu" else time.perf_counter
    found: dict[str, list[float]] = {key: [] for key in work}
    for call in work.values():
        call()
    for _ in range(rounds):
        for key, call in work.items():
            begin = clock()
            call()
            found[key].append(1e6 * (clock() - begin) / len(structure))
    text = ", ".join(f"{key} {statistics.median(t):.1f}" for key, t in found.items())
    print(f"{name}, {len(structure)} atoms, {device}: {text} µs per atom", flush=True)


def memory(name: str) -> None:
    """Print the peak memory of this process before and after 10,000 atoms."""
    tables = lower(acepot.load(MODELS[name][0]))
    call = torch_call(tables, crystal(name, 10_000), "cpu", torch.float64, False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    call()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{name}, 10,000 atoms: {after / 1024:.0f} MB at most, {before / 1024:.0f} before")


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--device", default="cpu")
    options.add_argument("--memory", help=argparse.SUPPRESS)
    given = options.parse_args()
    torch.set_num_threads(1)
    if given.memory:
        memory(given.memory)
        return
    for name in (name for name, (path, _) in MODELS.items() if path.exists()):
        for atoms in (64, 1_000):
            times(name, atoms, given.rounds, given.device)
        subprocess.run([sys.executable, __file__, "--memory", name], check=True)


if __name__ == "__main__":
    main()
