"""Defects in tungsten: what small training cells carry, against a closed-form reference.

    OMP_NUM_THREADS=1 python benchmarks/defects.py [D1 D2 D3 D4 D5 D6] [--out defects.txt]

The reference is tungsten of Finnis and Sinclair (`finnis_sinclair.py`), or an ACE fitted to it
where a smooth one is wanted. Each part prints its numbers and whether they are what theory, or an
independent program, says:

- D1: constants of the closed form
- D2: E_f and the geometry of a vacancy against the size of the cell
- D3: the theorem without any fit: a model that is wrong beyond L only
- D4: geometry errors against ‖∇E_ML(u_ref)‖, and against the noise of labels
- D5: force constants as rows, and what they buy against L
- D6: formation energies of three defects
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from finnis_sinclair import A0, Tungsten
from machine import machine

import acepot
from acepot import Potential, Structure
from acepot.defects.cells import DefectCell, defect_cell
from acepot.defects.run import study
from acepot.defects.settings import DefectSettings
from acepot.defects.study import Outcome
from acepot.evaluate.protocol import Result
from acepot.fitting.observables import Observable
from acepot.properties.crystals import crystal, repeated
from acepot.properties.elasticity import elasticity
from acepot.properties.relaxation import Computes, relaxed
from acepot.schema import from_mapping

FS = Tungsten()
UNIT = crystal(f"W:bcc:{A0}")
MU = FS.compute(UNIT).energy / 2
#: The small and the large cell, and force at rest, of D4 to D6.
LARGE, FORCE = 12, 2e-6
#: Seeds of the displacements of D5.
SEEDS = (0, 1, 2, 3)
#: Sizes of D2; the last is infinite for the geometry.
SIZES = (4, 5, 6, 8, 10, 12, 16, 20)


def judged(text: str, good: bool) -> str:
    """A line with a verdict."""
    return f"{text}  [{'as it must be' if good else 'NOT as it must be'}]"


@cache
def vacancy(size: int, force: float = 2e-7) -> tuple[DefectCell, Structure, float]:
    """A vacancy of the closed form: cell, structure at rest, E_f."""
    cell = defect_cell(UNIT, "vacancy", size)
    found = relaxed(FS, cell.structure, force=force)
    return cell, found.structure, found.energy - MU * len(cell.structure)


def slope(x: list[float], y: list[float]) -> float:
    """Of log y against log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# ------------------------------------------------------------------ D1, D2


def constants() -> list[str]:
    """Constants of the closed form."""
    found = FS.compute(UNIT)
    c = elasticity(FS, UNIT).constants
    pressure = -np.trace(found.virial) / 3 / UNIT.volume
    values = (found.energy / 2, c[0, 0], c[0, 1], c[3, 3])
    published = (-8.9000024, 522.49, 204.41, 160.61)
    off = [abs(a / b - 1) for a, b in zip(values, published, strict=True)]
    return [
        judged(
            f"D1 E {values[0]:.7f} eV, pressure {pressure:.1e} eV/Å³, C11 {values[1]:.2f}, "
            f"C12 {values[2]:.2f}, C44 {values[3]:.2f} GPa",
            max(off) < 1.2e-4,
        )
    ]


def cell_sizes() -> list[str]:
    """E_f and geometry against the cell."""
    lines, energies = [], {}
    large, rest, _ = vacancy(SIZES[-1])
    edge = 2 * SIZES[-1]  # in half lattice constants
    moved = rest.positions - large.structure.positions
    places = {tuple(site % edge): u for site, u in zip(_sites(large), moved, strict=True)}
    errors = {}
    for size in SIZES:
        cell, own, energies[size] = vacancy(size)
        u = own.positions - cell.structure.positions
        shown = f"D2 N = {size:2d}: E_f {energies[size]:.6f} eV, ‖Du‖ {cell.norm(u):.4f} Å"
        if size < SIZES[-1]:
            errors[size] = _apart(cell, u, places, edge, large.norm(moved))
            shown += f", geometry against N = {SIZES[-1]} {errors[size]:.5f} Å"
        lines.append(shown)
    kept = [n for n in errors if 5 <= n <= 12]
    shape = slope([float(n) for n in kept], [errors[n] for n in kept])
    a, b = SIZES[-2:]
    limit = (energies[b] * b**3 - energies[a] * a**3) / (b**3 - a**3)
    near = [n for n in SIZES if 5 <= n <= 12]
    energy = slope([float(n) for n in near], [energies[n] - limit for n in near])
    lines.append(judged(f"D2 geometry falls with slope {shape:.2f}", -1.9 < shape < -1.5))
    lines.append(judged(f"D2 energy falls with slope {energy:.2f}", -3.4 < energy < -2.9))
    lines.append(judged(f"D2 E_f(∞) {limit:.5f} eV", abs(limit - 3.63117) < 2e-5))
    return lines


