"""Moment tensor potentials by motep, in an interpreter that has it.

    python mtp_worker.py fit LEVEL TRAIN.extxyz.xz OUT.mtp [--cutoff 5.0] [--steps 40]
    python mtp_worker.py random LEVEL OUT.mtp [--cutoff 5.0]
    python mtp_worker.py test MODEL.mtp TEST.extxyz.xz OUT.npz
    python mtp_worker.py time MODEL.mtp STRUCTURE.extxyz

`fit` goes on from OUT.mtp.part when it was ended. `time` reads lines and writes the CPU time of one
call in µs/atom for each. Coefficients begin as those of level 2 and of linear least squares; then
all are found by Levenberg-Marquardt steps with motep's derivatives, loss and weights, which takes a
tenth of the evaluations that BFGS does.
"""

from __future__ import annotations

import argparse
import io
import logging
import lzma
import sys
import time
from pathlib import Path

import ase.io
import motep
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from moments import untrained
from motep.calculator import MTP
from motep.io.mlip.mtp import read_mtp, write_mtp
from motep.loss import LossFunction, LossSetting
from motep.potentials.mtp.data import MTPData
from motep.train.trainer import Trainer

MOMENTS = Path(motep.__file__).parent / "potentials" / "mtp" / "jax" / "precomputed_moments"


def read(path: str) -> list[ase.Atoms]:
    opened = lzma.open(path, "rt").read() if path.endswith(".xz") else Path(path).read_text()
    return ase.io.read(io.StringIO(opened), ":", format="extxyz")


def labelled(path: str) -> list[ase.Atoms]:
    """Energies and forces alone."""
    found = read(path)
    for atoms in found:
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return found


def shortest(found: list[ase.Atoms]) -> float:
    from ase.neighborlist import neighbor_list

    return min(float(neighbor_list("d", one, 4.0).min(initial=4.0)) for one in found)


def fit(args: argparse.Namespace) -> None:
    """Level 2 and linear coefficients by motep's least squares, then Levenberg-Marquardt on all."""
    out, train = Path(args.out), labelled(args.train)
    part = Path(f"{out}.part")
    if part.exists():
        data = read_mtp(part)
    else:
        least = shortest(train) * 0.98
        data = MTPData(**untrained(args.level, MOMENTS, args.cutoff, 8, least))
    data.species = sorted({int(z) for one in train for z in one.numbers})
    if not part.exists():
        Trainer(data, seed=1, steps=[{"method": "Level2MTP"}, {"method": "LLS"}]).train(train)
        data.potential_tag = "0"
        write_mtp(part, data, legacy=True)
    data.optimized = ["species_coeffs", "moment_coeffs", "radial_coeffs"]
    setting = LossSetting()
    loss = LossFunction(train, data, setting)
    done, damping = int(data.potential_tag or 0), 1e-3
    at = data.parameters
    value, normal, slope = gauss_newton(loss, setting, at)
    while done < args.steps:
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), -slope)
        tried, next_normal, next_slope = gauss_newton(loss, setting, at + step)
        done += 1
        print(
            f"step {done}: loss {tried:.6g} (best {value:.6g}), damping {damping:.0e}", flush=True
        )
        if tried < value:
            small = value - tried < 1e-4 * value
            at, value, normal, slope = at + step, tried, next_normal, next_slope
            damping /= 4
            data.parameters, data.potential_tag = at, str(done)
            write_mtp(part, data, legacy=True)
            if small:
                break
        else:
            damping *= 8
            if damping > 1e9:
                break
    data.parameters = at
    write_mtp(part, data, legacy=True)
    part.rename(out)
    print(f"CPU seconds of this process: {time.process_time():.0f}")


def random(args: argparse.Namespace) -> None:
    """A potential whose coefficients are of no importance, for its time."""
    data = MTPData(**untrained(args.level, MOMENTS, args.cutoff, 8, 1.5))
    data.species = [0]
    data.initialize(np.random.default_rng(0))
    write_mtp(Path(args.out), data, legacy=True)


def gauss_newton(
    loss: LossFunction, setting: LossSetting, at: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss of motep, of energies and forces, JᵀJ and Jᵀr of its residuals."""
    value, size, number = float(loss(at)), len(at), len(loss.images)
    normal, slope = np.zeros((size, size)), np.zeros(size)
    for atoms in loss.images:
        engine, n = atoms.calc.engine, len(atoms)
        wanted, found = atoms.calc.targets, atoms.calc.results
        scale = np.sqrt(setting.energy_weight / number) / n
        energy = scale * engine.jac_energy(atoms).parameters
        residual = scale * (found["energy"] - wanted["energy"])
        normal += np.outer(energy, energy)
        slope += residual * energy
        scale = np.sqrt(setting.forces_weight / number / n)
        forces = scale * engine.jac_forces(atoms).parameters.reshape(size, -1)
        normal += forces @ forces.T
        slope += forces @ (scale * (found["forces"] - wanted["forces"]).ravel())
    return value, normal, slope


def test(args: argparse.Namespace) -> None:
    data = read_mtp(args.model)
    energies, forces = [], []
    for atoms in read(args.test):
        data.species = sorted(set(atoms.numbers.tolist()))
        atoms.calc = MTP(data)
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    np.savez(args.out, energies=energies, forces=np.concatenate(forces))


def times(args: argparse.Namespace) -> None:
    data = read_mtp(args.model)
    (atoms,) = read(args.structure)
    data.species = sorted(set(atoms.numbers.tolist()))
    atoms.calc = MTP(data)
    for _ in sys.stdin:
        atoms.positions[0, 0] += 1e-9  # else the calculator returns what it has
        began = time.process_time()
        atoms.get_forces()
        print(1e6 * (time.process_time() - began) / len(atoms), flush=True)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser()
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("fit")
    one.add_argument("level", type=int)
    one.add_argument("train")
    one.add_argument("out")
    one.add_argument("--cutoff", type=float, default=5.0)
    one.add_argument("--steps", type=int, default=40)
    one.set_defaults(run=fit)
    one = verbs.add_parser("random")
    one.add_argument("level", type=int)
    one.add_argument("out")
    one.add_argument("--cutoff", type=float, default=5.0)
    one.set_defaults(run=random)
    one = verbs.add_parser("test")
    for name in ("model", "test", "out"):
        one.add_argument(name)
    one.set_defaults(run=test)
    one = verbs.add_parser("time")
    for name in ("model", "structure"):
        one.add_argument(name)
    one.set_defaults(run=times)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
