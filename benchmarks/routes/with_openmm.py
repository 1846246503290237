"""OpenMM: a PythonForce."""

from __future__ import annotations

from functools import partial

from cases import read_cases, route_options, write_numbers
from openmm_reference import evaluate

from openmm_ace import create_force


def main() -> None:
    chosen = route_options(__doc__).parse_args()
    make = partial(create_force, threads=1)
    write_numbers(chosen.numbers, [evaluate(case, make) for case in read_cases(chosen.folder)])


if __name__ == "__main__":
    main()
