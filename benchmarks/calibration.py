"""How often stated intervals hold: held-out sets, families that were left out, stretched dimers.

    OMP_NUM_THREADS=1 python benchmarks/calibration.py [--data FOLDER] [--sets si li cu ni alloy]

Small fits of public sets (mlearn, Zuo et al. 2020; MoNbTaW, Li et al. 2020), whose standard
deviations are scaled on training structures left out. The first table is that of the published test
sets, the second that of each training family (config type) predicted without it and with a scaling
from the others. The third compares grades of surroundings: the least of dimers of every pair of
elements, from the bond length to beyond the cut-off, with those of the test frames.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np

import acepot
from acepot.basis.choices import BOND_LENGTHS
from acepot.structure import Structure
from acepot.uncertainty.calibration import ALL, Calibration, calibrate, gathered
from acepot.uncertainty.coverage import STATED, spearman, stated
from acepot.uncertainty.energies import UncertainPotential
from acepot.uncertainty.extrapolation import ActiveSet, SiteFunctions
from acepot.uncertainty.predictions import Prediction, without_family
from acepot.uncertainty.surroundings import LIMIT, Surroundings


@dataclass(frozen=True)
class Set:
    """Files, every which training structure is taken, and the basis.

    Args:
        train: file below the folder of data.
        test: likewise.
        every: of the training structures.
        degree: of the basis.
        observables: what is fitted.
        kinds: config type by the last part of that of the file, where both files name them apart.
        frames: structures from which a group has a scaling of its own.
    """

    train: str
    test: str
    every: int
    degree: tuple[float, ...]
    observables: tuple[str, ...]
    kinds: bool = False
    frames: int = 100


def _mlearn(element: str, *degree: float) -> Set:
    folder = "mlearn_zuo2020"
    files = (f"{folder}/{element}_{part}.extxyz.xz" for part in ("train", "test"))
    return Set(*files, 1, degree, ("energy", "forces"))


SETS = {
    "si": _mlearn("Si", 18, 14, 11),
    "li": _mlearn("Li", 16, 12, 9),
    "cu": _mlearn("Cu", 14, 11, 8),
    "ni": _mlearn("Ni", 14, 11, 8),
    "alloy": Set(
        "monbtaw_snap2020/train.extxyz.xz", "monbtaw_snap2020/test.extxyz.xz", 14, (8, 6),
        ("energy", "forces", "virial"), kinds=True, frames=50,
    ),
}  # fmt: skip
CUTOFF = 5.0
#: Every which training structure makes up the active sets.
_PART = 4
#: Inside and number of values by observable and level, over all sets.
Sums = dict[tuple[str, float], list[float]]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).parents[2] / "shared" / "data"
    options.add_argument("--data", type=Path, default=default)
    options.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    chosen = options.parse_args()
    tested: Sums = {}
    unseen: Sums = {}
    for name in chosen.sets:
        fit = _fitted(name, SETS[name], chosen.data)
        begin = time.process_time()
        calibration = calibrate(fit.left_out, SETS[name].frames)
        print(f"{name}: left out in {time.process_time() - begin:.0f} CPU s", flush=True)
        print("  test set                     count   68 %   90 %   95 %  Spearman")
        _table(fit.held_out, calibration, tested)
        print("  families left out")
        _families(fit, unseen)
        _strange(fit)
    if len(chosen.sets) > 1:
        for title, sums in (("all test sets", tested), ("all families left out", unseen)):
            print(title)
            for letter in dict.fromkeys(key[0] for key in sums):
                held = "".join(_percent(*sums[letter, level]) for level in STATED)
                print(f"  {letter:<24} {int(sums[letter, STATED[0]][1]):>9}{held}")


def _fitted(name: str, one: Set, data: Path) -> acepot.Fit:
    begin = time.process_time()
    train, test = (acepot.read_structures(data / file)[0] for file in (one.train, one.test))
    if one.kinds:
        train, test = ([_by_kind(s) for s in several] for several in (train, test))
    basis = {"order": len(one.degree), "degree": one.degree, "cutoff": CUTOFF}
    fit = acepot.fit(train[:: one.every], basis, observables=one.observables, test=test)
    print(
        f"\n{name}: {len(fit.train)} structures, {fit.model.coefficients.shape[2]} functions, "
        f"{time.process_time() - begin:.0f} CPU s"
    )
    return fit


def _by_kind(s: Structure) -> Structure:
    """Its config type is SS (solid solutions), AIMD, Elastic or Surface, whatever the elements.

    Those of the test file are Mo_Test, which is molecular dynamics, and MoTa_Test, which is not.
    """
    elements, kind = s.config_type.split("_")
    if kind == "Test":
        kind = "AIMD" if len(elements) <= 2 else "SS"
    return Structure(
        s.numbers, s.positions, s.cell, s.pbc, energy=s.energy, forces=s.forces, virial=s.virial,
        config_type=kind, name=s.name,
    )  # fmt: skip


def _table(found: Sequence[Prediction], calibration: Calibration, sums: Sums) -> None:
    """A line for each group and observable, groups last; what they add to all sets."""
    every = [v for v in gathered(found) if calibration.of(v.observable.name) is not None]
    groups = list(dict.fromkeys(p.structure.config_type for p in found))
    for group in [*groups, ALL] if len(groups) > 1 else groups:
        for values in (v.among(group) for v in every):
            free = values.free
            count = len(free.errors)
            if not count:
                continue
            line = ""
            for level in STATED:
                widths = stated(free, calibration, level)
                inside = int(np.count_nonzero(np.abs(free.errors) <= widths))
                line += _percent(inside, count)
                if group == ALL or len(groups) == 1:
                    both = sums.setdefault((values.observable.letter, level), [0, 0])
                    both[0] += inside
                    both[1] += count
            print(f"  {group:<18} {values.observable.letter:<5} {count:>9}{line}"
                  f"{spearman(values):10.2f}")  # fmt: skip


def _percent(inside: float, count: float) -> str:
    return f"{100 * inside / count:7.1f}"


def _families(fit: acepot.Fit, sums: Sums) -> None:
    """Each family without it in the fit, by intervals from the other families."""
    potential = UncertainPotential(fit.posterior)
    found = without_family(potential, fit.train, fit.weight)
    for family in dict.fromkeys(s.config_type for s in fit.train):
        others = [p for p in fit.left_out if p.structure.config_type != family]
        own = [p for p in found if p.structure.config_type == family]
        _table(own, calibrate(others), sums)


def _strange(fit: acepot.Fit) -> None:
    """Grades of stretched dimers and of test frames."""
    functions = SiteFunctions.of_model(fit.model)
    data = fit.train[::_PART]
    known = Surroundings.of(functions, data)
    plain = ActiveSet.chosen(functions, data)
    frames = np.array([g.max() for g in known.grades(fit.test)])
    print(
        f"  grades of {len(frames)} test frames: nine in ten below {np.quantile(frames, 0.9):.2f}, "
        f"{np.mean(frames > LIMIT):.1%} above {LIMIT:g}; stretched dimers, least grade "
        "(least gamma):"
    )
    for a, b in combinations_with_replacement(fit.model.numbers, 2):
        shortest = (BOND_LENGTHS[a] + BOND_LENGTHS[b]) / 2
        lengths = np.append(np.linspace(shortest, CUTOFF - 0.02, 40), [CUTOFF + 0.1, 2 * CUTOFF])
        dimers = [Structure([a, b], [[0.0, 0, 0], [r, 0, 0]]) for r in lengths]
        least = min(g.max() for g in known.grades(dimers))
        gamma = min(g.max() for g in plain.grades(functions, dimers))
        print(f"    {a:>3}-{b:<3} {least:8.3g}  ({gamma:.2g})")


if __name__ == "__main__":
    main()
