"""From PySCF to the electronic levels of a molecule that no program has solved.

Matrices H and S of distorted ethene and butadiene are calculated with PySCF, a Hamiltonian is
fitted to them, and the levels of octatetraene, twice as large, are predicted and compared with a
calculation. It takes a minute or two.

    python examples/06_hamiltonian.py [--structures 12] [--larger 8]
"""

import argparse

import numpy as np

from acepot import Structure, save
from acepot.hamiltonian.band_energy import electrons_of
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.hamiltonian.fit import fit_hamiltonian
from acepot.hamiltonian.formats.registry import read
from acepot.hamiltonian.pyscf_data import Method, make
from acepot.hamiltonian.settings import HamiltonianSettings
from acepot.hamiltonian.spectrum import density_of_states, levels, mesh
from acepot.run.figure import picture


def polyene(carbons: int, rng: np.random.Generator, by: float) -> Structure:
    """A zigzag chain of carbon atoms with double and single bonds, atoms displaced by `by` Å."""
    up, down = np.array([0.83, 0.56, 0.0]), np.array([0.83, -0.56, 0.0])
    chain = [np.zeros(3)]
    for n in range(carbons - 1):
        length = 1.35 if n % 2 == 0 else 1.44
        chain.append(chain[-1] + length * (up if n % 2 == 0 else down))
    hydrogens = []
    for n, place in enumerate(chain):
        side = -1.0 if n % 2 == 0 else 1.0
        hydrogens.append(place + [0.0, side * 1.09, 0.0])
    hydrogens.append(chain[0] + [-0.94, 0.55, 0.0])
    hydrogens.append(chain[-1] + [0.94, -0.55, 0.0])
    places = np.array(chain + hydrogens)
    numbers = [6] * carbons + [1] * len(hydrogens)
    return Structure(numbers, places + rng.normal(0, by, places.shape), name=f"C{carbons}")


parser = argparse.ArgumentParser()
parser.add_argument("--structures", type=int, default=24, help="molecules to learn from")
parser.add_argument("--larger", type=int, default=8, help="carbon atoms of the one predicted")
options = parser.parse_args()

rng = np.random.default_rng(0)
method = Method(basis="sto-3g", pseudo=None, kmesh=(1, 1, 1))
train = [polyene(2 + 2 * (n % 2), rng, 0.06) for n in range(options.structures)]
make(train, "polyenes.npz", method)
make([polyene(options.larger, rng, 0.03)], "larger.npz", method)

settings = HamiltonianSettings(committee=8)
snapshots = [one.snapshot for one in read("polyenes.npz")]
model = fit_hamiltonian(snapshots, settings).model
save(model, "polyenes.acepot")

true = read("larger.npz")[0].snapshot
found = HamiltonianEvaluator(model).matrices(true.structure)
gamma = mesh((1, 1, 1))
mine = levels(found.hamiltonian[0], found.overlap, gamma)
expected = levels(true.hamiltonian, true.overlap, gamma)
electrons = int(electrons_of(model, true.structure))
off = (mine.energies - expected.energies)[0, : electrons // 2]
gaps = [float(np.diff(one.energies[0])[electrons // 2 - 1]) for one in (expected, mine)]
print(f"C{options.larger}: {electrons} electrons")
print(f"occupied levels: {1e3 * np.abs(off).mean():.1f} meV off on average")
print(f"gap: PySCF {gaps[0]:.3f} eV, model {gaps[1]:.3f} eV")

with picture("levels.png", 5.0, 3.0) as figure:
    axis = figure.subplots()
    at = np.linspace(-26, 12, 800)
    for one, name, style in ((expected, "PySCF", "k-"), (mine, "model", "r--")):
        axis.plot(at, density_of_states(one, at, 0.2), style, lw=1, label=name)
    axis.set_xlabel("energy, eV")
    axis.set_ylabel("states per eV")
    axis.set_title(f"a chain of {options.larger} carbon atoms, learned from chains of 2 and 4")
    axis.legend()
print("written  polyenes.acepot and levels.png")
