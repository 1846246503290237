"""`acepot hamiltonian bands`: bands and density of states of a structure, as a picture."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np

from acepot.cli.terminal import show
from acepot.errors import InputError

if TYPE_CHECKING:
    from acepot.hamiltonian.bands import BandPath, Bands
    from acepot.hamiltonian.matrices import OrbitalMatrix
    from acepot.hamiltonian.spectrum import Mesh
    from acepot.model import HamiltonianModel
    from acepot.orbitals import Filling

_EPILOG = """\
Energies are relative to the Fermi level. With a committee in the model its bands have intervals of
95 %, as wide as errors of the test set of the fit made them, or without a test set two standard
deviations; with --reference matrices of a program are drawn beneath.

examples:
  acepot hamiltonian bands Si/model.acepot diamond.xyz --out bands.png
  acepot hamiltonian bands Al/model.acepot --reference fcc.npz --kmesh 12 12 12 --out bands.png
"""


def add_to(verb: argparse.ArgumentParser) -> None:
    """Add epilog and options."""
    verb.epilog = _EPILOG
    verb.add_argument("model", metavar="MODEL", help="model of a Hamiltonian")
    verb.add_argument("structure", metavar="FILE", nargs="?", help="structure; its first frame")
    verb.add_argument("--reference", metavar="FILE", help="matrices to compare with")
    verb.add_argument("--path", metavar="LETTERS", help="such as GXWLG (the lattice's own)")
    verb.add_argument(
        "--kmesh", nargs=3, type=int, metavar="N", help="of the density of states (the model's)"
    )
    verb.add_argument("--window", nargs=2, type=float, default=(-12.0, 6.0), metavar="EV",
                      help="of energies (-12 6)")  # fmt: skip
    verb.add_argument("--out", required=True, metavar="FILE.png", help="picture")


def run(options: argparse.Namespace) -> int:
    """Do it."""
    from acepot.hamiltonian.band_energy import divisions, electrons_of
    from acepot.hamiltonian.bands import band_path, draw_bands
    from acepot.hamiltonian.evaluator import HamiltonianEvaluator
    from acepot.hamiltonian.formats.registry import read
    from acepot.hamiltonian.spectrum import mesh
    from acepot.io.registry import load
    from acepot.io.structures.datasets import read_structures
    from acepot.model import HamiltonianModel
    from acepot.orbitals import Filling

    model = load(options.model, HamiltonianModel)
    snapshot = read(options.reference)[0].snapshot if options.reference else None
    if options.structure is not None:
        structures, _ = read_structures(options.structure)
        structure = structures[0]
    elif snapshot is not None:
        structure = snapshot.structure
    else:
        raise InputError("bands: expected a structure, or --reference with one")
    filling = Filling(
        kmesh=tuple(options.kmesh) if options.kmesh else model.filling.kmesh,
        kspacing=model.filling.kspacing, temperature=model.filling.temperature,
        charge=model.filling.charge,
    )  # fmt: skip
    path, points = band_path(structure, path=options.path), mesh(divisions(structure, filling))
    electrons = electrons_of(model, structure, filling.charge)
    given = HamiltonianEvaluator(model).matrices(structure)
    found = []
    if snapshot is not None:
        one = _bands("reference", snapshot.hamiltonian, snapshot.overlap, path, points, electrons,
                     filling)  # fmt: skip
        found.append(one)
    own = given.hamiltonian[0]
    found.append(_bands("model", own, given.overlap, path, points, electrons, filling,
                        given.hamiltonian[1:], _width(model)))  # fmt: skip
    draw_bands(found, path, options.out, tuple(options.window))
    for one in found:
        show(f"{one.name:10s} Fermi level {one.fermi:.4f} eV")
    if len(found) > 1:
        off = (found[1].path.energies - found[1].fermi) - (found[0].path.energies - found[0].fermi)
        low = found[0].path.energies < found[0].fermi
        show(f"occupied bands differ by {1e3 * np.abs(off[low]).mean():.2f} meV on average")
    show(f"written  {options.out}")
    return 0


def _bands(
    name: str,
    hamiltonian: OrbitalMatrix,
    overlap: OrbitalMatrix | None,
    path: BandPath,
    points: Mesh,
    electrons: float,
    filling: Filling,
    members: tuple[OrbitalMatrix, ...] = (),
    width: float = 2.0,
) -> Bands:
    """What a picture shows of one source."""
    from acepot.hamiltonian.bands import Bands, along
    from acepot.hamiltonian.spectrum import fermi_level, levels

    on_mesh = levels(hamiltonian, overlap, points)
    fermi = fermi_level(on_mesh, electrons, filling.temperature)
    found = along(hamiltonian, overlap, path)
    half_width = None
    if members:
        others = np.array([along(one, overlap, path).energies for one in members])
        half_width = width * np.sqrt(np.mean((others - found.energies) ** 2, axis=0))
    return Bands(found, on_mesh, fermi, name, half_width)


def _width(model: HamiltonianModel) -> float:
    """Half of an interval of 95 % in units of the deviation; 2 where no test set told it."""
    told = model.provenance.get("half widths of intervals")
    width = told.get("95") if isinstance(told, dict) else None
    return float(width) if isinstance(width, int | float) and width > 0 else 2.0
