"""Linear models, learned radial functions and densities: errors, and cost of calls and of fits.

    OMP_NUM_THREADS=1 python benchmarks/learned.py FOLDER [--elements Si Cu] [--out FILE]

FOLDER holds the mlearn data, {element}_{train,test}.extxyz.xz. For every element the same settings:
the linear default, and bases of order 4 with few radial functions, which are those of the default,
learned, and learned with a second density. Errors are of the test set; µs/atom is the median of
nine force calls for the test set, all models of an element taking turns; fits in CPU seconds of one
thread. What is done is kept in OUT.csv and not done again.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine

import acepot
from acepot.fitting.fit import Fit

SMALL = {"order": 4, "degree": [16, 14, 12, 11], "max_n": 4}
LARGE = {"order": 4, "degree": [20, 17, 15, 13], "max_n": 5}
DENSITIES = {"default": {"weights": [1.0, 1.0], "exponents": [1.0, 0.5]}}
FORMS: dict[str, dict[str, Any]] = {
    "default": {},
    "small": {"basis": SMALL},
    "small, learned": {"basis": SMALL, "learned": {}},
    "small, learned, densities": {"basis": SMALL, "learned": {}, "embedding": DENSITIES},
    "large, learned": {"basis": LARGE, "learned": {}},
    "large, learned, densities": {"basis": LARGE, "learned": {}, "embedding": DENSITIES},
}
COLUMNS = ("element", "form", "functions", "E", "F", "E rmse", "F rmse", "us", "fit", "steps")


def fitted(folder: Path, element: str, more: dict[str, Any]) -> tuple[Fit, float]:
    """A fit, and the CPU seconds it took."""
    train, test = (
        acepot.read_structures(folder / f"{element}_{part}.extxyz.xz")[0]
        for part in ("train", "test")
    )
    began = time.process_time()
    fit = acepot.fit(train, test=test, threads=1, say=print, **more)
    return fit, time.process_time() - began


def call(potential: acepot.Potential, structures: list[acepot.Structure]) -> float:
    """CPU seconds of a force call for each atom."""
    began = time.process_time()
    potential.compute_all(structures)
    return (time.process_time() - began) / sum(map(len, structures))


def timed(models: dict[str, Path], test: list[acepot.Structure]) -> dict[str, float]:
    """µs/atom of models that take turns."""
    potentials = {
        name: acepot.Potential(acepot.load(path), threads=1) for name, path in models.items()
    }
    spent: dict[str, list[float]] = {name: [] for name in potentials}
    for _ in range(9):
        for name, potential in potentials.items():
            spent[name].append(call(potential, test))
    return {name: 1e6 * median(values) for name, values in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--elements", nargs="+", default=["Si", "Cu", "Ni", "Li"])
    parser.add_argument("--forms", nargs="+", choices=tuple(FORMS), default=list(FORMS))
    parser.add_argument("--out", type=Path, default=Path("learned"))
    args = parser.parse_args()
    args.out.mkdir(exist_ok=True)
    table, rows = args.out / "fits.csv", []
    if table.exists():
        rows = list(csv.DictReader(table.read_text().splitlines()))
    for element in args.elements:
        for form in args.forms:
            more = FORMS[form]
            if any((row["element"], row["form"]) == (element, form) for row in rows):
                continue
            print(f"== {element}, {form}", flush=True)
            fit, seconds = fitted(args.folder, element, more)
            acepot.save(fit.model, args.out / f"{element}-{form.replace(', ', '-')}.acepot")
            errors, learning = fit.report["test"]["all"], fit.report.get("learned", {})
            rows.append(
                {
                    "element": element,
                    "form": form,
                    "functions": fit.report["basis"]["total"],
                    "E": f"{errors['E']['mae']:.3f}",
                    "F": f"{errors['F']['mae']:.2f}",
                    "E rmse": f"{errors['E']['rmse']:.3f}",
                    "F rmse": f"{errors['F']['rmse']:.2f}",
                    "fit": f"{seconds:.0f}",
                    "steps": learning.get("steps", ""),
                }
            )
            with table.open("w", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS, restval="")
                writer.writeheader()
                writer.writerows(rows)
    lines = [machine(), "errors on the test set: MAE (RMSE), meV/atom and meV/Å", ""]
    lines.append(
        "set  form                       functions      E (RMSE)        F (RMSE)"
        "   µs/atom  fit CPU s"
    )
    for element in args.elements:
        mine = [row for row in rows if row["element"] == element]
        models = {
            row["form"]: args.out / f"{element}-{row['form'].replace(', ', '-')}.acepot"
            for row in mine
        }
        test, _ = acepot.read_structures(args.folder / f"{element}_test.extxyz.xz")
        spent = timed(models, test)
        for row in mine:
            lines.append(
                f"{element:3}  {row['form']:26} {row['functions']:>9}"
                f"  {row['E']:>6} ({row['E rmse']:>6})"
                f"  {row['F']:>6} ({row['F rmse']:>6})  {spent[row['form']]:7.2f}  {row['fit']:>9}"
            )
    print("\n".join(lines))
    (args.out / "learned.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
