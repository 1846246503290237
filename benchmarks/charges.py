"""Models with charges where charge moves far: python benchmarks/charges.py DATA OUT [PART ...].

DATA is the folder that benchmarks/charge_data.py fills. Parts (all of them unless some are named):

    ag3      ions of three silver atoms: without charges, a constant per charge, equilibrated
    c10      C10H2 and C10H3+
    cluster  Na9Cl8+ and Na8Cl8+, the minimum of a bond far from the missing atom, Born charges
    dimers   HF, NaF and Na+ in pairs, fitted at 3 to 8 Å, tested at 8 to 20 Å
    cells    rock salt without charges among the labels: charges and Born charges
    cost     time against the number of atoms
    energy   20 ps of dynamics in ASE, OpenMM and i-PI, and 10 ps of more ions

Fitted models go to OUT, tables are printed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from machine import machine

import acepot
from acepot import BasisSpec, ChargeModel, Potential, Structure, TensorModel, resolve
from acepot.charges.evaluator import ChargeEvaluator
from acepot.fitting.charges.fit import errors_of, fit_charges
from acepot.fitting.charges.pipeline import read_charged
from acepot.fitting.charges.settings import ChargeFitSettings, ChargeWeights
from acepot.md import log

Structures = list[Structure]


def parted(structures: Structures, part: float, seed: int = 0) -> tuple[Structures, Structures]:
    """A random part, and the rest."""
    order = np.random.default_rng(seed).permutation(len(structures))
    count = round(part * len(structures))
    return [structures[k] for k in order[:count]], [structures[k] for k in order[count:]]


def local(train: Structures, test: Structures, basis: BasisSpec) -> tuple[float, float]:
    """Errors without charges: meV/atom and meV/Å."""
    made = acepot.fit(
        train, basis={"order": basis.order, "degree": basis.degree, "cutoff": basis.cutoff}
    )
    return wrong(Potential(made.model), test)


def wrong(potential: Potential, test: Structures) -> tuple[float, float]:
    """Root-mean-square errors of energies (meV/atom) and forces (meV/Å)."""
    found = potential.compute_all(test)
    e = [(r.energy - s.energy) / len(s) for r, s in zip(found, test, strict=True)]
    f = [(r.forces - s.forces).ravel() for r, s in zip(found, test, strict=True)]
    rms = np.sqrt(np.mean(np.square(e))), np.sqrt(np.mean(np.concatenate(f) ** 2))
    return 1000 * float(rms[0]), 1000 * float(rms[1])


def line(name: str, e: float, f: float, more: str = "") -> None:
    print(f"{name:42} {e:9.2f} meV/atom {f:9.1f} meV/Å   {more}", flush=True)


def fitted(
    name: str, train: Structures, test: Structures, settings: ChargeFitSettings, out: Path
) -> ChargeModel:
    """Fit, say how long it took and how wrong it is, keep the model."""
    begin = time.perf_counter()
    found = fit_charges(train, settings)
    seconds = time.perf_counter() - begin
    errors = errors_of(found.model, test)
    charges = "" if errors.charges is None else f"charges {errors.charges:.1f} me, "
    line(
        name, errors.energy or np.nan, errors.forces or np.nan,
        f"{charges}{len(found.losses)} steps, {seconds:.0f} s",
    )  # fmt: skip
    acepot.save(found.model, out / f"{name.replace(' ', '-')}.acepot")
    return found.model


def ag3(data: Path, out: Path) -> None:
    """One model for both charge states, where no local one can be."""
    print("\nAg3+ and Ag3-, 1000 structures fitted, 400 tested")
    train, test = parted(read_charged(data / "ag3.extxyz")[0], 1000 / 1400)
    basis = BasisSpec(order=2, degree=12, cutoff=6.0, r0=2.8)
    line("without charges", *local(train, test, basis))
    means = {q: np.mean([s.energy for s in train if s.charge == q]) for q in (1.0, -1.0)}
    moved = [
        [s.labelled(energy=s.energy - means[s.charge]) for s in some] for some in (train, test)
    ]
    line("without charges, a constant per state", *local(*moved, basis))
    fitted("Ag3 equilibrated", train, test, ChargeFitSettings(basis=basis), out)


def c10(data: Path, out: Path) -> None:
    """A proton at one end changes the other."""
    print("\nC10H2 and C10H3+, 800 structures fitted, 200 tested")
    train, test = parted(read_charged(data / "c10.extxyz")[0], 0.8)
    basis = BasisSpec(order=3, degree=8, cutoff=4.5)
    line("without charges", *local(train, test, basis))
    fitted("C10 equilibrated", train, test, ChargeFitSettings(basis=basis), out)


def cluster(data: Path, out: Path) -> None:
    """An ion that is missing far away moves the minimum of a bond."""
    from charge_data import clusters, labelled

    print("\nNa9Cl8+ and Na8Cl8+, 640 structures fitted, 160 tested")
    train, test = parted(read_charged(data / "nacl-cluster.extxyz")[0], 0.8)
    basis = BasisSpec(order=2, degree=9, cutoff=5.3)
    plain = acepot.fit(train, basis={"order": 2, "degree": 9.0, "cutoff": 5.3})
    line("without charges", *wrong(Potential(plain.model), test))
    model = fitted("NaCl clusters equilibrated", train, test, ChargeFitSettings(basis=basis), out)
    # Dipoles have more in them than charges of atoms: charges that give them are not GFN1's.
    dipoles = ChargeWeights(charges=0.0, dipole=10.0)
    by_dipoles = ChargeFitSettings(basis=basis, weights=dipoles)
    polar = fitted("NaCl clusters by dipoles", train, test, by_dipoles, out)
    print("an outer ion moved along its shortest bond: length of least energy (Å)")
    for name, (symbols, rest, charge) in clusters().items():
        centre = rest.mean(axis=0)
        moved = int(np.argmax(np.linalg.norm(rest - centre, axis=1) * (np.array(symbols) == "Na")))
        near = min(
            (k for k in range(len(symbols)) if symbols[k] == "Cl"),
            key=lambda k: float(np.linalg.norm(rest[k] - rest[moved])),
        )
        bond = rest[moved] - rest[near]
        lengths = np.linspace(2.2, 3.0, 41)
        curves: dict[str, list[float]] = {"GFN1": [], "charges": [], "without": []}
        for length in lengths:
            places = rest.copy()
            places[moved] = rest[near] + bond * length / np.linalg.norm(bond)
            exact = labelled(symbols, places, charge)
            if exact is None:
                raise RuntimeError(f"{name}: GFN1 failed at {length:.2f} Å")
            curves["GFN1"].append(exact.energy or np.nan)
            curves["charges"].append(Potential(model).compute(exact).energy)
            curves["without"].append(Potential(plain.model).compute(exact).energy)
        told = []
        for kind, energies in curves.items():
            best = int(np.argmin(energies))
            window = slice(max(best - 3, 0), best + 4)
            a, b, _ = np.polyfit(lengths[window], np.array(energies)[window], 2)
            told.append(f"{kind} {-b / (2 * a):.3f}")
        print(f"  {name}: {', '.join(told)}")
    cube(polar)


def cube(model: ChargeModel) -> None:
    """Born charges of Na4Cl4, which was not among the data."""
    from charge_data import ROCK_SALT, labelled, relaxed

    symbols = ["Na"] * 4 + ["Cl"] * 4
    rest = relaxed(symbols, 5.4 * ROCK_SALT, 0.0)
    exact, h = np.zeros((8, 3, 3)), 0.01
    for i in range(8):
        for b in range(3):
            ends = []
            for sign in (1, -1):
                places = rest.copy()
                places[i, b] += sign * h
                found = labelled(symbols, places)
                if found is None:
                    raise RuntimeError("Na4Cl4: GFN1 failed")
                ends.append(found.labels["dipole"])
            exact[i, :, b] = (ends[0] - ends[1]) / (2 * h)
    born = ChargeEvaluator(model).born_charges(Structure([11] * 4 + [17] * 4, rest))
    off = born - exact
    print(
        f"Born charges of Na4Cl4, unseen: Na {np.trace(exact[0]) / 3:.3f} e of GFN1, "
        f"{np.trace(born[0]) / 3:.3f} e of the model; largest error of a component "
        f"{np.abs(off).max():.3f} e, of a trace/3 "
        f"{np.abs(np.trace(off, axis1=1, axis2=2) / 3).max():.3f} e"
    )


def dimers(data: Path, out: Path) -> None:
    """What no cut-off sees."""
    every = read_charged(data / "dimers.extxyz")[0]
    near = [s for s in every if s.config_type.endswith("near")]
    far = [s for s in every if s.config_type.endswith("far")]
    train, test = parted(near, 0.8)
    print(
        f"\ndimers, {len(train)} fitted at 3 to 8 Å; {len(test)} there and {len(far)} at 8 to 20 Å"
    )
    # Charges of such models induce no dipoles in atoms, which is some 10 meV at 4.5 Å and 1 at 8:
    # the local part reaches as far as the data.
    basis = BasisSpec(order=2, degree=8, cutoff=7.5)
    plain = acepot.fit(train, basis={"order": 2, "degree": 8.0, "cutoff": 7.5})
    for name, some in (("3 to 8 Å", test), ("8 to 20 Å", far)):
        line(
            f"without charges, {name}",
            *wrong(Potential(plain.model), some),
            total(plain.model, some),
        )
    unlabelled = ChargeWeights(charges=0.0, dipole=0.0)
    for kind, weights in (("latent", unlabelled), ("equilibrated", ChargeWeights())):
        settings = ChargeFitSettings(kind=kind, basis=basis, weights=weights)
        model = fitted(f"dimers {kind}", train, test, settings, out)
        line(f"dimers {kind}, 8 to 20 Å", *wrong(Potential(model), far), total(model, far))
        for group in dict.fromkeys(s.config_type for s in far):
            some = [s for s in far if s.config_type == group]
            line(f"    {group}", *wrong(Potential(model), some), total(model, some))


def total(model: object, some: Structures) -> str:
    """The error of total energies."""
    found = Potential(model).compute_all(some)  # type: ignore[arg-type]
    off = [r.energy - s.energy for r, s in zip(found, some, strict=True)]
    return f"total {1000 * np.sqrt(np.mean(np.square(off))):.1f} meV"


def cells(data: Path, out: Path) -> None:
    """Charges that nobody told."""
    train, test = parted(read_charged(data / "nacl.extxyz")[0], 0.8)
    print(f"\ncells of rock salt, {len(train)} fitted, {len(test)} tested")
    basis = BasisSpec(order=2, degree=9, cutoff=5.5)
    line("without charges", *local(train, test, basis))
    blind = ChargeWeights(charges=0.0)
    salt = cube_of(5.5)
    for name, settings in (
        ("cells latent", ChargeFitSettings(kind="latent", basis=basis, weights=blind)),
        ("cells equilibrated", ChargeFitSettings(basis=basis)),
    ):
        model = fitted(name, train, test, settings, out)
        big = repeated(salt, 3)
        evaluator = ChargeEvaluator(model)
        q = evaluator.charges([big])[0].values
        born = evaluator.born_charges(big)[[0, 4]]
        told = [f"{np.trace(z) / 3:+.3f}" for z in born]
        print(
            f"   crystal: charges {q[0]:+.3f} and {q[4]:+.3f} e, Born charges {', '.join(told)} e"
        )


def cube_of(side: float) -> Structure:
    """Eight ions of rock salt."""
    from charge_data import ROCK_SALT

    return Structure([11] * 4 + [17] * 4, side * ROCK_SALT, side * np.eye(3), True)


def repeated(unit: Structure, times: int) -> Structure:
    """A cell repeated along all three vectors."""
    grid = np.stack(np.meshgrid(*[np.arange(times)] * 3, indexing="ij"), -1).reshape(-1, 3)
    places = unit.positions[None] + (grid @ unit.cell)[:, None]
    numbers = np.tile(unit.numbers, len(grid))
    return Structure(numbers, places.reshape(-1, 3), times * unit.cell, True)


def median(call: object, times: int) -> float:
    """Milliseconds."""
    found = []
    for _ in range(times + 1):
        begin = time.perf_counter()
        call()  # type: ignore[operator]
        found.append(time.perf_counter() - begin)
    return 1000 * float(np.median(found[1:]))


def salt_model(degree: float) -> tuple[ChargeModel, acepot.Model]:
    """A model of a usual size with small random coefficients, and the same without charges."""
    given = dict(elements=("Na", "Cl"), order=3, degree=degree, cutoff=6.0, r0=2.8)
    spec, plain = resolve(BasisSpec(constant=True, **given)), resolve(BasisSpec(**given))
    expansion, rng = spec.expansion(), np.random.default_rng(0)
    c = 1e-3 * rng.normal(size=(1, 2, expansion.size))
    c[0, 1, (expansion.labels.l < 0).all(axis=1)] = [-4.0, 4.0]
    sites = TensorModel(spec, (c,), (("energy", "electronegativity"),), "eV")
    model = ChargeModel(sites, "equilibrated", np.array([1.2, 1.0]), np.array([6.0, 8.0]))
    size = plain.expansion().size
    return model, acepot.Model(plain, 1e-3 * rng.normal(size=size), np.zeros(2))


def cost(_data: Path, _out: Path) -> None:
    """Time of energies and forces with charges and without, one thread."""
    model, plain = salt_model(14.0)
    print(f"\ncost, one thread; {plain.coefficients.shape[2]} functions without charges")
    print("    atoms          without (ms)   with (ms)   ratio   µs/atom")
    with_charges, without = Potential(model, threads=1), Potential(plain, threads=1)
    cubic = cube_of(5.6)
    rng = np.random.default_rng(1)
    for pbc, sides in ((False, (1, 2, 3, 4, 5, 6)), (True, (1, 2, 3, 4, 5, 8, 10, 13))):
        print(
            "isolated, Cholesky" if not pbc else "periodic, a matrix up to 200 atoms, then a mesh"
        )
        for side in sides:
            s = repeated(cubic, side)
            places = s.positions + rng.normal(scale=0.1, size=s.positions.shape)
            s = Structure(s.numbers, places, s.cell if pbc else None, pbc)
            times = 9 if len(s) < 1500 else 3
            a = median(lambda s=s: without.compute(s), times)
            b = median(lambda s=s: with_charges.compute(s), times)
            print(
                f"{len(s):9d} {a:19.2f} {b:11.2f} {b / a:7.1f} {1000 * b / len(s):9.1f}", flush=True
            )


TOML = """
model = "{model}"
[structure]
file = "start.extxyz"
[ensemble]
kind = "nve"
temperature = 300
[run]
steps = {steps}
timestep = 0.5
threads = 1
seed = 3
[output]
every = 20
checkpoint = 10000
"""


def energy(_data: Path, out: Path) -> None:
    """How well dynamics conserve energy with charges."""
    from acepot.cli.main import main as command

    model = out / "cells-equilibrated.acepot"
    print("\nrock salt at constant energy, 0.5 fs, about 300 K: 8 ions by a matrix, 216 by a mesh")
    for engine, side, steps in (
        ("ase", 1, 40_000), ("openmm", 1, 40_000), ("ipi", 1, 40_000), ("ase", 3, 20_000),
    ):  # fmt: skip
        rest = repeated(cube_of(5.5), side)
        n = len(rest)
        shaken = rest.positions + np.random.default_rng(5).normal(scale=0.02, size=(n, 3))
        start = Structure(rest.numbers, shaken, rest.cell, True)
        acepot.write_structures(out / "start.extxyz", [start])
        (out / "md.toml").write_text(TOML.format(model=model.name, steps=steps))
        folder = out / f"nve-{engine}-{n}"
        words = ["md", str(out / "md.toml"), "--engine", engine, "--out", str(folder), "--no-plots"]
        begin = time.perf_counter()
        if command(words):
            raise RuntimeError(f"{engine} failed")
        found = log.read(folder / "log.csv")
        total = found["total_eV"] / n
        slope = np.polyfit(found["time_ps"], total, 1)[0]
        print(
            f"{engine:8} {n} ions, {found['time_ps'][-1]:.0f} ps: drift {slope:+.1e} eV/atom/ps, "
            f"fluctuation {total.std():.1e} eV/atom, kinetic {found['kinetic_eV'].mean() / n:.3f}, "
            f"{time.perf_counter() - begin:.0f} s",
            flush=True,
        )


PARTS = {
    "ag3": ag3, "c10": c10, "cluster": cluster, "dimers": dimers, "cells": cells, "cost": cost,
    "energy": energy,
}  # fmt: skip


def run(parts: Sequence[str], data: Path, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    print(machine())
    for part in parts:
        PARTS[part](data, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    run(options.parts or list(PARTS), options.data, options.out)