def _sites(cell: DefectCell) -> np.ndarray:
    """Perfect sites from the defect, the nearest images, in half lattice constants."""
    p, edge = cell.structure.positions, cell.structure.cell[0, 0]
    return np.rint(2 * (p - edge * np.rint(p / edge)) / A0).astype(int)


def _apart(
    cell: DefectCell,
    u: np.ndarray,
    places: dict[tuple[int, ...], np.ndarray],
    edge: int,
    whole: float,
) -> float:
    """‖Du - Du∞‖, Du being 0 beyond the cell; each bond is compared with that of a larger cell."""
    sites, size = _sites(cell), int(round(2 * cell.structure.cell[0, 0] / A0))
    bond = sites[cell.second] - sites[cell.first]
    bond -= size * np.rint(bond / size).astype(int)
    ends = (sites[cell.first] % edge, (sites[cell.first] + bond) % edge)
    first, second = (np.array([places[tuple(s)] for s in end]) for end in ends)
    inside = np.linalg.norm(u[cell.second] - u[cell.first] - (second - first))
    return float(np.sqrt(inside**2 + whole**2 - np.linalg.norm(second - first) ** 2))


# ------------------------------------------------------------------ D3


class Wrong:
    """The closed form with a term of bonds beyond a distance.

    Args:
        cell: with its bonds.
        beyond: Å, of the atom at which a directed bond begins.
        k: of ½ k |D_ρ u|² (eV/Å²), or of k |D_ρ u|² D_ρ u·ρ̂ (eV/Å³).
        cubic: the second of these.
    """

    def __init__(self, cell: DefectCell, beyond: float, k: float, cubic: bool) -> None:
        sites, edge = cell.structure.positions, cell.structure.cell[0, 0]
        kept = cell.distance[cell.first] > beyond - 1e-6  # whole shells lie at whole L
        self.first, self.second = cell.first[kept], cell.second[kept]
        bond = sites[self.second] - sites[self.first]
        bond -= edge * np.rint(bond / edge)
        self.bond = bond / np.linalg.norm(bond, axis=1)[:, None]
        self.sites, self.k, self.cubic = sites, k, cubic

    def compute(self, structure: Structure) -> Result:
        """Energy, forces and the virial of the closed form alone."""
        found = FS.compute(structure)
        u = structure.positions - self.sites
        d = u[self.second] - u[self.first]
        square = (d**2).sum(axis=1)
        if self.cubic:
            along = (d * self.bond).sum(axis=1)
            energy = self.k * square * along
            pull = self.k * (2 * along[:, None] * d + square[:, None] * self.bond)
        else:
            energy, pull = self.k / 2 * square, self.k * d
        forces = np.array(found.forces)
        np.add.at(forces, self.first, pull)
        np.add.at(forces, self.second, -pull)
        energies = found.energies + np.bincount(self.first, energy, minlength=len(structure))
        return Result(energies, forces, found.virials)


def theorem(size: int = 20) -> list[str]:
    """Ratios of errors to tail norms of Du."""
    cell, rest, _ = vacancy(size)
    u = rest.positions - cell.structure.positions
    lines, slopes = [], {}
    ranges = {False: (0.060, 0.115), True: (1.2, 2.2)}
    for cubic, k, lengths in ((False, 0.2, (2, 3, 4, 5, 6)), (True, 2.0, (2, 3, 4))):
        errors = []
        for length in lengths:
            model = Wrong(cell, length * A0, k, cubic)
            found = relaxed(model, rest, force=5e-8).structure
            errors.append(cell.norm(found.positions - rest.positions))
            tail = cell.norm(u, length * A0 + 1e-6, 2 if cubic else 1)
            ratio, (low, high) = errors[-1] / tail, ranges[cubic]
            low, high = (low, 0.085) if not cubic and length > 2 else (low, high)
            what = "cubic" if cubic else "quadratic"
            text = f"D3 {what}, L = {length}: tail {tail:.3e}, error {errors[-1]:.3e}, "
            lines.append(judged(f"{text}ratio {ratio:.3f}", low <= ratio <= high))
        slopes[cubic] = [
            slope([lengths[i], lengths[i + 1]], errors[i : i + 2]) for i in range(len(errors) - 1)
        ]
    for cubic, found in slopes.items():
        text = ", ".join(f"{one:.2f}" for one in found)
        lines.append(f"D3 {'cubic' if cubic else 'quadratic'}: local slopes of the error {text}")
    return lines


# ------------------------------------------------------------------ fits


