"""Writes the frozen files beside it. Run with the code they are to be frozen from:

    cd CHECKOUT && OMP_NUM_THREADS=1 .venv/bin/python PATH/TO/tests/before/make.py

The files in data/ were made so from commit 6d9a0c7, the last one before the redesign of the
Python core. Module names are those of that commit: later code reads these files, and does not
write them again. tests/fuzz/seeds.py of the same commit gives the small PACE and ACE1 files.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path.cwd() / "tests" / "fuzz"))

import measure
import seeds
import tomls
from acepot.delivery import fit_to_folder
from acepot.fit.config import load_config
from acepot.io.extxyz import write
from acepot.lower import expansion

import acepot
from acepot.basis.embedding import Embedding, Nonlinear
from acepot.basis.spec import BasisSpec, ChosenFunction, Envelope, Pair, Radial, Transform, resolve
from acepot.evaluate.native import instruction_sets
from acepot.io.pace import write_yace

DATA = Path(__file__).parent / "data"
EVALUATORS = ["reference", *instruction_sets()]
SMALL = {"elements": ("O", "Si"), "order": 2, "degree": 3.5, "cutoff": 3.4, "r0": 1.8}


# ---------------------------------------------------------------- models


def model(seed: int, members: int = 0, **fields: object) -> acepot.Model:
    """A linear model with random coefficients."""
    spec = resolve(BasisSpec(**(SMALL | fields)))
    size, rng = expansion(spec).size, np.random.default_rng(seed)
    committee = rng.normal(scale=0.1, size=(members, size)) if members else None
    e0 = np.array([-1.5, -2.25])[: len(spec.elements)]
    notes = {"made": "frozen from an earlier version", "numbers": [1, 2.5, None, True]}
    return acepot.Model(spec, rng.normal(scale=0.1, size=size), e0, committee, notes)


def linear_models() -> dict[str, acepot.Model]:
    """Every family, transform, envelope, formulation and way to choose functions."""
    rows = {
        "orthonormal-morse": {"radial": Radial(transform=Transform("morse", 1.7))},
        "jacobi-polynomial": {"radial": Radial("jacobi", Transform("polynomial", 2.0, offset=1.0))},
        "legendre-identity": {"radial": Radial("legendre", Transform("identity"))},
        "legendre-r_shifted": {"radial": Radial("legendre", envelope=Envelope("r_shifted", 0, 1))},
        "cheb_exp_cos": {"radial": Radial("cheb_exp_cos", exponent=2.3, smoothing=0.4)},
        "cheb_pow": {"radial": Radial("cheb_pow", exponent=2.0)},
        "sbessel": {
            "radial": Radial("sbessel"), "pair": Pair(degree=2, radial=Radial("sbessel")),
        },
    }  # fmt: skip
    out = {f"family-{k}": model(3 + i, **f) for i, (k, f) in enumerate(rows.items())}
    pair = Pair(degree=3, cutoff={"Si-Si": 3.9, "default": 3.6})
    cutoff = {"Si-Si": 3.6, "Si-O": 3.3, "O-Si": 3.4, "O-O": 3.1}
    out["linear"] = model(
        1, 2, order=3, degree=(5.0, 4.0, 3.0), cutoff=cutoff, inner={"Si-O": 0.4, "default": 0.0},
        r0={"Si-O": 1.65, "default": 2.0}, pair=pair,
    )  # fmt: skip
    out["canonical"] = model(2, formulation="canonical", extend_lower_orders=True, max_l=1)
    chosen = (
        ChosenFunction("Si", ("O",), (2,), (0,)),
        ChosenFunction("Si", ("O", "Si"), (1, 3), (2, 2)),
        ChosenFunction("O", ("O", "O", "Si"), (1, 2, 1), (1, 2, 1)),
    )
    out["chosen"] = model(20, order=3, functions=chosen, pair=Pair(degree=0))
    out["order-4"] = model(21, elements=("Si",), order=4, degree=(6.0, 6.0, 5.5, 5.5), r0=2.1)
    base = model(22, pair=Pair(degree=2), degree=3.0)
    coefficients = np.random.default_rng(5).normal(scale=0.1, size=(len(base.coefficients), 2))
    coefficients[-6:, 1] = 0.0  # the pair part is in the linear density alone
    embeddings = tuple(
        Embedding(kind, (1.0, 0.7), (1.0, 0.5))
        for kind in ("FinnisSinclairShiftedScaled", "FinnisSinclair")
    )
    out["finnis-sinclair"] = replace(
        base, coefficients=coefficients, nonlinear=Nonlinear(embeddings)
    )
    return out


def write_models(folder: Path) -> dict[str, np.ndarray]:
    """Model files of every format, and what the code says about each."""
    files = {f"{name}.acepot": m for name, m in linear_models().items()}
    for name, m in files.items():
        acepot.save(m, folder / name)
    foreign = {f"{name}.yace": text for name, text in seeds.seeds()["yace"].items()}
    foreign["linear-families.yace"] = seeds._pace("ChebLinear", "distance")
    foreign |= {"density.ace": seeds._ACE.encode(), "sum.json": seeds._ace1()}
    for name, text in foreign.items():
        (folder / name).write_bytes(text)
        # The same model in our own file: products written out one by one.
        acepot.save(acepot.load(folder / name), folder / f"explicit-of-{name}.acepot")
    shortest = {"shortest distances": {"O-O": 1.9, "O-Si": 1.4, "Si-Si": 1.9}}
    for name in ("finnis-sinclair", "chosen"):
        own = replace(files[f"{name}.acepot"], provenance=shortest)
        written = folder / f"written-{name}.yace"
        write_yace(own, written)
        written.with_suffix(".yace.xz").write_bytes(lzma.compress(written.read_bytes(), preset=9))
        written.unlink()
    found = {}
    for path in sorted(folder.iterdir()):
        for evaluator in EVALUATORS:
            found[f"{path.name}/{evaluator}"] = measure.measured(acepot.load(path), evaluator)
    return found


def write_tables(folder: Path) -> dict[str, np.ndarray]:
    """The byte form of Tables, and what the library says about each."""
    found = {}
    for name, data in seeds.tables().items():
        (folder / f"{name}.tables.xz").write_bytes(lzma.compress(data, preset=9))
        for evaluator in EVALUATORS[1:]:
            found[f"{name}.tables/{evaluator}"] = measure.measured_tables(data, evaluator)
    return found


# ---------------------------------------------------------------- fits


def write_training_data(folder: Path) -> None:
    """Shaken crystals and molecules with labels of a random model and noise."""
    truth = acepot.Potential(model(40, degree=5.0), "reference")
    rng = np.random.default_rng(11)
    sets: dict[str, list[acepot.Structure]] = {"train": [], "test": []}
    for k in range(17):
        ideal = measure.structures((8, 14))[k % 3]
        cell = ideal.cell @ (np.eye(3) + rng.normal(scale=0.03, size=(3, 3)))
        positions = ideal.positions + rng.normal(scale=0.08, size=(5, 3))
        atoms = replace(
            ideal, numbers=rng.permutation(ideal.numbers), positions=positions, cell=cell
        )
        found = truth.compute(atoms)
        atoms = replace(
            atoms,
            energy=found.energy + rng.normal(scale=0.01),
            forces=found.forces + rng.normal(scale=0.05, size=(5, 3)),
            virial=None if k % 3 == 2 else found.virial,
            config_type=("bulk", "surface", "molecule")[k % 3],
        )
        sets["train" if k < 14 else "test"].append(atoms)
    for name, found_structures in sets.items():
        write(folder / f"{name}.extxyz", found_structures)


def write_fits(folder: Path) -> dict[str, np.ndarray]:
    """Every short TOML, the one with every default that a fit leaves, and what was fitted."""
    found = {}
    for name, text in tomls.FITS.items():
        short = folder / f"{name}.toml"
        short.write_text(text)
        with tempfile.TemporaryDirectory(dir=folder) as out:
            fit = fit_to_folder(
                load_config(short), out, say=lambda _line: None, threads=1, plots=False
            )
            written = (Path(out) / "fit.toml").read_text().replace('"../', '"')
            (folder / f"{name}.resolved.toml").write_text(written)
            if name in tomls.REPORTED:
                shutil.copy(Path(out) / "report.json", folder / f"{name}.report.json")
            if name == tomls.REPORTED[-1]:
                shutil.copy(Path(out) / "model.acepot", folder / f"{name}.acepot")
        found |= {f"{name}/{key}": value for key, value in tomls.outcome(fit, expansion).items()}
    return found


# ---------------------------------------------------------------- runs and command lines


def run(words: list[str], folder: Path) -> dict[str, object]:
    """One command line: its status, what it printed and which files it left."""
    before = {path for path in folder.rglob("*") if path.is_file()}
    done = subprocess.run(
        [sys.executable, "-m", "acepot.cli", *words],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    after = {path for path in folder.rglob("*") if path.is_file()}
    files = sorted(str(path.relative_to(folder)) for path in after - before)
    return {
        "words": words, "status": done.returncode, "out": done.stdout, "error": done.stderr,
        "files": files,
    }  # fmt: skip


def write_commands(path: Path) -> None:
    """The command lines of the README and wrong ones, in a folder with the example data."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("Si_train.extxyz.xz", "Si_test.extxyz.xz"):
            shutil.copy(Path("examples") / "data" / file, folder)
        shutil.copy(DATA / "md" / "short.toml", folder / "md.toml")
        shutil.copy(Path("examples") / "ipi" / "Si8.extxyz", folder)
        (folder / "wrong.toml").write_text(
            '[data]\ntrain = "Si_train.extxyz.xz"\nfti = ["energy"]\n'
        )
        for words in tomls.COMMANDS:
            rows.append(run(words, folder))
        shutil.copy(folder / "run" / "log.csv", DATA / "md" / "log.csv")
        shutil.copy(folder / "run" / "md.toml", DATA / "md" / "resolved.toml")
    path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")


