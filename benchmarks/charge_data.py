"""Data with charge transfer over long distances, made by tblite's GFN1-xTB from seeds.

    pip install tblite
    python benchmarks/charge_data.py FOLDER [SET ...]

writes FOLDER/SET.extxyz with energies, forces, charges, dipoles and, of cells, virials, for the
sets ag3, c10, nacl-cluster, dimers, nacl. A set that is there is not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tblite.interface import Calculator

from acepot import Structure, write_structures
from acepot.basis.species import atomic_number
from acepot.run.progress import Progress
from acepot.units import BOHR, HARTREE

Floats = np.ndarray
#: Rock salt: places of four Na and four Cl in its cubic cell.
ROCK_SALT = (
    np.array(
        [[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    )
    / 2
)


def labelled(
    symbols: list[str],
    positions: Floats,
    charge: float = 0.0,
    cell: Floats | None = None,
    group: str = "default",
) -> Structure | None:
    """A structure with GFN1's labels; None where its self-consistency fails."""
    numbers = np.array([atomic_number(s) for s in symbols])
    periodic = {} if cell is None else {"lattice": cell / BOHR, "periodic": np.ones(3, dtype=bool)}
    run = Calculator("GFN1-xTB", numbers, np.asarray(positions) / BOHR, charge=charge, **periodic)
    run.set("verbosity", 0)
    try:
        found = run.singlepoint()
    except RuntimeError:
        return None
    labels = {"charges": found.get("charges")}
    if cell is None:
        labels["dipole"] = found.get("dipole") * BOHR
    return Structure(
        numbers, positions, cell, cell is not None, energy=found.get("energy") * HARTREE,
        forces=-found.get("gradient") * HARTREE / BOHR,
        virial=None if cell is None else -found.get("virial") * HARTREE,
        charge=charge, labels=labels, config_type=group,
    )  # fmt: skip


def relaxed(symbols: list[str], positions: Floats, charge: float, steps: int = 300) -> Floats:
    """Positions of least energy, by steepest descent with momentum (FIRE)."""
    from ase import Atoms
    from ase.optimize import FIRE
    from tblite.ase import TBLite

    atoms = Atoms(symbols, positions)
    atoms.calc = TBLite(method="GFN1-xTB", charge=charge, verbosity=0)
    FIRE(atoms, logfile=None).run(fmax=0.02, steps=steps)
    return np.array(atoms.positions)


def ag3() -> Iterator[Structure | None]:
    """700 triangles of silver, sides 2.3 to 4.5 Å, as cations and anions."""
    rng, made = np.random.default_rng(0), 0
    while made < 700:
        a, b, c = rng.uniform(2.3, 4.5, 3)
        x = (a * a + b * b - c * c) / (2 * a)
        if b * b - x * x < 0.3:
            continue
        made += 1
        place = np.array([[0, 0, 0], [a, 0, 0], [x, np.sqrt(b * b - x * x), 0]])
        for charge in (1, -1):
            yield labelled(["Ag"] * 3, place, charge, group="cation" if charge > 0 else "anion")


def chains() -> dict[str, tuple[list[str], Floats, float]]:
    """C10H2, and C10H3+ with a second hydrogen at its first carbon."""
    carbon = [[0.0, 0.0, 1.3 * k] for k in range(10)]
    ends = [[0.0, 0.0, -1.06], [0.0, 0.0, 1.3 * 9 + 1.06]]
    neutral = ["C"] * 10 + ["H"] * 2, np.array(carbon + ends), 0.0
    split = [[0.0, 0.92, -0.55], [0.0, -0.92, -0.55], ends[1]]
    return {"C10H2": neutral, "C10H3+": (["C"] * 10 + ["H"] * 3, np.array(carbon + split), 1.0)}


def c10() -> Iterator[Structure | None]:
    """500 of each, displaced by 0.03 to 0.1 Å from where they are at rest."""
    rng = np.random.default_rng(1)
    for name, (symbols, start, charge) in chains().items():
        rest = relaxed(symbols, start, charge)
        for _ in range(500):
            moved = rest + rng.normal(scale=rng.uniform(0.03, 0.1), size=rest.shape)
            yield labelled(symbols, moved, charge, group=name)


