"""What the verbs of site outputs cost, relative to energies and forces of the same basis.

    OMP_NUM_THREADS=1 python benchmarks/sites.py [--rounds 5] [--atoms 64]

Silicon, perturbed diamond, the shipped model's basis (L = 0) and vectors and tensors of a smaller
one. Neighbour lists included; the native evaluator, the oracle and torch on a processor, calls in
turn, medians of the CPU time of the calling thread. Then, of the native evaluator alone, the ratios
that matter to what is built on site outputs, with the median over the rounds of each ratio.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import acepot
from acepot.evaluate.native import NativeEvaluator
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
    for name, kind in (
        ("native", one_thread), ("oracle", ReferenceEvaluator), ("torch", TorchEvaluator)
    ):  # fmt: skip
        alone = first_member(energy)
        report(name, f"L = 0, {energy.functions} functions", kind, alone, structure, given.rounds)
        sizes = ", ".join(f"{n} {i}" for n, i in zip(tensors.sizes, tensors.irreps, strict=True))
        report(name, f"functions {sizes}", kind, tensors, structure, given.rounds)
    print("native: the median of ratios")
    for what, tables in (("the shipped model", first_member(energy)), ("0e alone", scalars())):
        ratios(what, tables, structure, 4 * given.rounds)
    tensor_ratios(structure, 4 * given.rounds)


def one_thread(tables: Tables) -> NativeEvaluator:
    """The native evaluator in one thread."""
    return NativeEvaluator(tables, 1)


def single(irrep: str) -> Tables:
    """A basis of one irrep without pair functions."""
    spec = acepot.BasisSpec(
        ("Si",), order=3, degree=12, cutoff=5.0, irreps=(irrep,), pair={"degree": 0}
    )
    return acepot.lower(acepot.resolve(spec))


def scalars() -> Tables:
    """A model of scalars without pair functions."""
    tables = single("0e")
    return tables.read_out(np.random.default_rng(1).normal(size=(1, 1, tables.functions)))


def alternate(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """CPU times of several calls in turn, s, shape (rounds,) each."""
    for call in work.values():
        call()
    times: dict[str, list[float]] = {key: [] for key in work}
    for _ in range(rounds):
        for key, call in work.items():
            begin = time.thread_time()
            call()
            times[key].append(time.thread_time() - begin)
    return {key: np.array(found) for key, found in times.items()}


def drawn(tables: Tables, structure: acepot.Structure) -> list[np.ndarray]:
    """Random adjoints."""
    rng = np.random.default_rng(1)
    pairs = zip(tables.widths, tables.irreps, strict=True)
    return [rng.normal(size=(len(structure), w, i.dim)) for w, i in pairs]


def ratios(what: str, tables: Tables, structure: acepot.Structure, rounds: int) -> None:
    """What the verbs cost beside energies and forces of the same basis."""
    model, basis = one_thread(tables), one_thread(tables.basis)
    rng = np.random.default_rng(1)
    sixteen = one_thread(tables.read_out(rng.normal(size=(1, 16, tables.functions))))
    u = rng.normal(size=structure.positions.shape)
    of_model, of_basis = drawn(tables, structure), drawn(tables.basis, structure)
    found = alternate(
        {
            "energies and forces": lambda: require(model.evaluate([structure])),
            "values": lambda: require(basis.values([structure])),
            "values of 16 outputs": lambda: require(sixteen.values([structure])),
            "jvp": lambda: require(basis.jvp([structure], [u])),
            "pullback of one output": lambda: require(model.pullback([structure], [of_model])),
            "pullback of all functions": lambda: require(basis.pullback([structure], [of_basis])),
        },
        rounds,
    )
    for verb, unit in (
        ("values", "energies and forces"),
        ("values of 16 outputs", "values"),
        ("jvp", "values"),
        ("pullback of one output", "energies and forces"),
        ("pullback of all functions", "energies and forces"),
    ):
        ratio = statistics.median(found[verb] / found[unit])
        print(f"{what}, {tables.functions} functions: {verb}, {ratio:.2f} x {unit}", flush=True)


def tensor_ratios(structure: acepot.Structure, rounds: int) -> None:
    """What values of tensors cost beside those of as many scalars."""
    kinds = ("0e", "1o", "1e", "2e", "3o", "4e")
    made = {name: one_thread(single(name)) for name in kinds}
    work = {
        name: (lambda evaluator=one: require(evaluator.values([structure])))
        for name, one in made.items()
    }
    found = alternate(work, rounds)
    per = {name: found[name] / one.tables.functions for name, one in made.items()}
    for name, one in made.items():
        ratio = statistics.median(per[name] / per["0e"])
        print(f"{one.tables.functions} of {name}: {ratio:.2f} x values of as many of 0e")


def first_member(tables: Tables) -> Tables:
    """The model without its committee."""
    model = acepot.load(MODEL)
    return acepot.lower(acepot.Model(model.basis, model.coefficients[:1], model.e0), basis=tables)


def report(
    name: str,
    what: str,
    kind: Callable[[Tables], ReferenceEvaluator | TorchEvaluator | NativeEvaluator],
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
    times = alternate(work, rounds)
    medians = {key: 1e6 * statistics.median(t) / len(structure) for key, t in times.items()}
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
