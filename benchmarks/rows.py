"""Time of design-matrix rows: compiled against the numpy oracle, alternating, medians.

    OMP_NUM_THREADS=1 python benchmarks/rows.py [--rounds 7] [--data FOLDER]

A round makes the energy, force and virial rows of every structure of a set, neighbour lists
included, into a matrix that is there: first with the oracle, then compiled with one
thread, then with two threads that take structures in turn. FOLDER holds
si_gap_prx2018/Si_tiny.xyz, for the order-4 model of ACE1pack's tests; without it that set is
skipped. The last lines are for every fourth structure of models/Si-mlearn/fit.toml, each into a
new matrix: rows, weights and compression.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

import acepot
from acepot.basis.choices import Pair, resolve
from acepot.basis.envelope import PolynomialEnvelope
from acepot.basis.radial import Orthonormal
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec
from acepot.basis.transform import PolynomialTransform
from acepot.evaluate.native import NativeRowBuilder, instruction_sets
from acepot.evaluate.protocol import Quantity, RowBuilder, row_count
from acepot.evaluate.reference.evaluator import ReferenceEvaluator
from acepot.fitting.assembly import StructureRows, assemble, in_threads, structure_rows
from acepot.fitting.config import Weights, load_config
from acepot.fitting.problem import Accumulator
from acepot.io.structures.datasets import read_structures
from acepot.io.structures.labels import LabelKeys
from acepot.lowering import lower
from acepot.model import Model

ALL: tuple[Quantity, ...] = ("energy", "forces", "virial")
_POLYNOMIAL = PolynomialTransform(p=2.0, offset=1.0)
#: ACE1pack 0.2.3's order-4 test model, 341 functions (tests/golden/test_silicon.py, model G).
MODEL_G = BasisSpec(
    ("Si",),
    order=4,
    degree=12.0,
    inner=1.65,
    cutoff=5.5,
    r0=2.35126,
    radial=Orthonormal(_POLYNOMIAL, PolynomialEnvelope(2, 2)),
    pair=Pair(3, 6.5, 0.0, Orthonormal(_POLYNOMIAL, PolynomialEnvelope(0, 1))),
)
COPPER_NICKEL = BasisSpec(("Cu", "Ni"), order=3, degree=10.0, cutoff=5.5)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).parents[2] / "shared" / "data"
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--data", type=Path, default=default)
    chosen = options.parse_args()
    tiny = chosen.data / "si_gap_prx2018" / "Si_tiny.xyz"
    if tiny.exists():
        keys = LabelKeys(energy="dft_energy", forces="dft_force", virial="dft_virial")
        structures, _ = read_structures(tiny, keys)
        _compare("Si_tiny, model G", MODEL_G, structures, chosen.rounds)
        large = [s for s in structures if len(s) > 2]
        _compare("its cells of 64 atoms", MODEL_G, large, chosen.rounds)
    else:
        print(f"Si_tiny, model G: skipped, {tiny} is not there")
    _compare("Cu-Ni, 8 atoms", COPPER_NICKEL, _alloys(64, 8), chosen.rounds)
    _compare("Cu-Ni, 64 atoms", COPPER_NICKEL, _alloys(8, 64), chosen.rounds)
    _compare("Cu-Ni, 216 atoms", COPPER_NICKEL, _alloys(2, 216), chosen.rounds)
    _fit(chosen.rounds)


def _blank(spec: BasisSpec) -> Model:
    spec = resolve(spec)
    return Model(spec, np.zeros(basis_size(spec)["total"]), np.zeros(len(spec.elements)))


def _alloys(count: int, atoms: int) -> list[acepot.Structure]:
    """Rattled, sheared cubic cells of diamond structure, 21.5 Å³ per atom."""
    sites = [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
    repeat = round(np.cbrt(atoms / 8))
    shifts = np.stack(np.meshgrid(*[np.arange(repeat)] * 3), axis=-1).reshape(-1, 1, 3)
    fractions = (np.array(sites) / 4 + shifts).reshape(-1, 3) / repeat
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        cell = 5.56 * repeat * (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = fractions @ cell + rng.normal(scale=0.08, size=fractions.shape)
        found.append(acepot.Structure(rng.choice([28, 29], len(fractions)), positions, cell, True))
    return found


def _compare(
    name: str, spec: BasisSpec, structures: Sequence[acepot.Structure], rounds: int
) -> None:
    model = _blank(spec)
    tables = lower(model)
    width = tables.functions
    largest = max(sum(row_count(q, len(s)) for q in ALL) for s in structures)
    places = [np.zeros(largest * width) for _ in range(2)]

    def fill(builder: RowBuilder, chosen: Sequence[acepot.Structure], place: int) -> None:
        for structure in chosen:
            rows = sum(row_count(q, len(structure)) for q in ALL)
            out = places[place][: rows * width].reshape((rows, width), order="F")
            builder.fill(structure, ALL, out)

    def half(k: int) -> None:
        fill(native, structures[k::2], k)

    oracle, native = ReferenceEvaluator(tables), NativeRowBuilder(tables)
    work: dict[str, Callable[[], None]] = {
        "oracle": lambda: fill(oracle, structures, 0),
        "1 thread": lambda: fill(native, structures, 0),
        "2 threads": lambda: list(in_threads(half, (0, 1), 2)),  # type: ignore[arg-type, dict-item]
    }
    wall, busy = _medians(work, rounds)
    atoms = sum(map(len, structures))
    entries = width * sum(row_count(q, len(s)) for s in structures for q in ALL)
    print(
        f"{name}: {width} functions, {len(structures)} structures, {atoms} atoms, "
        f"{instruction_sets()[-1]}\n"
        f"    CPU time per atom: oracle {1e6 * busy['oracle'] / atoms:.0f} µs, "
        f"compiled {1e6 * busy['1 thread'] / atoms:.1f} µs, "
        f"ratio {busy['oracle'] / busy['1 thread']:.1f}, "
        f"{entries / busy['1 thread'] / 1e6:.0f} million rows x functions / s / core\n"
        f"    wall time: ratio {wall['oracle'] / wall['1 thread']:.1f} with one thread, "
        f"{wall['oracle'] / wall['2 threads']:.1f} with two",
        flush=True,
    )


def _medians(
    work: dict[str, Callable[[], None]], rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Wall and CPU seconds; only the second means something on a machine that others use."""
    wall: dict[str, list[float]] = {name: [] for name in work}
    busy: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, call in work.items():
            begin, used = time.perf_counter(), time.process_time()
            call()
            wall[name].append(time.perf_counter() - begin)
            busy[name].append(time.process_time() - used)
    return tuple(  # type: ignore[return-value]
        {name: statistics.median(t) for name, t in times.items()} for times in (wall, busy)
    )


