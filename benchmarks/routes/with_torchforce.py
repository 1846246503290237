"""OpenMM: a TorchForce, in the environment of `make test-torchforce`."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import torch
from cases import read_cases, route_options, write_numbers
from openmm_reference import evaluate

from openmm_ace import create_torch_force


def main() -> None:
    options = route_options(__doc__)
    options.add_argument("--backend", choices=("native", "torch"), required=True)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make = partial(create_torch_force, path=Path(folder) / "force.pt", backend=chosen.backend)
        found = [evaluate(case, make) for case in read_cases(chosen.folder)]
    write_numbers(chosen.numbers, found)


if __name__ == "__main__":
    main()
