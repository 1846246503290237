"""Look for holes: energies along paths of atoms that come close, and what is wrong with them.

When atoms come closer than any bond is long the energy must rise. A model that was fitted without
such distances may do anything there, and in a hot or squeezed system atoms find every way down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.basis.species import SYMBOLS, species_indices
from acepot.holes.judgement import BARRIER, Curve, Hole, judged
from acepot.holes.paths import ANGLES, Path, Reach, cells, dimers, trimers
from acepot.model import known_shortest
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.tables import Tables

__all__ = ["Scan", "scan"]

Floats = NDArray[np.float64]

#: What lies behind a wall of so many eV per atom is not looked at: no atom gets there.
_WALL = 30.0
#: Steps of dimers, trimers and cells, triples of elements, cells; and of a scan in short.
_FULL, _SHORT = (400, 64, 24, 600, 120), (160, 32, 12, 75, 24)
#: Angles of trimers of a scan in short, in degrees.
_FEW = (180, 110, 60)
#: Steps that are evaluated together, before paths that have met a wall are left.
_AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class Scan:
    """What was looked at, and what was found.

    Args:
        curves: along all paths.
        shortest: distances of the data that it was judged by, in Å, by pair ("Si-O").
        seed: of the random cells.
    """

    curves: tuple[Curve, ...]
    shortest: Mapping[str, float]
    seed: int

    @property
    def holes(self) -> list[Hole]:
        """The holes, first those behind the lowest barrier; of equal ones the largest."""
        found = [curve.hole for curve in self.curves if curve.hole is not None]
        return sorted(found, key=lambda hole: (max(hole.barrier, BARRIER), -hole.size))

    @property
    def looked_at(self) -> dict[str, int]:
        """How many dimers, trimers and cells there were."""
        kinds = [curve.path.kind for curve in self.curves]
        return {f"{kind}s": kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {k if n != 1 else k[:-1]}" for k, n in self.looked_at.items())
        if not (holes := self.holes):
            return f"holes: none found ({counts})"
        of = "one" if len(holes) == 1 else f"{len(holes)}, the worst"
        return f"holes: found {of}: {holes[0]} ({counts})"

    def report(self, most: int | None = None) -> dict[str, Any]:
        """All of it but the structures and curves, for a JSON file.

        Args:
            most: how many holes are described, the worst; None: all.
        """
        return {
            "looked at": self.looked_at,
            "found": len(self.holes),
            "seed": self.seed,
            "shortest distances": dict(self.shortest),
            "holes": [
                {"kind": h.kind, "name": h.name, "what": h.what, "distance": h.distance,
                 "energy": h.energy, "barrier": h.barrier}
                for h in self.holes[:most]
            ],
        }  # fmt: skip


def scan(
    potential: Potential,
    *,
    shortest: Mapping[str, float] | None = None,
    seed: int = 0,
    short: bool = False,
    watch: Callable[[int, int], None] | None = None,
) -> Scan:
    """Look for holes in the potential-energy surface of a model.

    Energies are those of the model less its free atoms. Along every path atoms come closer step by
    step: dimers of all pairs of elements and trimers at seven angles from the cut-off down to
    0.2 Å, and random triclinic cells squeezed to eight times the density of close packing. Where
    atoms overlap (closer than 0.7 of the shortest distance of the data, or 0.6 of a bond length
    where that is not known) the energy must rise inwards, up to a wall of 30 eV per atom; between
    there and the data it may fall by 0.25 eV per atom; it must be as high as a core is at the end,
    and nowhere lower than any bond.

    Args:
        potential: the model, with the native evaluator for speed.
        shortest: shortest distances of the data in Å, by pair ("Si-O"); None: those that the model
            says it was fitted to.
        seed: of the random cells.
        short: fewer steps, angles and cells: a second or so.
        watch: called with how many steps are done, and of how many.
    """
    known = known_shortest(potential.model) if shortest is None else dict(shortest)
    tables, numbers = potential.tables, tuple(int(z) for z in potential.model.numbers)
    reach, rng = _reach(tables, known), np.random.default_rng(seed)
    two, three, many, triples, count = _SHORT if short else _FULL
    paths = [
        *dimers(numbers, reach, two),
        *trimers(numbers, reach, three, _FEW if short else ANGLES, triples, rng),
        *cells(numbers, reach, many, count, rng),
    ]
    found = _energies(potential, paths, watch or (lambda _done, _total: None))
    curves = [judged(path, e) for path, e in zip(paths, found, strict=True)]
    return Scan(tuple(curves), known, seed)


def _reach(tables: Tables, shortest: Mapping[str, float]) -> Reach:
    numbers = tables.numbers.tolist()
    begin, cutoff = dict[tuple[int, int], float](), dict[tuple[int, int], float]()
    for s, a in enumerate(numbers):
        for z, b in enumerate(numbers):
            if a > b:
                continue
            both = ((s, z), (z, s))
            every = (*tables.radial, *((tables.core,) if tables.core else ()))
            starts = [float(t.begin[p]) for t in every for p in both if not t.zero_inside[p] > 0]
            begin[a, b] = max(starts, default=0.0)
            cutoff[a, b] = float(max(tables.cutoff[p] for p in both))
    seen = {}
    for name, distance in shortest.items():
        first, _, second = name.partition("-")
        if first in SYMBOLS[1:] and second in SYMBOLS[1:] and 0 < distance < np.inf:
            a, b = sorted((SYMBOLS.index(first), SYMBOLS.index(second)))
            seen[a, b] = float(distance)
    return Reach(seen, begin, cutoff)


def _energies(
    potential: Potential, paths: Sequence[Path], watch: Callable[[int, int], None]
) -> list[Floats]:
    """Energies less free atoms along every path, until it meets a wall or a number is missing."""
    found: list[list[float]] = [[] for _ in paths]
    going = set(range(len(paths)))
    total = max(len(path.scales) for path in paths)
    for begin in range(0, total, _AT_ONCE):
        steps = [
            (k, step)
            for k in sorted(going)
            for step in range(begin, min(begin + _AT_ONCE, len(paths[k].scales)))
        ]
        structures = [paths[k].structure(step) for k, step in steps]
        for (k, _), energy in zip(steps, _all(potential, structures), strict=True):
            if k not in going:
                continue
            if np.isfinite(energy):
                found[k].append(energy)
            if not energy < _WALL * len(paths[k].numbers):
                going.discard(k)
        watch(min(begin + _AT_ONCE, total), total)
    return [np.array(energies) for energies in found]


def _all(potential: Potential, structures: Sequence[Structure]) -> Iterable[float]:
    results = potential.compute_all(structures, failures="keep")
    numbers, e0 = potential.model.numbers, potential.tables.e0
    for structure, result in zip(structures, results, strict=True):
        yield result.energy - float(e0[species_indices(numbers, structure.numbers)].sum())
