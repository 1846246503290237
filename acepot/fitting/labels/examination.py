"""One look at all labels before a fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from acepot.basis.choices import pair_number
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError
from acepot.fitting.choice import Choice
from acepot.fitting.dataset import is_isolated, reference_energies, shortest_distances
from acepot.fitting.labels import agreement, composition, duplicates, limits, strangers, work
from acepot.fitting.labels.contacts import contacts
from acepot.fitting.labels.findings import Finding, named, strange
from acepot.fitting.labels.witness import witness
from acepot.structure import Structure

__all__ = ["examine", "trusted"]

Floats = NDArray[np.float64]

#: Where to say what the sentences propose.
_WHERE = (
    "Keys, units and ignore are options of the command line (--units stress=-bar) and stand in "
    '[data] of a TOML file (units = {stress = "-bar"})'
)
#: Structures whose forces and energies are compared one by one with the witness.
_MOST = 2000
#: Correlation of the forces with a witness that is worth listening to.
_AGREEMENT = 0.5
#: Part of the structures that may be outliers: more of them are in another unit.
_FEW = 0.1
#: Outliers that are told of one by one.
_TOLD = 3


def trusted(
    choice: Choice,
    train: Sequence[Structure],
    test: Sequence[Structure],
    notes: Sequence[str],
    say: Callable[[str], None],
    *,
    accept: bool,
    threads: int,
) -> Choice:
    """Say what E0 are and what is strange about the labels, and refuse those that are wrong.

    Args:
        choice: what is fitted.
        train: training structures.
        test: test structures.
        notes: what was doubtful when they were read.
        say: called with lines for people.
        accept: fit labels that cannot be right as they are.
        threads: structures handled at once.

    Returns:
        The choice with its warnings.

    Raises:
        InputError: labels that cannot be right; the message names them and what to do.
    """
    atoms = ", ".join(f"{s} {e:.6g} eV ({choice.origin[s]})" for s, e in choice.e0.items())
    say(f"E0: {atoms}")
    recipe = choice.recipe
    found = examine(
        train, test, recipe.basis, recipe.observables, choice.e0, choice.origin, choice.shortest,
        threads, say,
    )  # fmt: skip
    stopping = [one.text for one in found if one.wrong and not accept]
    lines = [*notes, *(one.text for one in found if one.text not in stopping)]
    for line in lines:
        say(f"warning: {line}")
    if stopping:
        raise InputError(
            f"labels that cannot be right: {'; '.join(stopping)}. {_WHERE}; --accept-labels, or "
            "accept_labels = true there, fits them as they are"
        )
    if any(word in line for line in lines for word in ("units:", "ignore:", "keys:", "the key")):
        say(_WHERE)
    return replace(choice, warnings=tuple(lines))


def examine(
    train: Sequence[Structure],
    test: Sequence[Structure],
    spec: BasisSpec,
    observables: Sequence[str],
    e0: Mapping[str, float],
    origin: Mapping[str, str],
    shortest: Mapping[str, float],
    threads: int,
    say: Callable[[str], None] | None = None,
) -> list[Finding]:
    """What is strange about the labels, or cannot be right.

    Args:
        train: training structures.
        test: test structures.
        spec: the resolved basis.
        observables: what is to be fitted.
        e0: energies of isolated atoms in eV by symbol.
        origin: where each came from.
        shortest: shortest distance in Å of every pair of elements in the training structures.
        threads: structures handled at once.
        say: called with what is there twice; None: nobody is told.

    Returns:
        What cannot be right first.
    """
    twins = duplicates.duplicates([*train, *test])
    if say is not None and (line := duplicates.line(twins, train)):
        say(line)
    found = [
        *limits.missing(train, observables),
        *limits.huge_forces(train),
        *duplicates.findings(twins, train, test),
        *_references(train, spec, e0, origin),
        *composition.rare(train, test, e0, origin),
        *composition.absolute(train),
        *contacts(train, shortest),
        *_units(train, spec, "virial" in observables, threads),
    ]
    return sorted(found, key=lambda one: not one.wrong)


def _units(
    train: Sequence[Structure], spec: BasisSpec, fitted: bool, threads: int
) -> Iterator[Finding]:
    """Labels in another unit than the others, and energies that nothing explains."""
    outlying = composition.outliers(train)
    apart = {id(one.structure) for one in outlying}
    few = len(outlying) <= max(1, _FEW * len(train))
    seen = witness([s for s in train if id(s) not in apart] if few else train, spec)
    if seen is not None and seen.agreement < _AGREEMENT:
        seen = None
    some = train[:: max(1, len(train) // _MOST)]
    forces: list[Floats | None] = [None] * len(some)
    knowing = seen
    against: list[Finding] = []
    stresses: list[Finding] = []
    if seen is not None:
        against, knowing = agreement.energies(seen)
        yield from against
        if not against:
            stresses = list(agreement.virials(knowing, fitted, knowing is not seen))
    stepped = [] if against or stresses else list(work.findings(train, fitted))
    if seen is not None:
        results = seen.predict(some, threads, scaled=True)
        forces = [None if one.error is not None else one.forces for one in results]
    yield from stresses or stepped or limits.huge_stresses(train, fitted)
    mixed = list(agreement.mixed_forces(some, forces))
    if not against and not mixed:
        mixed = list(agreement.mixed_energies(some, seen, spec.elements))
    yield from mixed or [one.finding() for one in outlying[:_TOLD]]
    if knowing is not None and knowing is not seen and not mixed and not outlying:
        results = knowing.predict(some, threads)
        yield from agreement.far_energies(some, results, spec.elements)
    nets = list(strangers.net_forces(train))
    yield from nets
    if seen is not None and not against and not mixed:
        if not nets:
            yield from strangers.strange_forces(some, forces)
        yield from agreement.stiffness(seen, threads)


def _references(
    train: Sequence[Structure], spec: BasisSpec, e0: Mapping[str, float], origin: Mapping[str, str]
) -> Iterator[Finding]:
    """Isolated atoms, their images, and what E0 leave to be fitted."""
    pairs = [(a, b) for a in spec.elements for b in spec.elements]
    tables = (spec.cutoff, spec.pair.cutoff)
    cutoff = max(pair_number(table, a, b, "cutoff") for table in tables for a, b in pairs)
    atoms = [s for s in train if len(s) == 1 and s.energy is not None]
    alone = [s for s in atoms if is_isolated(s, cutoff)]
    for one in islice((s for s in atoms if "isolated" in s.config_type.lower()), 20):
        if one not in alone:
            distance = min(shortest_distances(one, cutoff).values())
            yield strange(
                f"{named([one])}: its images are {distance:.3g} Å apart, within the cut-off of "
                f"{cutoff:.3g} Å: it is not taken as an isolated atom; give it a larger cell, or "
                "none"
            )
    try:
        without, _ = reference_energies(train, spec.elements, None, cutoff)
    except InputError:  # isolated atoms that disagree, where E0 were given
        without = dict(e0)
    yield from composition.references(train, alone, e0, origin, without)
