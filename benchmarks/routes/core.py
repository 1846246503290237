"""The core: the numpy oracle, the native and the torch evaluator, double or single precision."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cases import Numbers, read_cases, route_options, write_numbers

import acepot


def main() -> None:
    options = route_options(__doc__)
    options.add_argument("--evaluator", choices=("native", "torch", "reference"), default="native")
    options.add_argument("--precision", choices=("double", "single"), default="double")
    options.add_argument("--threads", type=int, default=1, help="of native")
    chosen = options.parse_args()

    @cache
    def potential(path: Path) -> acepot.Potential:
        threads = chosen.threads if chosen.evaluator == "native" else None
        return acepot.Potential(acepot.load(path), chosen.evaluator, threads, chosen.precision)

    found = []
    for case in read_cases(chosen.folder):
        structure = acepot.Structure(case.numbers, case.positions, case.cell, case.pbc)
        result = potential(case.model).compute(structure)
        found.append(Numbers(result.energy, result.forces, result.virial))
    write_numbers(chosen.numbers, found)


if __name__ == "__main__":
    main()
