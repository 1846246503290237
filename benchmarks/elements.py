"""What more elements cost: sums A over neighbours of one element each, and over all together.

    OMP_NUM_THREADS=1 python benchmarks/elements.py [--out FILE]

Models of order 3 with coefficients drawn at random on disordered bcc crystals of 1, 2, 4 and 10
elements; the same degrees for all. µs/atom is the median of nine force calls, models taking turns.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from machine import machine

from acepot import Model, Potential, Structure
from acepot.basis.choices import Pair, resolve
from acepot.basis.learned import LearnedBasis, channel_names
from acepot.basis.selection import basis_size
from acepot.basis.spec import BasisSpec

ELEMENTS = ("Ti", "V", "Cr", "Zr", "Nb", "Mo", "Hf", "Ta", "W", "Re")
#: Degrees by kind of sums: with all elements together n also counts what tells these apart.
APART = BasisSpec(degree=(12.0, 10.0, 8.0), cutoff=5.0, r0=2.8, pair=Pair(degree=8))
TOGETHER = replace(APART, together=True, degree=(12.0, 14.0, 12.0), max_n=8)
#: Functions beyond which a basis of sums over one element each is not built.
MOST = 6000


def crystal(count: int, rng: np.random.Generator) -> Structure:
    """A bcc crystal of 432 atoms with displacements and elements drawn at random."""
    cells = np.stack(np.meshgrid(*[np.arange(6)] * 3), axis=-1).reshape(-1, 3)
    sites = np.concatenate([cells, cells + 0.5]) * 3.2
    sites += rng.normal(scale=0.1, size=sites.shape)
    numbers = rng.choice([22, 23, 24, 40, 41, 42, 72, 73, 74, 75][:count], len(sites))
    return Structure(numbers, sites, np.eye(3) * 19.2, True)


def model(spec: BasisSpec, count: int, rng: np.random.Generator) -> Model:
    """Coefficients, and weights of learned functions, drawn at random."""
    spec = resolve(replace(spec, elements=ELEMENTS[:count]))
    c, e0 = rng.normal(size=basis_size(spec)["total"]) / 1000, np.zeros(count)
    if not spec.together:
        return Model(spec, c, e0)
    channels = len(channel_names(spec.expansion(), False))
    return Model(LearnedBasis(spec, rng.normal(size=(count, count, channels, 12))), c, e0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rng, made = np.random.default_rng(1), {}
    for count in (1, 2, 4, 10):
        for name, spec in (("apart", APART), ("together", TOGETHER)):
            chosen = resolve(replace(spec, elements=ELEMENTS[:count]))
            if basis_size(chosen)["total"] <= MOST:
                potential = Potential(model(spec, count, rng), threads=1)
                made[count, name] = potential, crystal(count, rng)
    spent: dict[tuple[int, str], list[float]] = {key: [] for key in made}
    for _ in range(10):
        for key, (potential, structure) in made.items():
            began = time.process_time()
            potential.compute(structure)
            spent[key].append((time.process_time() - began) / len(structure))
    lines = [machine(), "elements  sums      functions  µs/atom"]
    for (count, name), (potential, _) in made.items():
        functions = potential.model.coefficients.shape[2]
        lines.append(
            f"{count:8}  {name:8} {functions:10}  {1e6 * median(spent[count, name][1:]):7.2f}"
        )
    print("\n".join(lines))
    if args.out:
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
