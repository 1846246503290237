"""metatomic: a model file as `acepot export --format metatomic` writes it, in metatomic's ASE."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from ase import Atoms
from boxes import with_vacuum
from cases import Case, Numbers, read_cases, route_options, write_numbers
from metatomic_ase import MetatomicCalculator

from torch_ace.metatomic import export_metatomic


@cache
def calculator(model: Path, backend: str, folder: Path) -> MetatomicCalculator:
    file = folder / f"{model.name}.pt"
    extensions = export_metatomic(model, file, backend)
    return MetatomicCalculator(file, extensions_directory=extensions)


def evaluate(case: Case, backend: str, folder: Path) -> Numbers:
    """Metatomic has no virial where a direction is open."""
    cell, _ = with_vacuum(case, 10.0)
    atoms = Atoms(case.numbers, case.positions, cell=cell, pbc=case.pbc)
    atoms.calc = calculator(case.model, backend, folder)
    energy, forces, virial = atoms.get_potential_energy(), atoms.get_forces(), None
    if case.pbc.all():
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
    return Numbers(energy, forces, virial)


def main() -> None:
    options = route_options(__doc__)
    options.add_argument("--backend", choices=("native", "torch"), required=True)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = [evaluate(case, chosen.backend, Path(name)) for case in read_cases(chosen.folder)]
    write_numbers(chosen.numbers, found)


if __name__ == "__main__":
    main()
