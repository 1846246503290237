"""From PySCF to the bands of a crystal that no program has solved.

H and S of a few strained cells of aluminium between fcc and bcc are calculated with PySCF, a
Hamiltonian is fitted to them, and the bands of a cell that is not among them are predicted and
drawn over those of a calculation. It takes some two minutes.

    python examples/06_hamiltonian.py [--structures 8] [--kmesh 6]
"""

import argparse

import numpy as np

from acepot import Structure, save
from acepot.cli.main import main
from acepot.hamiltonian.fit import fit_hamiltonian
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.pyscf_data import Method, make


def cell(ratio: float, volume: float = 16.5) -> Structure:
    """A body-centred tetragonal cell: c/a = 1 is bcc, the square root of 2 is fcc."""
    a = (2 * volume / ratio) ** (1 / 3)
    lattice = 0.5 * np.array([[-a, a, a * ratio], [a, -a, a * ratio], [a, a, -a * ratio]])
    return Structure([13], [[0, 0, 0]], lattice, True, name=f"c/a {ratio:.2f}, {volume:.1f} Å³")


parser = argparse.ArgumentParser()
parser.add_argument("--structures", type=int, default=8, help="cells to learn from")
parser.add_argument("--kmesh", type=int, default=6, help="k along each vector")
options = parser.parse_args()

method = Method("gth-szv-molopt-sr", "gth-pbe", kmesh=(options.kmesh,) * 3)
ratios = np.linspace(0.97, 1.46, options.structures)
volumes = 16.5 * (1 + 0.06 * np.cos(3 * np.arange(options.structures)))
make([cell(r, v) for r, v in zip(ratios, volumes, strict=True)], "aluminium.npz", method)
make([cell(1.23)], "unseen.npz", method)

snapshots = [one.snapshot for one in read("aluminium.npz")]
model = fit_hamiltonian(snapshots, electrons={"Al": 3.0}).model
save(model, "aluminium.acepot")

words = ["hamiltonian", "bands", "aluminium.acepot", "--reference", "unseen.npz"]
words += ["--kmesh", "16", "16", "16", "--out", "bands.png"]
if main(words):
    raise SystemExit(1)
