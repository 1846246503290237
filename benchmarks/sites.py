"""What the verbs of site outputs cost, relative to energies and forces of the same basis.

    OMP_NUM_THREADS=1 python benchmarks/sites.py [--rounds 5] [--atoms 64]

Silicon, perturbed diamond, the shipped model's basis (L = 0) and vectors and tensors of a smaller
one. Neighbour lists included; the oracle and torch on a processor, calls in turn, medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import acepot
from acepot.evaluate.protocol import require
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.evaluate.torch.evaluator import TorchEvaluator
from acepot.tables import Tables

MODEL = Path(__file__).parents[1] / "models" / "Si-mlearn" / "model.acepot"


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--atoms", type=int, default=64)
    given = options.parse_args()
    structure = diamond(given.atoms)
    energy = acepot.lower(acepot.load(MODEL))
    tensors = acepot.lower(
        acepot.resolve(
            acepot.BasisSpec(
                ("Si",),
                order=3,
                degree=10,
                cutoff=5.0,
                irreps=("0e", "1o", "2e"),
                pair={"degree": 0},
            )
        )
    )
    print(f"{len(structure)} atoms; µs per atom, and relative to energies and forces")
    for name, kind in (("oracle", ReferenceEvaluator), ("torch", TorchEvaluator)):
        alone = first_member(energy)
        report(name, f"L = 0, {energy.functions} functions", kind, alone, structure, given.rounds)
        sizes = ", ".join(f"{n} {i}" for n, i in zip(tensors.sizes, tensors.irreps, strict=True))
        report(name, f"functions {sizes}", kind, tensors, structure, given.rounds)


def first_member(tables: Tables) -> Tables:
    """The model without its committee."""
    model = acepot.load(MODEL)
    return acepot.lower(acepot.Model(model.basis, model.coefficients[:1], model.e0), basis=tables)


def report(
    name: str,
    what: str,
    kind: Callable[[Tables], ReferenceEvaluator | TorchEvaluator],
    tables: Tables,
    structure: acepot.Structure,
    rounds: int,
) -> None:
    """Print the times of every verb of one evaluator."""
    rng = np.random.default_rng(1)
    every, u = kind(tables.basis), rng.normal(size=structure.positions.shape)
    adjoint = [
        rng.normal(size=(len(structure), w, i.dim))
        for w, i in zip(every.tables.widths, every.tables.irreps, strict=True)
    ]
    work: dict[str, Callable[[], object]] = {}
    if tables.is_energy:
        model = kind(tables)
        work["energies and forces"] = lambda: require(model.evaluate([structure]))
    work |= {
        "values": lambda: require(every.values([structure])),
        "jvp": lambda: require(every.jvp([structure], [u])),
        "pullback": lambda: require(every.pullback([structure], [adjoint])),
        "rows": lambda: require(every.rows([structure])),
    }
    times: dict[str, list[float]] = {key: [] for key in work}
    for call in work.values():
        call()
    for _ in range(rounds):
        for key, call in work.items():
            begin = time.perf_counter()
            call()
            times[key].append(1e6 * (time.perf_counter() - begin) / len(structure))
    medians = {key: statistics.median(found) for key, found in times.items()}
    unit = medians.get("energies and forces", medians["values"])
    parts = ", ".join(f"{key} {value:.0f} ({value / unit:.2f})" for key, value in medians.items())
    print(f"{name}, {what}: {parts}", flush=True)


def diamond(atoms: int) -> acepot.Structure:
    """Perturbed diamond silicon, at least so many atoms."""
    repeat = int(np.ceil((atoms / 8) ** (1 / 3)))
    corners = np.array(
        [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [3, 3, 3], [3, 1, 1], [1, 3, 1], [1, 1, 3]]
    )
    cells = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = 5.43 * (corners / 4 + cells[:, None]).reshape(-1, 3)
    positions += np.random.default_rng(7).normal(scale=0.05, size=positions.shape)
    return acepot.Structure(np.full(len(positions), 14), positions, 5.43 * repeat * np.eye(3), True)


if __name__ == "__main__":
    main()