def write_stopped_run(folder: Path) -> None:
    """The folder of a run that SIGTERM ended, and the log of the same run that nobody stopped."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copy(Path("models") / "Si-mlearn" / "model.acepot", work)
        shutil.copy(Path("examples") / "ipi" / "Si8.extxyz", work)
        (work / "stopped.toml").write_text(tomls.STOPPED)
        (folder / "stopped.toml").write_text(tomls.STOPPED)
        run("md stopped.toml --engine ase --out whole --no-plots".split(), work)
        shutil.copy(work / "whole" / "log.csv", folder / "stopped.log.csv")
        words = "-m acepot.cli md stopped.toml --engine ase --out run --no-plots".split()
        log = work / "run" / "log.csv"
        with subprocess.Popen([sys.executable, *words], cwd=work) as process:
            while not log.exists() or log.read_text().count("\n") < 4:
                time.sleep(0.002)
            process.terminate()
        assert 3 < log.read_text().count("\n") < 11
        (work / "run" / "lock").unlink()
        with tarfile.open(folder / "stopped.tar.xz", "w:xz") as archive:
            archive.add(work / "run", "run")


def _save(path: Path, numbers: dict[str, np.ndarray]) -> None:
    """Rows of numbers by name, equal ones once, and the arithmetic they were made with."""
    rows = {row.tobytes(): row for row in numbers.values()}
    place = {data: k for k, data in enumerate(rows)}
    index = {name: place[row.tobytes()] for name, row in numbers.items()}
    lengths = [len(row) for row in rows.values()]
    np.savez_compressed(
        path, arithmetic=measure.arithmetic(), index=json.dumps(index), lengths=lengths,
        rows=np.concatenate(list(rows.values())),
    )  # fmt: skip


def main() -> None:
    """Write everything anew."""
    os.environ["ACEPOT_CACHE"] = tempfile.mkdtemp()
    shutil.rmtree(DATA, ignore_errors=True)
    for name in ("models", "tables", "fits", "md"):
        (DATA / name).mkdir(parents=True)
    numbers = write_models(DATA / "models") | write_tables(DATA / "tables")
    shutil.copy(Path("models") / "Si-mlearn" / "model.acepot", DATA / "silicon.acepot")
    shipped = acepot.load(DATA / "silicon.acepot")
    for evaluator in EVALUATORS:
        numbers[f"Si-mlearn/{evaluator}"] = measure.measured(shipped, evaluator)
    _save(DATA / "numbers.npz", numbers)
    write_training_data(DATA / "fits")
    np.savez_compressed(DATA / "fits.npz", **write_fits(DATA / "fits"))
    (DATA / "md" / "short.toml").write_text(tomls.MD)
    write_commands(DATA / "commands.json")
    write_stopped_run(DATA / "md")
    shutil.rmtree(os.environ["ACEPOT_CACHE"])


if __name__ == "__main__":
    main()
