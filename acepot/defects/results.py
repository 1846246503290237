"""A study as a page, as JSON and CSV, and the step that is cheapest."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acepot.defects.settings import DefectSettings
from acepot.defects.study import Outcome, Trial
from acepot.io.files import replaced
from acepot.run.chart import Curve, chart
from acepot.run.page import charts, page, table

__all__ = ["FILES", "PAGE", "Profile", "advice", "written"]

Floats = NDArray[np.float64]
PAGE, JSON, CSV = "defects.html", "defects.json", "defects.csv"
FILES = (PAGE, JSON, CSV, "displacements.csv")


@dataclass(frozen=True, eq=False)
class Profile:
    """A defect in the large cell by the reference.

    Args:
        distances: of atoms from the defect, Å.
        strains: (Σ_ρ |D_ρ u|²)^½ of each, Å.
        norm: ‖Du‖ in Å.
        formation: E_f in eV.
    """

    distances: Floats
    strains: Floats
    norm: float
    formation: float


def _trial(outcome: Outcome, defect: str) -> Trial:
    return next(one for one in outcome.trials if one.defect == defect)


def advice(outcomes: Sequence[Outcome], defect: str, norm: float, target: float) -> str:
    """In a line: the cheapest way to a geometry so good, or the best there is.

    Args:
        outcomes: all that were tried.
        defect: its name.
        norm: ‖Du‖ of the reference in Å.
        target: relative error that is asked for.
    """
    known = [
        (one, geometry / norm)
        for one in outcomes
        if (geometry := _trial(one, defect).geometry) is not None
    ]
    if not known:
        return f"{defect}: no model stayed near the reference"
    good = [pair for pair in known if pair[1] <= target]
    start = f"{defect}: to get its geometry to {target:.2%}: "
    if not good:
        best, error = min(known, key=lambda pair: pair[1])
        return f"{start}none does; the best is {best.variant} with {error:.2%}, limited by " + (
            _trial(best, defect).limit
        )
    best, error = min(good, key=lambda pair: pair[0].cost)
    line = f"{start}cheapest is {best.variant} ({error:.2%}, {best.cost} atoms computed)"
    others = {
        "a larger cell": [o for o, _ in good if o.variant.size > best.variant.size],
        "more rattles": [
            o for o, _ in good
            if o.variant.size <= best.variant.size and o.variant.rattles > best.variant.rattles
        ],
        "force constants": [
            o for o, _ in good
            if o.variant.size <= best.variant.size and o.variant.rattles <= best.variant.rattles
            and o.variant.constants > best.variant.constants
        ],
    }  # fmt: skip
    said = [
        f"{name} {min(one.cost for one in found) / best.cost:.1f} times as much"
        for name, found in others.items()
        if found
    ]
    return f"{line}; {', '.join(said)}" if said else line


def written(
    outcomes: Sequence[Outcome],
    profiles: Mapping[str, Profile],
    config: DefectSettings,
    folder: Path,
    *,
    ended: bool,
) -> None:
    """Write page, JSON and CSV.

    Args:
        outcomes: so far.
        profiles: of the reference, by defect.
        config: of the study.
        folder: for the files.
        ended: whether nothing more comes.
    """
    lines = {d: advice(outcomes, d, p.norm, config.target) for d, p in profiles.items()}
    said = {
        "reference": {d: {"Du": p.norm, "formation": p.formation} for d, p in profiles.items()},
        "outcomes": [asdict(one) for one in outcomes],
        "advice": list(lines.values()),
    }
    with replaced(folder / JSON) as file:
        json.dump(said, file, indent=1)
    head, rows = _rows(outcomes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    with replaced(folder / CSV) as file:
        file.write(text.getvalue())
    words = [f"<h1>Defects of {escape(config.crystal)}</h1>"]
    words.append(
        f"<p>Trained on cells of L³, tried in {config.size}³ cells. ε_FC is relative; inside and "
        "outside are forces on the reference's geometry by atoms nearer and further than L/2; the "
        "geometry error is about 0.3 Å²/eV times all of them.</p>"
    )
    for defect, profile in profiles.items():
        words.append(f"<h2>{escape(defect)}</h2>")
        words.append(
            f"<p>By the reference: E_f {profile.formation:.4f} eV, ‖Du‖ {profile.norm:.4f} Å.</p>"
        )
        words.append(f"<p><b>{escape(lines[defect])}</b></p>")
        words.append(charts(_charts(outcomes, defect, profile)))
    words.append(table(head, rows))
    with replaced(folder / PAGE) as file:
        again = None if ended else 10.0
        file.write(page(f"Defects of {config.crystal}", words, again=again))


def _rows(outcomes: Sequence[Outcome]) -> tuple[list[str], list[list[str]]]:
    head = [
        "defect", "L", "rattles", "constants", "atoms computed", "E (meV/atom)", "F (meV/Å)",
        "ε_FC", "stress (GPa)", "‖∇E(u)‖ (eV/Å)", "inside", "outside", "ε_FC‖Du‖ (Å)",
        "‖|Du|²‖ (Å²)", "‖D(u-u_ML)‖ (Å)", "beyond L/2", "E_f (eV)", "E_f off (meV)", "limited by",
    ]  # fmt: skip
    rows = []
    for one in outcomes:
        v = one.variant
        for t in one.trials:
            numbers: list[float | None] = [
                one.energy, one.forces, one.constants, one.virial, t.gradient, t.inside, t.outside,
                t.first, t.second, t.geometry, t.beyond, t.formation,
                None if t.error is None else t.error * 1e3,
            ]  # fmt: skip
            cells = ["" if n is None else f"{n:.4g}" for n in numbers]
            about = [t.defect, str(v.size), str(v.rattles), f"{v.constants:g}", str(one.cost)]
            rows.append([*about, *cells, t.note or t.limit])
    return head, rows


def _charts(outcomes: Sequence[Outcome], defect: str, profile: Profile) -> list[str]:
    r, d = profile.distances, profile.strains
    far = np.linspace(max(float(r[r > 0].min()), 1.0), float(r.max()), 60)
    level = float(np.median(d[1:40] * r[1:40] ** 3)) if len(r) > 40 else float(d.max())
    drawn = [
        chart(
            "|Du| (Å)",
            [Curve("reference", r, d, dots=True), Curve("r⁻³", far, level * far**-3.0)],
            decades=True,
            below="Distance from the defect (Å)",
        )
    ]
    kinds = sorted({(o.variant.rattles, o.variant.constants) for o in outcomes})
    geometry, formation, scatter = [], [], []
    for rattles, constants in kinds:
        label = f"{rattles} rattles" + (f", FC {constants:g}" if constants else "")
        own = [o for o in outcomes if (o.variant.rattles, o.variant.constants) ==
               (rattles, constants)]  # fmt: skip
        trials = [(o.variant.size, _trial(o, defect)) for o in own]
        kept = [(n, t) for n, t in trials if t.geometry is not None and t.error is not None]
        sizes = np.array([float(n) for n, _ in kept])
        errors = np.array([t.geometry for _, t in kept], dtype=float)
        geometry.append(Curve(label, sizes, errors))
        off = np.array([abs(t.error or 0.0) * 1e3 for _, t in kept])
        formation.append(Curve(label, sizes, off))
        gradients = np.array([t.gradient for _, t in kept], dtype=float)
        scatter.append(Curve(label, np.log10(gradients), errors, dots=True))
    drawn.append(chart("‖D(u - u_ML)‖ (Å)", geometry, decades=True, below="L"))
    drawn.append(chart("‖D(u - u_ML)‖ (Å)", scatter, decades=True, below="log₁₀ ‖∇E(u)‖ (eV/Å)"))
    drawn.append(chart("E_f off (meV)", formation, decades=True, below="L"))
    return drawn
