"""How sure a potential is: intervals that hold, and surroundings that it has never seen.

    python examples/07_uncertainty.py

A fit of silicon states its own standard deviations, scaled on structures that were left out of it
one after the other. The table says how often the stated intervals hold on test data; then a crystal
is stretched, and sigma grows where the data end: sigma.png draws it. It takes some ten seconds.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import acepot
from acepot.uncertainty.calibration import Calibration
from acepot.uncertainty.energies import UncertainPotential

DATA = Path(__file__).parent / "data"
CUBE = np.array(
    [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
)


def crystal(a: float) -> acepot.Structure:
    """A cell of diamond with a lattice constant in Å."""
    return acepot.Structure(np.full(8, 14), CUBE * a / 4, a * np.eye(3), True)


def main() -> None:
    fit = acepot.run_fit(
        {
            "data": {
                "train": str(DATA / "Si_train.extxyz.xz"),
                "test": str(DATA / "Si_test.extxyz.xz"),
                "fit": ["energy", "forces"],
            },
            "basis": {"order": 2, "degree": 12, "cutoff": 5.0},
            "committee": {"calibrate": True},
        }
    )
    print("intervals of   68 %   90 %   95 %   hold for")
    for letter, told in fit.report["uncertainty"]["test"]["all"].items():
        held = "".join(f"{100 * told[level]:6.1f}" for level in ("68", "90", "95"))
        print(f"{letter:12s} {held} % of test data")
    scaling = Calibration.from_provenance(fit.model.provenance).of("energy")
    print("a (Å)   energy (eV/atom)   sigma (meV/atom)")
    potential = acepot.Potential(fit.model)

    def predicted(sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Energies and their standard deviations, eV/atom, of crystals."""
        crystals = [crystal(a) for a in sides]
        raw = [one.sigma / 8 for one in UncertainPotential(fit.posterior).energies(crystals)]
        energies = [one.energy / 8 for one in potential.compute_all(crystals)]
        return np.array(energies), scaling.sigma(np.array(raw))

    sides = np.array([5.2, 5.47, 5.8, 6.4])
    for a, energy, sigma in zip(sides, *predicted(sides), strict=True):
        print(f"{a:5.2f} {energy:14.4f} {1000 * sigma:18.2f}")

    sides = np.linspace(4.9, 6.6, 60)
    energies, sigmas = predicted(sides)
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    axes.plot(sides, energies)
    axes.fill_between(sides, energies - 2 * sigmas, energies + 2 * sigmas, alpha=0.3)
    axes.set(xlabel="lattice constant (Å)", ylabel="energy ± 2 sigma (eV/atom)")
    figure.savefig("sigma.png", dpi=150)


if __name__ == "__main__":
    main()