def fitted(data: list[Structure], basis: dict[str, object], **more: object) -> Potential:
    """A model of labelled tungsten, by damped least squares."""
    names = [n for n in ("energy", "forces", *more.pop("names", ()))]  # type: ignore[misc]
    weights = {"default": {"energy": 30.0, "forces": 1.0, "formation_energy": 30.0,
                           "force_constants": more.pop("constants", 1.0)}}  # fmt: skip
    made = acepot.fit(
        data, {"elements": ["W"], **basis}, observables=names, e0={"W": MU}, prior="none",
        solver={"kind": "qr", "damping": more.pop("damping", 1e-7)}, weights=weights,
        accept_labels=True,
    )  # fmt: skip
    return made.potential


def rattled(rest: Structure, count: int, seed: int, label: Computes) -> list[Structure]:
    """A structure and displaced copies, 5 to 30 mÅ, with labels."""
    rng = np.random.default_rng(seed)
    found = [rest]
    for k in range(count):
        width = 0.005 + 0.025 * k / max(count - 1, 1)
        moved = rest.positions + rng.normal(scale=width, size=rest.positions.shape)
        found.append(rest.moved(moved))
    return [_labelled(one, label) for one in found]


def _labelled(structure: Structure, label: Computes) -> Structure:
    found = label.compute(structure)
    return structure.labelled(energy=found.energy, forces=found.forces)


@cache
def truth(order: int, degree: tuple[float, ...]) -> Potential:
    """A smooth tungsten: an ACE fitted to the closed form around vacancies and strained cells."""
    rng = np.random.default_rng(5)
    data = []
    for size in (3, 4):
        _, rest, _ = vacancy(size)
        data += rattled(rest, 6, size, FS)
    for k in range(24):
        whole = repeated(UNIT, np.array([3, 3, 3]))
        deform = np.eye(3) * (1 + 0.02 * rng.normal()) + rng.normal(scale=0.01, size=(3, 3))
        moved = (whole.positions + rng.normal(scale=0.02 + 0.01 * (k % 8), size=(54, 3))) @ deform
        data.append(_labelled(whole.moved(moved, whole.cell @ deform), FS))
    return fitted(data, {"order": order, "degree": list(degree), "cutoff": 5.0}, damping=1e-4)


def large(label: Potential) -> tuple[DefectCell, Structure, float]:
    """The vacancy of a smooth tungsten in the large cell."""
    cell = defect_cell(_at_rest(label), "vacancy", LARGE)
    found = relaxed(label, cell.structure, force=FORCE)
    mu = label.compute(_at_rest(label)).energy / 2
    return cell, found.structure, found.energy - mu * len(cell.structure)


def _at_rest(label: Potential) -> Structure:
    return relaxed(label, UNIT, cell="free").structure


# ------------------------------------------------------------------ D4 to D6


def noise() -> list[str]:
    """Geometry errors against the noise of labels."""
    basis = {"order": 2, "degree": [14, 12], "cutoff": 5.0}
    label = truth(2, (14, 12))
    cell, rest, _ = large(label)
    small = defect_cell(_at_rest(label), "vacancy", 5)
    start = relaxed(label, small.structure, force=FORCE).structure
    clean = rattled(start, 4, 1, label)
    levels, gradients, errors, lines = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001), [], [], []
    for level in levels:
        rng = np.random.default_rng(7)
        data = [
            one.labelled(
                forces=np.asarray(one.forces) + rng.normal(scale=level, size=(len(one), 3))
            )
            for one in clean
        ]
        model = fitted(data, basis)
        gradients.append(float(np.linalg.norm(model.compute(rest).forces)))
        found = relaxed(model, rest, force=FORCE).structure
        errors.append(cell.norm(found.positions - rest.positions))
        ratio = errors[-1] / gradients[-1]
        lines.append(
            f"D4 noise {level} eV/Å: ‖∇E(u)‖ {gradients[-1]:.2e} eV/Å, geometry "
            f"{errors[-1]:.2e} Å, ratio {ratio:.3f} Å²/eV"
        )
    ratios = np.array(errors) / np.array(gradients)
    spread = float(np.abs(ratios / ratios.mean() - 1).max())
    shape = slope(list(levels), errors)
    lines.append(judged(f"D4 ratio constant to {spread:.0%}", spread < 0.25))
    lines.append(judged(f"D4 slope against noise {shape:.3f}", abs(shape - 1) < 0.05))
    return lines


