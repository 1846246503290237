"""What is measured of frozen models of other kinds than plain energies, and how they were written.

    PYTHONPATH=tests/fuzz python tests/before/kinds.py

wrote data/kinds with the code that brought version 7 of the file. Later code reads these files.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import acepot
from acepot.friction.evaluator import FrictionEvaluator
from acepot.hamiltonian.evaluator import HamiltonianEvaluator
from acepot.model import AnyModel

HERE = Path(__file__).parent / "data" / "kinds"
NUMBERS = "numbers.npz"
_ANY: Any = AnyModel
_PLACES = np.array([[0.0, 0.0, 0.0], [1.7, 0.1, 0.0], [0.2, 1.9, 0.3], [1.5, 1.4, 1.6]])
_CELL = np.array([[5.5, 0.3, 0.0], [-0.4, 5.1, 0.2], [0.1, 0.6, 6.0]])


def numbers_of(path: Path) -> np.ndarray:
    """Whatever a model says of four atoms in a cell, one number after the other."""
    model = acepot.load(path, _ANY)
    one = acepot.Structure(np.resize(model.numbers, 4), _PLACES, _CELL, True)
    values: list[Any]
    if isinstance(model, (acepot.Model, acepot.ChargeModel)):
        found = acepot.Potential(model, threads=1).compute(one)
        values = [found.energies, found.forces, found.virial]
    elif isinstance(model, acepot.TensorModel):
        (sites,) = acepot.site_evaluator(model, threads=1).values([one])
        values = list(sites.values)
    elif isinstance(model, acepot.FrictionModel):
        values = [FrictionEvaluator(model, threads=1).gamma(one)]
    else:
        assert isinstance(model, acepot.HamiltonianModel)
        made = HamiltonianEvaluator(model).matrices(one)
        (matrix,) = made.hamiltonian[0].at(np.array([[0.1, 0.2, 0.3]]))
        values = [np.real(matrix), np.imag(matrix)]
    return np.concatenate([np.ravel(v) for v in values])


def _energies() -> dict[str, bytes]:
    """Energies whose files have versions of their own."""
    from acepot.basis.choices import Pair, resolve
    from acepot.basis.learned import LearnedBasis, channel_names
    from acepot.basis.selection import basis_size
    from acepot.basis.spec import BasisSpec
    from acepot.io.modelfile import model_bytes

    rng = np.random.default_rng(7)
    spec = resolve(
        BasisSpec(("O", "Si"), order=2, degree=(4.0, 4.0), cutoff=4.5, r0=2.0, pair=Pair(degree=2))
    )
    once = resolve(replace(spec, bonds_once=True))
    names = channel_names(spec.expansion(), False)
    learned = LearnedBasis(spec, rng.normal(size=(2, 2, len(names), 4)))
    return {
        name: model_bytes(
            acepot.Model(basis, rng.normal(size=basis_size(of)["total"]), np.array([1.5, -2.0]))
        )
        for name, basis, of in (("bonds-once", once, once), ("learned", learned, spec))
    }


def main() -> None:
    """Write models and numbers."""
    from seeds import seeds

    HERE.mkdir(exist_ok=True)
    found = {}
    for name, data in (seeds()["models"] | _energies()).items():
        path = HERE / f"{name}.acepot"
        path.write_bytes(data)
        found[name] = numbers_of(path)
    np.savez_compressed(HERE / NUMBERS, **found)


if __name__ == "__main__":
    main()