def _fit(rounds: int) -> None:
    """The assembly of the shipped model's fit."""
    config = load_config(Path(__file__).parents[1] / "models" / "Si-mlearn" / "fit.toml")
    data = config.data
    structures = [
        s for name in data.train_files for s in read_structures(name, data.label_keys)[0]
    ][::4]
    model = _blank(BasisSpec(("Si",), order=config.basis.order, degree=config.basis.degree))
    tables = lower(model)
    oracle, native = ReferenceEvaluator(tables), NativeRowBuilder(tables)

    def rows(builder: RowBuilder) -> Iterator[StructureRows]:
        for structure in structures:
            yield structure_rows(structure, model, builder, data.fit, Weights())

    def exhaust(builder: RowBuilder) -> None:
        for _ in rows(builder):
            pass

    work = {
        "oracle": lambda: exhaust(oracle),
        "compiled": lambda: exhaust(native),
        "compressed": lambda: assemble(rows(native), Accumulator(tables.functions)),
    }
    _, busy = _medians(work, rounds)
    atoms = sum(map(len, structures))
    oracle_us, compiled, compressed = (1e6 * busy[name] / atoms for name in work)
    print(
        f"Si-mlearn fit: {tables.functions} functions, {len(structures)} structures, {atoms} "
        f"atoms, energies and forces\n"
        f"    CPU time per atom: oracle {oracle_us:.0f} µs, compiled {compiled:.1f} µs, ratio "
        f"{oracle_us / compiled:.1f}; compiled with compression {compressed:.0f} µs",
        flush=True,
    )


if __name__ == "__main__":
    main()
