"""Whether energies, forces and virials are of one potential, in one unit and with one sign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from acepot.evaluate.protocol import Result
from acepot.fitting.labels.composition import compositions, robust
from acepot.fitting.labels.contacts import contact
from acepot.fitting.labels.factors import ENERGIES, PRESSURES, STRESSES, reading
from acepot.fitting.labels.findings import Finding, largest_force, named, strange, wrong
from acepot.fitting.labels.witness import Slope, Witness
from acepot.neighbours import nearest
from acepot.structure import Structure
from acepot.units import GIGAPASCAL
from acepot.voigt import to_voigt

__all__ = ["energies", "far_energies", "mixed_energies", "mixed_forces", "stiffness", "virials"]

Floats = NDArray[np.float64]
#: Factors by which a slope may be off without being strange, and without being wrong.
_STRANGE, _WRONG = 1.6, 3.0
#: Those of virials, of which forces say less: 0.5 to 1.5 in sound sets.
_STRANGE_VIRIAL, _WRONG_VIRIAL = 2.5, 6.0
#: How near a slope of virials must be to a unit of pressure: few structures say it roughly.
_ROUGHLY = float(np.log(3))
#: Correlation above which energies and forces surely agree.
_SURE = 0.95
#: Fewest labels for a slope.
_FEWEST = 5
#: Offset of all pressures that is told of, in GPa, and in its errors.
_OFFSET, _ERRORS = 1.0, 6.0
#: An energy per atom is far from what the witness says, in eV and in the spread of all, unless
#: atoms are closer than this part of their radii.
_FAR, _SPREADS, _SQUEEZED = 1.0, 20.0, 0.72
#: It is alone if it is farther by this factor than the others usually are.
_LONELY = 4.0
#: Forces are what the witness says if they differ by less than this part of them.
_FORESEEN = 0.5
#: Factor between forces of structures that cannot be right.
_WRONG_FORCES = 10.0
#: Structures whose forces agree with the witness in direction: this correlation and more.
_ALIKE = 0.85
#: Forces that are compared are at least this part of the usual ones.
_SIZEABLE = 0.5
#: A gap between forces of structures and those of all others, as a factor.
_GAP = 1.6


def energies(seen: Witness) -> tuple[list[Finding], Witness]:
    """Energies against forces, and the witness that knows them if they agree."""
    index = [i for i, s in enumerate(seen.structures) if s.energy is not None]
    if len(index) < _FEWEST:
        return [], seen
    labelled = [seen.structures[i] for i in index]
    atoms = np.array([len(s) for s in labelled])
    totals = np.array([s.energy for s in labelled if s.energy is not None])
    parts = compositions(labelled, seen.basis.spec.elements)
    rows = seen.energies[index]
    found = seen.slope(rows, totals / atoms, parts)
    if found.correlation > _SURE and not found.off(_STRANGE):
        return [], seen.told(rows, totals / atoms, parts, found.noise)
    if lonely := _lonely(seen, rows, totals / atoms, parts, labelled):
        return lonely, seen
    if found.correlation > 0.8 and not found.off(_STRANGE):
        return [], seen.told(rows, totals / atoms, parts, found.noise)
    meaning = reading(found.value, ENERGIES) if found.correlation > 0.8 else ""
    as_given = seen.slope(rows, totals, parts)
    if not meaning and 0.75 < as_given.value < 1.33 and as_given.correlation > 0.8:
        text = (
            f"{named(labelled)}: the energies differ by what forces say of one atom, not of "
            "all: they are energies per atom (units: energy=eV/atom)"
        )
        return [wrong(text)], seen
    if not found.off(_STRANGE):
        return [], seen
    text = (
        f"{named(labelled)}: energies differ by {found.value:.3g} ± {found.error:.1g} times what "
        "the forces say"
    )
    if found.value < 0:
        unsigned = "" if 1 / _STRANGE < -found.value < _STRANGE else meaning
        text += ": the forces have the wrong sign (units: forces=-eV/Å)"
        text += f" and another unit: {unsigned}" if unsigned else ""
    else:
        text += f": this looks like {meaning}" if meaning else ", so they are in other units"
    return [wrong(text) if found.off(_WRONG) else strange(text)], seen


def _lonely(
    seen: Witness, rows: Floats, labels: Floats, parts: Floats, structures: Sequence[Structure]
) -> list[Finding]:
    """One to three energies without which all others agree with the forces."""
    kept = np.arange(len(labels))
    out: dict[int, float] = {}
    while len(kept) >= 2 * _FEWEST and len(out) < 3:
        noise = 0.1 * float(np.std(labels[kept]))
        left = seen.apart(rows[kept], labels[kept], parts[kept], noise)
        worst = int(np.abs(left).argmax())
        if abs(left[worst]) < max(0.5 * _FAR, _LONELY * float(np.median(np.abs(left)))):
            return []
        out[int(kept[worst])] = float(left[worst])
        kept = np.delete(kept, worst)
        found = seen.slope(rows[kept], labels[kept], parts[kept])
        if found.correlation > 0.9 and not found.off(_STRANGE):
            return [
                strange(
                    f"{named([structures[i]])}: the energy per atom is {abs(far):.2g} eV "
                    f"{'above' if far > 0 else 'below'} what the forces and all other energies say"
                )
                for i, far in out.items()
            ]
    return []


def virials(seen: Witness, fitted: bool, shifts: bool) -> Iterator[Finding]:
    """Virials against forces.

    Args:
        seen: the witness.
        fitted: whether virials enter the fit.
        shifts: whether it knows energies, without which pressures have no zero.
    """
    index = [i for i, s in enumerate(seen.structures) if s.virial is not None and s.pbc.all()]
    index = index[:: max(1, len(index) // 100)]
    if not index:
        return
    labelled = [seen.structures[i] for i in index]
    labels = np.concatenate([to_voigt(s.virial) / len(s) for s in labelled if s.virial is not None])
    rows = np.concatenate(seen.virials[index])
    volumes = np.array([s.volume / len(s) for s in labelled])
    shift = np.outer(volumes, (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)).ravel()[:, None]
    found = seen.slope(rows, labels, shift if len(index) >= _FEWEST else shift[:, :0])
    if found.off(_STRANGE_VIRIAL):
        text = f"{named(labelled)}: {_virial_words(found, labelled)}"
        yield wrong(text) if fitted and found.off(_WRONG_VIRIAL) else strange(text)
        return
    if np.ptp(volumes) < 1e-3 * volumes.mean():  # nothing tells the zero of pressures of one volume
        return
    if not shifts or not len(found.extra) or found.correlation < 0.6:
        return
    pressure, error = found.extra[0] / GIGAPASCAL, found.extra_errors[0] / GIGAPASCAL
    if abs(pressure) > max(_OFFSET, _ERRORS * error):
        yield strange(
            f"{named(labelled)}: all virials are shifted by a pressure of {pressure:+.2g} ± "
            f"{error:.1g} GPa against what forces say (a basis of plane waves that is too small "
            "does this); do not fit them, or leave them out (ignore: stress or virial)"
        )


def _virial_words(found: Slope, labelled: Sequence[Structure]) -> str:
    """What a slope of virials means."""
    text = (
        f"stresses or virials are {found.value:.3g} ± {found.error:.1g} times what the forces say"
    )
    size = abs(found.value)
    whole = float(np.median([s.volume for s in labelled]))
    minus = "-" if found.value < 0 else ""
    if 1 / _STRANGE_VIRIAL < size < _STRANGE_VIRIAL:
        return f"{text}: they have the wrong sign (units: stress=-eV/Å^3, or virial=-eV)"
    if 0.7 < size * whole < 1.4:
        return f"{text}, which is one over the volume: a stress under the key of a virial"
    keyed = ", or a virial under the key of a stress" if 0.7 < size / whole < 1.4 else ""
    meaning = reading(size, STRESSES) or reading(size, PRESSURES, _ROUGHLY)
    sign = " with the wrong sign" if minus else ""
    if meaning:
        return f"{text}: this looks like {meaning}{sign} (units: stress={minus}{meaning}){keyed}"
    return f"{text}, so they are in another unit{sign}{keyed}"


def mixed_forces(
    train: Sequence[Structure], predicted: Sequence[Floats | None]
) -> Iterator[Finding]:
    """Structures whose forces are those of the others times a factor.

    Args:
        train: training structures.
        predicted: forces that the witness says, shape (n, 3) each.
    """
    found: list[tuple[float, float, Structure]] = []
    for one, forces in zip(train, predicted, strict=True):
        if one.forces is None or forces is None or len(one) < 3 or not one.forces.any():
            continue
        overlap = float(np.vdot(one.forces, forces))
        sizes = float(np.linalg.norm(one.forces) * np.linalg.norm(forces))
        if sizes > 0 and abs(overlap) > _ALIKE * sizes:
            size = float(np.sqrt(np.mean(forces**2)))
            found.append((overlap / float(np.vdot(forces, forces)), size, one))
    if len(found) < _FEWEST:
        return
    usual = float(np.median([size for _, size, _ in found]))
    found = [one for one in found if one[1] > _SIZEABLE * usual]
    turned = [s for slope, _, s in found if -1.4 < slope < -0.7]
    ahead = [slope for slope, _, _ in found if slope > 0]
    narrow = bool(ahead) and _ALIKE < np.quantile(ahead, 0.1) < np.quantile(ahead, 0.9) < 1 / _ALIKE
    if narrow and 0 < len(turned) < 0.5 * len(found):
        yield wrong(
            f"{named(turned)}: the forces point against those of the other structures; correct "
            "their sign or leave the structures out"
        )
    slopes = np.log([slope for slope, _, _ in found if slope > 0])
    alike = [s for slope, _, s in found if slope > 0]
    order = np.argsort(slopes)
    if len(order) < _FEWEST:
        return
    gaps = np.diff(slopes[order])
    at = int(gaps.argmax()) + 1
    low, high = order[:at], order[at:]
    factor = float(np.exp(np.median(slopes[high]) - np.median(slopes[low])))
    if gaps[at - 1] < np.log(_GAP) or min(len(low), len(high)) < max(2, 0.02 * len(order)):
        return
    few = low if len(low) <= len(high) else high
    others = f"{factor:.3g} times {'smaller' if few is low else 'larger'}"
    text = (
        f"{named([alike[i] for i in sorted(few)])}: the forces are {others} than those of the "
        "other structures at like distances (27.2 for Ha/Å, 51.4 for Ha/Bohr, 23.1 for "
        "kcal/mol/Å): they are in another unit; read these from a file of their own, with its units"
    )
    yield wrong(text) if factor > _WRONG_FORCES else strange(text)


def far_energies(
    train: Sequence[Structure], said: Sequence[Result], symbols: Sequence[str]
) -> Iterator[Finding]:
    """Energies far from what the other energies say, where the forces are what they say.

    Args:
        train: training structures.
        said: what the witness says, energies up to a constant for each element.
        symbols: elements.
    """
    both = [
        (s, one.energy)
        for s, one in zip(train, said, strict=True)
        if s.energy is not None and s.forces is not None and one.error is None
        if np.linalg.norm(s.forces - one.forces) < _FORESEEN * np.linalg.norm(s.forces)
    ]
    if len(both) < 2 * _FEWEST:
        return
    labelled = [s for s, _ in both]
    left = np.array([(s.energy - p) / len(s) for s, p in both if s.energy is not None])
    parts = compositions(labelled, symbols)
    left -= parts @ robust(parts, left)
    spread = 1.48 * float(np.median(np.abs(left)))
    allowed = [max(_FAR, _SPREADS * spread, 0.5 * largest_force(s)) for s in labelled]
    far = [i for i in np.flatnonzero(np.abs(left) > allowed) if contact(labelled[i]) > _SQUEEZED]
    if far:
        worst = max(far, key=lambda i: abs(left[i]))
        yield strange(
            f"{named([labelled[i] for i in far])}: energies per atom up to {abs(left[worst]):.2g} "
            f"eV from what the forces and the other energies say (spread {spread:.2g} eV)"
        )


def mixed_energies(
    train: Sequence[Structure], seen: Witness | None, symbols: Sequence[str]
) -> Iterator[Finding]:
    """Part of the energies in another unit than the rest.

    Args:
        train: training structures.
        seen: the witness, whose structures are looked at; None: compositions alone tell.
        symbols: elements.
    """
    looked_at = train if seen is None else seen.structures
    index = [i for i, s in enumerate(looked_at) if s.energy is not None]
    if len(index) < 2 * _FEWEST:
        return
    labelled = [looked_at[i] for i in index]
    parts = compositions(labelled, symbols)
    given = np.array([s.energy / len(s) for s in labelled if s.energy is not None])
    off = np.abs(given - parts @ robust(parts, given))
    most = 5 * float(np.median(off))  # one energy that is far off is no unit
    usual = float(np.minimum(off, most).mean())
    if seen is not None:
        alone = seen.slope(seen.energies[index], given, parts[:, parts.any(axis=0)])
        if alone.correlation > 0.95:
            return
    for text, factor in ENERGIES.items():
        if not text.startswith("energies"):
            continue
        left, other = _split(parts, given, factor, most)
        if not 2 <= len(other) <= len(given) - 2:
            continue
        sound = left < 0.1 * usual
        if seen is not None:
            mended = given.copy()
            mended[other] /= factor
            found = seen.slope(seen.energies[index], mended, parts[:, parts.any(axis=0)])
            sound = (
                found.correlation > 0.9
                and not found.off(_STRANGE)
                and found.noise < 0.3 * max(alone.noise, 1e-12)
            )
        if sound:
            yield wrong(
                f"{named([labelled[i] for i in other])}: {len(other)} of {len(given)} structures "
                f"have {text}, the others have not; read these from a file of their own"
            )
            return


def _split(
    parts: Floats, given: Floats, factor: float, most: float
) -> tuple[float, NDArray[np.intp]]:
    """Energies that are nearer to those of their composition times a factor.

    Args:
        parts: compositions, shape (m, elements).
        given: energies per atom, shape (m,).
        factor: of the unit.
        most: distances in eV/atom above this count as this.

    Returns:
        The mean distance of all to the nearer of the two in eV/atom, and which are scaled.
    """
    generator = np.random.default_rng(0)
    best: tuple[float, NDArray[np.intp]] = (np.inf, np.zeros(0, dtype=np.intp))
    for _ in range(60):
        drawn = generator.choice(len(given), min(parts.shape[1], len(given)), replace=False)
        right = parts @ np.linalg.lstsq(parts[drawn], given[drawn], rcond=None)[0]
        off, scaled = np.abs(given - right), np.abs(given - factor * right) / factor
        left = float(np.minimum(np.minimum(off, scaled), most).mean())
        if left < best[0]:
            best = (left, np.flatnonzero(scaled < off))
    return best


#: Elements whose solids or molecules are soft, of which nothing is known from stiffness.
_SOFT = frozenset((1, 2, 3, 7, 8, 9, 10, 11, 15, 16, 17, 18, 19, 20, 34, 35, 36, 37, 38, 48, 49, 53,
                   54, 55, 56, 63, 70, 80, 81, 86, 87, 88))  # fmt: skip
#: Force constant of an atom times the square of the shortest distance, in eV. By Debye
#: temperatures: lead 49, copper 85, aluminium 72, silicon 114, diamond 250, tungsten 390.
_WEAK, _STIFF = 15.0, 1200.0


def stiffness(seen: Witness, threads: int) -> Iterator[Finding]:
    """Forces in another unit, although all labels agree: no solid is so soft or so hard."""
    if seen.agreement < 0.9:
        return
    looked_at = seen.structures[:: max(1, len(seen.structures) // 8)]
    generator = np.random.default_rng(0)
    values, used = [], []
    for one in looked_at:
        if _SOFT & set(one.numbers.tolist()) or not 0.6 < contact(one) < 1.4:
            continue
        step = 0.01 * generator.normal(size=one.positions.shape)
        moved = [
            Structure(one.numbers, one.positions + sign * step, one.cell, one.pbc)
            for sign in (1, -1)
        ]
        ahead, behind = seen.predict(moved, threads)
        if ahead.error is not None or behind.error is not None:
            continue
        constant = -float(np.vdot(ahead.forces - behind.forces, step))
        constant /= 2 * float(np.vdot(step, step))
        values.append(constant * min(nearest(one, 6.0).values()) ** 2)
        used.append(one)
    if len(values) < 2:
        return
    usual, hardest = np.quantile(values, (0.5, 0.9))
    if 0 < hardest < _WEAK:
        yield strange(
            f"{named(used)}: force constants times the distance squared are {usual:.2g} eV, "
            "softer than any solid of these elements: all labels may be in Ha or Ry (units: "
            "energy=Ha,forces=Ha/Å)"
        )
    elif usual > _STIFF:
        yield strange(
            f"{named(used)}: force constants times the distance squared are {usual:.2g} eV, harder "
            "than any solid: all labels may be in kcal/mol or kJ/mol (units: "
            "energy=kcal/mol,forces=kcal/mol/Å)"
        )
