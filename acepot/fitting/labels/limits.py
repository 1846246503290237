"""Single labels that are missing, placeholders or larger than any can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from acepot.fitting.labels.contacts import contact
from acepot.fitting.labels.factors import STRESSES
from acepot.fitting.labels.findings import Finding, largest_force, named, strange, wrong
from acepot.fitting.observables import Observable
from acepot.structure import Structure
from acepot.units import GIGAPASCAL

__all__ = ["huge_forces", "huge_stresses", "missing"]

#: Stresses in GPa above which they are strange, and above which they cannot be right.
_STRANGE_STRESS, _WRONG_STRESS = 1e3, 1e4
#: Forces in eV/Å likewise, unless two atoms are closer than this part of their radii.
_STRANGE_FORCE, _WRONG_FORCE, _CLOSE = 100.0, 500.0, 0.6


def missing(train: Sequence[Structure], observables: Sequence[str]) -> Iterator[Finding]:
    """What is to be fitted and has no label, in all structures or in some that have others."""
    for one in Observable.among(observables):
        if all(one.label(s) is None for s in train):
            also = "; E0 is 0, and energies are right up to a constant per atom"
            yield strange(
                f"{one.name} {'are' if one.name == 'forces' else 'is'} to be fitted, but no "
                f"training structure has {one.name if one.name == 'forces' else 'such a label'}"
                f"{also if one.name == 'energy' else ''}"
            )
    lacking = [s for s in train if s.energy is None and s.forces is not None]
    if "energy" in observables and 0 < len(lacking) < sum(s.forces is not None for s in train):
        yield strange(f"{named(lacking)}: forces, but no energy; only the forces are fitted there")


def huge_stresses(train: Sequence[Structure], fitted: bool) -> Iterator[Finding]:
    """Stresses of a size that no matter bears.

    Args:
        train: training structures.
        fitted: whether virials enter the fit.
    """
    labelled = [s for s in train if s.virial is not None and s.volume > 0 and s.pbc.all()]
    sizes = np.array([np.abs(np.asarray(s.virial)).max() / s.volume / GIGAPASCAL for s in labelled])
    high = sizes > _STRANGE_STRESS
    if not high.any():
        return
    worst = int(sizes.argmax())
    text = (
        f"{named([labelled[i] for i in np.flatnonzero(high)])}: the largest stress is "
        f"{sizes[worst] * GIGAPASCAL:.3g} eV/Å³ = {sizes[worst]:.3g} GPa; {_unit(sizes)}; "
        "leave it out (ignore: stress or virial)"
    )
    yield wrong(text) if fitted and sizes[worst] > _WRONG_STRESS else strange(text)


def _unit(sizes: np.ndarray) -> str:
    """The pressure in which these stresses, in GPa if they were in eV/Å³, are usual ones."""
    usual = float(np.median(sizes)) * GIGAPASCAL
    fits = [u for u in ("GPa", "kbar", "bar") if 0.05 < usual / STRESSES[u] / GIGAPASCAL < 200]
    if not fits:
        return "this fits no unit of pressure"
    return (
        f"this looks like {' or '.join(fits)} (units: stress={fits[0]}, or -{fits[0]} if it is a "
        "pressure tensor, as LAMMPS writes)"
    )


def huge_forces(train: Sequence[Structure]) -> Iterator[Finding]:
    """Forces that no two atoms at their distances exert."""
    sizes = np.array([largest_force(s) for s in train])
    suspects = np.flatnonzero(sizes > _STRANGE_FORCE)
    if not len(suspects):
        return
    apart = [i for i in suspects[np.argsort(-sizes[suspects])][:50] if contact(train[i]) > _CLOSE]
    if not apart:
        return
    worst = train[apart[0]]
    if worst.forces is None:
        return
    atom = int(np.linalg.norm(np.asarray(worst.forces), axis=1).argmax())
    text = (
        f"{named([train[i] for i in apart])}: the force on atom {atom} is {sizes[apart[0]]:.4g} "
        "eV/Å, although no two atoms are close; leave the structure out, or say the unit "
        "(units: forces=...)"
    )
    yield wrong(text) if sizes[apart[0]] > _WRONG_FORCE else strange(text)
