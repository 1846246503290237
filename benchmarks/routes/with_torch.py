"""TorchScript: the torch evaluator on the core's edges, and the native kernel as an operator."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from cases import Case, Numbers, read_cases, route_options, write_numbers

import acepot
import torch_ace
from acepot.evaluate.torch.edges import forces_and_virials
from acepot.evaluate.torch.module import AceModule
from acepot.neighbours import build


@cache
def scripted(path: Path, backend: str) -> tuple[acepot.Model, torch.jit.ScriptModule]:
    model = acepot.load(path)
    if backend == "native":
        return model, torch.jit.script(torch_ace.NativeStructureModule(model))
    return model, torch.jit.script(AceModule(acepot.Potential(model, threads=1).tables))


def evaluate(case: Case, backend: str) -> Numbers:
    model, module = scripted(case.model, backend)
    species = torch.tensor([model.numbers.index(z) for z in case.numbers.tolist()])
    if backend == "native":
        places, cell = torch.tensor(case.positions), torch.tensor(case.cell)
        energies, forces, virial = module(species, places, cell, torch.tensor(case.pbc))
        return Numbers(float(energies.sum()), forces.numpy(), virial.numpy())
    structure = acepot.Structure(case.numbers, case.positions, case.cell, case.pbc)
    edges = build(structure, module.cutoff)
    centre, neighbour = (
        torch.tensor(np.asarray(a, dtype=np.int64)) for a in (edges.centre, edges.neighbour)
    )
    vector = torch.tensor(edges.vector)
    energies, slope = module(species, centre, neighbour, vector)
    forces, virials = forces_and_virials(slope, centre, neighbour, vector, len(species))
    return Numbers(float(energies.sum()), forces.numpy(), virials.sum(0).numpy())


def main() -> None:
    options = route_options(__doc__)
    options.add_argument("--backend", choices=("native", "torch"), required=True)
    chosen = options.parse_args()
    torch.set_num_threads(1)
    found = [evaluate(case, chosen.backend) for case in read_cases(chosen.folder)]
    write_numbers(chosen.numbers, found)


if __name__ == "__main__":
    main()
