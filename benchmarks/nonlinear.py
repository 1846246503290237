"""Linear models and nonlinear ones of the same functions: errors, and cost of calls and of fits.

    OMP_NUM_THREADS=1 python benchmarks/nonlinear.py [--out FILE]

The mlearn set of silicon, with small and larger bases at one cut-off. Errors are root mean squares
on the test set; µs/atom is the median of force calls for the test set, linear and nonlinear taking
turns; fits in CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

from acepot import Fit, run_fit

DATA = Path(__file__).parents[1] / "examples" / "data"
SIZES = {"Si": ([12, 10, 8], [16, 13, 11], [20, 16, 13])}
EMBEDDING = {"default": {"weights": [1.0, 1.0], "exponents": [1.0, 0.5]}}


def fitted(element: str, degree: list[int], **more: object) -> tuple[Fit, float]:
    """A fit, and the CPU seconds it took."""
    began = time.process_time()
    data = {name: str(DATA / f"{element}_{name}.extxyz.xz") for name in ("train", "test")}
    basis = {"order": 3, "degree": degree, "cutoff": 5.0}
    fit = run_fit({"data": data, "basis": basis, **more}, threads=1)
    return fit, time.process_time() - began


def call(fit: Fit) -> float:
    """CPU seconds of a force call for each atom of the test set."""
    began = time.process_time()
    fit.potential.compute_all(fit.test)
    return (time.process_time() - began) / sum(map(len, fit.test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    lines = ["set  functions  form       E meV/atom  F meV/Å  µs/atom  fit CPU s  steps"]
    for element, degrees in SIZES.items():
        for degree in degrees:
            made = {
                "linear": fitted(element, degree),
                "nonlinear": fitted(element, degree, embedding=EMBEDDING),
            }
            spent: dict[str, list[float]] = {name: [] for name in made}
            for _ in range(9):
                for name, (fit, _seconds) in made.items():
                    spent[name].append(call(fit))
            for name, (fit, seconds) in made.items():
                errors, size = fit.report["test"]["all"], fit.report["basis"]["total"]
                steps = "" if fit.refinement is None else str(fit.refinement.descent.iterations)
                lines.append(
                    f"{element:3}  {size:9}  {name:9}  {errors['E']['rmse']:10.2f}  "
                    f"{errors['F']['rmse']:7.1f}  {1e6 * median(spent[name]):7.1f}  "
                    f"{seconds:9.0f}  {steps:>5}"
                )
                print(lines[-1], flush=True)
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