def clusters() -> dict[str, tuple[list[str], Floats, float]]:
    """Na9Cl8+: a block of rock salt, 3 by 3 by 2 sites less one; Na8Cl8+ without an outer Na."""
    sites = [(i, j, k) for k in range(2) for j in range(3) for i in range(3)]
    kinds = ["Na" if (i + j + k) % 2 == 0 else "Cl" for i, j, k in sites]
    places = 2.7 * np.array(sites, dtype=float)
    kept = [k for k, site in enumerate(sites) if site != (1, 1, 1)]  # one Na or Cl fewer
    counts = [sum(kinds[k] == s for k in kept) for s in ("Na", "Cl")]
    if counts != [9, 8]:
        kept = [k for k, site in enumerate(sites) if site != (1, 2, 1)]
    symbols = [kinds[k] for k in kept]
    whole = relaxed(symbols, places[kept], 1.0)
    outer = max(
        (k for k, s in enumerate(symbols) if s == "Na"),
        key=lambda k: float(np.linalg.norm(whole[k] - whole.mean(axis=0))),
    )
    fewer = [k for k in range(len(symbols)) if k != outer]
    less = [symbols[k] for k in fewer]
    return {
        "Na9Cl8+": (symbols, whole, 1.0),
        "Na8Cl8+": (less, relaxed(less, whole[fewer], 1.0), 1.0),
    }


def nacl_cluster() -> Iterator[Structure | None]:
    """400 of each, displaced by 0.03 to 0.25 Å."""
    rng = np.random.default_rng(2)
    for name, (symbols, rest, charge) in clusters().items():
        for _ in range(400):
            moved = rest + rng.normal(scale=rng.uniform(0.03, 0.25), size=rest.shape)
            yield labelled(symbols, moved, charge, group=name)


#: Fragments: symbols, places, charge. Of others (F-, NaF+) GFN1 itself does not find the charges
#: when they are far apart.
_FRAGMENTS = {
    "HF": (["H", "F"], [[0, 0, 0], [0, 0, 0.93]], 0),
    "NaF": (["Na", "F"], [[0, 0, 0], [0, 0, 1.95]], 0),
    "Na+": (["Na"], [[0, 0, 0]], 1),
}
_PAIRS = (("HF", "HF"), ("HF", "NaF"), ("NaF", "NaF"), ("Na+", "HF"))
#: Å between atoms of two fragments.
_APART = 2.3


def dimers() -> Iterator[Structure | None]:
    """300 of four pairs with centres 3 to 8 Å apart, and 60 at 8 to 20 Å, turned at random."""
    from scipy.spatial.distance import cdist
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(3)
    for pair in _PAIRS:
        for near, far, count in ((3.0, 8.0, 300), (8.0, 20.0, 60)):
            made = 0
            while made < count:
                places = []
                for name in pair:
                    atoms = np.array(_FRAGMENTS[name][1], dtype=float)
                    atoms = Rotation.random(random_state=rng).apply(atoms - atoms.mean(axis=0))
                    places.append(atoms + rng.normal(scale=0.03, size=atoms.shape))
                places[1] = places[1] + [0.0, 0.0, rng.uniform(near, far)]
                if cdist(*places).min() < _APART:
                    continue
                made += 1
                symbols = [s for name in pair for s in _FRAGMENTS[name][0]]
                charge = sum(_FRAGMENTS[name][2] for name in pair)
                group = f"{'-'.join(pair)} {'near' if far == 8.0 else 'far'}"
                yield labelled(symbols, np.concatenate(places), charge, group=group)


def nacl() -> Iterator[Structure | None]:
    """60 cells of 64 ions: rock salt shaken and strained. Smaller ones err: GFN1 takes Γ alone."""
    rng = np.random.default_rng(4)
    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for _ in range(60):
        strain = np.eye(3) + rng.normal(scale=0.02, size=(3, 3))
        size = 5.5 * rng.uniform(0.96, 1.08)
        places = (grid[:, None] + ROCK_SALT).reshape(-1, 3) * size @ strain
        symbols = (["Na"] * 4 + ["Cl"] * 4) * len(grid)
        moved = places + rng.normal(scale=rng.uniform(0.05, 0.3), size=places.shape)
        yield labelled(symbols, moved, 0.0, 2 * size * strain, group="64 ions")


SETS: dict[str, Callable[[], Iterator[Structure | None]]] = {
    "ag3": ag3, "c10": c10, "nacl-cluster": nacl_cluster, "dimers": dimers, "nacl": nacl,
}  # fmt: skip
_SIZES = {"ag3": 1400, "c10": 1000, "nacl-cluster": 800, "dimers": 1440, "nacl": 60}


def make(folder: Path, name: str) -> None:
    """Make one set."""
    path = folder / f"{name}.extxyz"
    if path.exists():
        print(f"{path} is there")
        return
    progress, made, failed = Progress(name, _SIZES[name]), [], 0
    for number, one in enumerate(SETS[name]()):
        if one is None:
            failed += 1
        else:
            made.append(one)
        progress.update(number + 1)
    folder.mkdir(parents=True, exist_ok=True)
    write_structures(path, made)
    print(f"{path}: {len(made)} structures, {failed} without self-consistency")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    options = parser.parse_args()
    for one in options.sets or list(SETS):
        make(options.folder, one)
