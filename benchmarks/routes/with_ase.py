"""ASE: `ACECalculator`. Its stress needs a volume, so that molecules have none."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from boxes import with_vacuum
from cases import Case, Numbers, read_cases, route_options, write_numbers

from ase_ace import ACECalculator


@cache
def calculator(path: Path) -> ACECalculator:
    return ACECalculator(path)


def evaluate(case: Case) -> Numbers:
    cell, _ = with_vacuum(case, 10.0)
    atoms = Atoms(case.numbers, case.positions, cell=cell, pbc=case.pbc)
    atoms.calc = calculator(case.model)
    energy, forces, virial = atoms.get_potential_energy(), atoms.get_forces(), None
    if case.pbc.any():
        virial = -atoms.get_volume() * voigt_6_to_full_3x3_stress(atoms.get_stress())
    return Numbers(energy, forces, virial)


def main() -> None:
    chosen = route_options(__doc__).parse_args()
    write_numbers(chosen.numbers, [evaluate(case) for case in read_cases(chosen.folder)])


if __name__ == "__main__":
    main()