def force_constants() -> list[str]:
    """What rows of force constants are, and what they buy."""
    label = truth(3, (12, 10, 8))
    lines = []
    whole = repeated(_at_rest(label), np.array([4, 4, 4]))
    said = whole.labelled(labels={"displaced": np.array([0, 1.0, 0, 0, 0.0])})
    one = Observable.known["force_constants"]
    phi = one.predicted(said, label.compute(said), label.compute_all)
    h, step = 1e-5, np.zeros_like(whole.positions)
    step[0, 0] = h
    ends = [label.compute(whole.moved(whole.positions + s * step)).forces for s in (1, -1)]
    off = float(np.abs(phi + ((ends[0] - ends[1]) / (2 * h)).ravel()).max() / np.abs(phi).max())
    total = float(np.abs(phi.reshape(-1, 3).sum(axis=0)).max())
    lines.append(judged(f"D5 second differences agree to {off:.1e}", off < 1e-6))
    lines.append(judged(f"D5 sum rule {total:.1e} eV/Å²", total < 1e-8))
    unit = _at_rest(label)
    found = []
    for seed in SEEDS:
        config = from_mapping(
            DefectSettings,
            {
                "crystal": f"W:bcc:{float(unit.cell[0, 0])!r}", "sizes": [2, 3, 4, 5, 6],
                "size": LARGE, "force": FORCE, "displacement": 1e-4, "seed": seed,
                "fit": {"basis": {"order": 2, "degree": [12, 10], "cutoff": 5.0}, "formation": 0.0},
            },
        )  # fmt: skip
        found.append(studied(config, label))
    limits = {2: 2.5, 3: 1.4, 4: 1 / 1.1, 5: 1 / 1.1, 6: 1 / 1.1}
    return [*lines, *[_gained(found, size, least) for size, least in limits.items()],
            _one_ratio(found)]  # fmt: skip


def _gained(found: list[list[Outcome]], size: int, least: float) -> str:
    """What force constants buy at one size: geometric means over the seeds."""
    shown, means = [], []
    for weight in (0.0, 1.0):
        own = [o for one in found for o in one
               if (o.variant.size, o.variant.constants) == (size, weight)]  # fmt: skip
        errors = [np.inf if (g := o.trials[0].geometry) is None else g for o in own]
        means.append(float(np.exp(np.mean(np.log(errors)))))
        each = " ".join(f"{e:.1e}" for e in errors)
        eps = float(np.mean([o.constants for o in own]))
        shown.append(f"{means[-1]:.2e} Å ({each}), ε_FC {eps:.1e}")
    gain = means[0] / means[1]
    text = f"D5 L = {size}: geometry {shown[0]} without, {shown[1]} with force constants"
    return judged(f"{text}: gain {gain:.2f}", gain >= least)


def _one_ratio(found: list[list[Outcome]]) -> str:
    """The stability constant in all fits."""
    trials = [o.trials[0] for one in found for o in one if o.variant.size >= 3]
    ratios = np.array([t.geometry / t.gradient for t in trials if t.geometry is not None])
    spread = float(np.abs(ratios / ratios.mean() - 1).max())
    text = f"D4 in all {len(ratios)} fits of D5 with L ≥ 3 the ratio is {ratios.mean():.3f} Å²/eV"
    return judged(f"{text} to {spread:.0%}", spread < 0.25)


def studied(config: DefectSettings, reference: Computes) -> list[Outcome]:
    """A study in a folder that goes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        return study(config, folder, reference=reference, say=lambda line: None)


def formation() -> list[str]:
    """Formation energies with difference rows, each defect by models of its own cells."""
    lines = []
    basis = {"order": 3, "degree": [14, 12, 12], "cutoff": 5.0}
    for defect in ("vacancy", "divacancy", "dumbbell 111"):
        config = from_mapping(
            DefectSettings,
            {"crystal": f"W:bcc:{A0}", "defects": [defect], "sizes": [4, 5], "size": LARGE,
             "rattles": [8], "force_constants": [1.0], "force": 1e-5, "fit": {"basis": basis}},
        )  # fmt: skip
        for one in studied(config, FS):
            trial = one.trials[0]
            off = np.nan if trial.error is None else trial.error * 1e3
            text = f"D6 {defect}, L = {one.variant.size}: E_f off by {off:+.2f} meV {trial.note}"
            largest = one.variant.size == max(config.sizes)
            lines.append(judged(text.rstrip(), abs(off) <= 5) if largest else text.rstrip())
    return lines


PARTS: dict[str, Callable[[], list[str]]] = {
    "D1": constants, "D2": cell_sizes, "D3": theorem, "D4": noise, "D5": force_constants,
    "D6": formation,
}  # fmt: skip


def main() -> int:
    """Print all parts; 1 if something is not as it must be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="some of D1 to D6 (all)")
    parser.add_argument("--out", type=Path, help="file that the lines are added to")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    failed = False

    def show(text: str) -> None:
        nonlocal failed
        failed |= "NOT as" in text
        print(text, flush=True)
        if given.out:
            with given.out.open("a", encoding="utf-8") as file:
                file.write(text + "\n")

    show(f"{machine()}")
    for name in given.parts or PARTS:
        begin = time.process_time()
        for line in PARTS[name]():
            show(line)
        show(f"{name} took {time.process_time() - begin:.0f} s of CPU")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
