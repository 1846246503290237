"""Forces of single structures that belong to no potential, or not to that of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.fitting.labels.contacts import contact
from acepot.fitting.labels.findings import Finding, named, strange
from acepot.structure import Structure

__all__ = ["net_forces", "strange_forces"]

Floats = NDArray[np.float64]
#: A sum of all forces is told of above this in eV/Å, and this many times that of most others.
_NET, _TIMES = 0.1, 30.0
#: Sums of forces are those of random ones if they are this part of them on average.
_RANDOM = 0.2
#: Structures that may be strange: more of them are a kind of their own.
_FEW = 0.02
#: Correlation with the witness that nine of ten structures exceed, and that strange ones do not.
_USUAL, _STRANGE = 0.9, 0.5
#: Forces that are compared are at least this part of the usual ones.
_SIZEABLE = 0.5
#: An atom's force is strange if it is off by this in eV/Å, in usual errors, and in parts of the
#: largest force that the witness says, unless atoms are closer than this part of their radii.
_FAR, _ERRORS, _PART, _SQUEEZED = 3.0, 30.0, 2.0, 0.72


def net_forces(train: Sequence[Structure]) -> Iterator[Finding]:
    """Forces that do not sum to zero, as those of every potential do.

    Args:
        train: training structures; those with atoms that are held are left out.
    """
    labelled = [s for s in train if s.forces is not None and len(s) > 1 and s.fixed is None]
    if not labelled:
        return
    forces = [np.asarray(s.forces) for s in labelled]
    sums = np.array([np.linalg.norm(f.sum(axis=0)) for f in forces])
    random = np.array([np.linalg.norm(f) for f in forces])
    parts = sums / np.maximum(random, 1e-12)
    if float(np.median(sums)) > _NET and float(np.median(parts)) > _RANDOM:
        each = float(np.median(sums / [len(s) for s in labelled]))
        yield strange(
            f"{named(labelled)}: the forces on all atoms add up to {float(np.median(sums)):.2g} "
            f"eV/Å, not to 0: no potential can fit these {each:.2g} eV/Å on each atom; are "
            "calculations not converged, or the forces on some atoms set to 0?"
        )
        return
    least = max(_NET, _TIMES * float(np.quantile(sums, 0.9)))
    worst = np.argsort(-sums)[: int((sums > least).sum())]
    if 0 < len(worst) <= max(1, _FEW * len(labelled)):
        yield strange(
            f"{named([labelled[i] for i in worst])}: the forces on all atoms add up to "
            f"{sums[worst[0]]:.2g} eV/Å, those of the others to {float(np.median(sums)):.1g}: "
            "one of them is wrong; leave the structure out"
        )


def strange_forces(
    train: Sequence[Structure], predicted: Sequence[Floats | None]
) -> Iterator[Finding]:
    """Structures, or single atoms, whose forces are not those that their positions have.

    Args:
        train: training structures.
        predicted: forces that the witness says, shape (n, 3) each.
    """
    pairs = [
        (s, np.asarray(s.forces), said)
        for s, said in zip(train, predicted, strict=True)
        if s.forces is not None and said is not None and len(s) > 1 and s.forces.any()
    ]
    if len(pairs) < 10:
        return
    sizes = np.array([np.sqrt(np.mean(said**2)) for _, _, said in pairs])
    alike = np.array([_correlation(given, said) for _, given, said in pairs])
    compared = np.flatnonzero(sizes > _SIZEABLE * np.median(sizes))
    if not len(compared) or np.quantile(alike[compared], 0.1) < _USUAL:
        return
    odd = [i for i in compared if alike[i] < _STRANGE and contact(pairs[i][0]) > _SQUEEZED]
    if 0 < len(odd) <= max(1, _FEW * len(pairs)):
        yield strange(
            f"{named([pairs[i][0] for i in odd])}: the forces do not belong to the positions "
            f"(correlation {min(alike[i] for i in odd):.2g} with what the other structures say, "
            f"those of the others {float(np.median(alike[compared])):.2g}); are atoms in another "
            "order? Leave the structure out"
        )
        return
    usual = 1.48 * float(np.median(np.concatenate([_off(g, s) for _, g, s in pairs])))
    found = []
    for one, given, said in pairs:
        off = _off(given, said)
        least = max(_FAR, _ERRORS * usual, _PART * float(np.abs(said).max()))
        if off.max() > least:
            found.append((float(off.max()), int(off.argmax()), one))
    found = [f for f in found if contact(f[2]) > _SQUEEZED]
    if 0 < len(found) <= max(1, _FEW * len(pairs)):
        far, atom, one = max(found, key=lambda f: f[0])
        yield strange(
            f"{named([f[2] for f in found])}: the force on atom {atom} of {named([one])} is "
            f"{far:.2g} eV/Å from what the other structures say (usual error {usual:.2g}); leave "
            "the structure out"
        )


def _correlation(given: Floats, said: Floats) -> float:
    sizes = float(np.linalg.norm(given) * np.linalg.norm(said))
    return float(np.vdot(given, said)) / sizes if sizes > 0 else 0.0


def _off(given: Floats, said: Floats) -> Floats:
    """How far the force on each atom is from the one said, shape (n,)."""
    return np.asarray(np.linalg.norm(given - said, axis=1))
