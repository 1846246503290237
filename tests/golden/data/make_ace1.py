"""Writes ace1/: small files in the format of ACE.jl 0.8, with energies and forces in them.

    python tests/golden/data/make_ace1.py

Everything in them is ours. Functions of correlation order 1 are sums over pairs, so the stored
numbers need nothing of the package: R_n(r) Y_00, with R_n from the recurrence of the file.
"""

from __future__ import annotations

import itertools
import json
import lzma
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "ace1"
COUNT, R0, INNER, CUTOFF = 15, 2.2, 1.1, 5.2


def coordinate(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((1 + r0)/(1 + r))² and its derivative."""
    t = ((1 + R0) / (1 + r)) ** 2
    return t, -2 * t / (1 + r)


def recurrence() -> dict[str, Any]:
    """Polynomials that are orthonormal with (t - tl)⁴ as their weight on equal steps of t."""
    tl, tr = (float(coordinate(np.array(r))[0]) for r in (CUTOFF, INNER))
    t = np.linspace(tl, tr, 400)
    a, b, c = [], [0.0], [0.0, 0.0]
    values = [(t - tl) ** 2 / np.sqrt(((t - tl) ** 4).sum())]
    a.append(float(1 / np.sqrt(((t - tl) ** 4).sum())))
    for n in range(1, COUNT):
        mean = values[-1] @ (t * values[-1])
        back = values[-2] @ (t * values[-1]) if n > 1 else 0.0
        new = (t - mean) * values[-1] - (back * values[-2] if n > 1 else 0.0)
        norm = np.sqrt(new @ new)
        a.append(float(1 / norm))
        b.append(float(-mean / norm))
        if n > 1:
            c.append(float(-back / norm))
        values.append(new / norm)
    return {
        "__id__": "ACE_OrthPolyBasis", "pl": 2, "tl": tl, "pr": 0, "tr": tr, "A": a, "B": b, "C": c,
        "T": {"__id__": "Type", "T": "Float64"},
    }  # fmt: skip


def radial(j: dict[str, Any], r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """R_1 … R_15 and their derivatives, shape (15, len(r))."""
    t, dt = coordinate(r)
    value = [j["A"][0] * (t - j["tl"]) ** 2]
    slope = [2 * j["A"][0] * (t - j["tl"])]
    for n in range(1, COUNT):
        line = j["A"][n] * t + j["B"][n]
        value.append(line * value[-1] + (j["C"][n] * value[-2] if n > 1 else 0.0))
        last = j["C"][n] * slope[-2] if n > 1 else 0.0
        slope.append(line * slope[-1] + j["A"][n] * value[-2] + last)
    inside = r < CUTOFF
    return np.array(value) * inside, np.array(slope) * dt * inside


def one(n: int, l: int, m: int, z: int) -> dict[str, Any]:  # noqa: E741 - the field's own symbol
    """A one-particle function."""
    return {"__id__": "ACE_PSH1pBasisFcn", "nlmz": [n, l, m, z]}


def basis(elements: list[int], rng: np.random.Generator) -> dict[str, Any]:
    """Every function of order 1 for every element, in no particular order."""
    spec = [(n, l, m) for l in range(3) for n in range(1, COUNT + 1 - l) for m in range(-l, l + 1)]
    inner = []
    for centre in elements:
        factors = list(itertools.product(range(1, COUNT + 1), elements))
        order = rng.permutation(len(factors))
        # Where there are two, all functions of the first element come before the second's.
        order = sorted(order, key=lambda k: factors[k][1])
        inner.append(
            [
                {
                    "__id__": "ACE_PIBasisFcn",
                    "z0": {"__id__": "JuLIP_AtomicNumber", "z": centre},
                    "oneps": [one(factors[k][0], 0, 0, factors[k][1])],
                }
                for k in order
            ]
        )
    return {
        "__id__": "ACE_PIBasis",
        "basis1p": {
            "__id__": "ACE_BasicPSH1pBasis",
            "zlist": {"__id__": "JuLIP_SZList", "list": elements},
            "J": {
                "__id__": "ACE_TransformedPolys",
                "trans": {"__id__": "ACE_PolyTransform", "p": 2, "r0": R0},
                "J": recurrence(),
                "rl": INNER,
                "ru": CUTOFF,
            },
            "SH": {"__id__": "ACE_SHBasis", "maxL": 2, "T": {"__id__": "Type", "T": "Float64"}},
            "spec": [one(*s, 0) for s in spec],
        },
        "inner": inner,
    }


def answer(content: dict[str, Any], z: np.ndarray, x: np.ndarray, cell: np.ndarray) -> Any:
    """Energy and forces as a sum over pairs of atoms and images.

    The program sorts the functions of a centre by the number of the element and then by n; the
    coefficients belong to the sorted functions.
    """
    j = content["pibasis"]["basis1p"]["J"]["J"]
    elements = content["pibasis"]["basis1p"]["zlist"]["list"]
    energy, forces = 0.0, np.zeros_like(x)
    reach = range(-3, 4)
    for i, k in itertools.product(range(len(z)), range(len(z))):
        for shift in itertools.product(reach, reach, reach):
            if i == k and not any(shift):
                continue
            d = x[k] + np.array(shift) @ cell - x[i]
            r = np.linalg.norm(d)
            if r >= CUTOFF:
                continue
            centre, neighbour = elements.index(z[i]), elements.index(z[k])
            c = np.array(content["coeffs"][centre]["real"])
            c = c[neighbour * COUNT : (neighbour + 1) * COUNT] / np.sqrt(4 * np.pi)
            value, slope = radial(j, np.array([r]))
            energy += c @ value[:, 0]
            pull = (c @ slope[:, 0]) * d / r
            forces[i] += pull
            forces[k] -= pull
    return energy, forces


def potential(elements: list[int], seed: int) -> dict[str, Any]:
    """A potential with three structures."""
    rng = np.random.default_rng(seed)
    content: dict[str, Any] = {"__id__": "ACE_PIPotential", "pibasis": basis(elements, rng)}
    kind = {"__id__": "Type", "T": "Float64"}
    content["coeffs"] = [
        {
            "__id__": "JuLIP_VectorOfNumber",
            "T": kind,
            "real": rng.normal(size=COUNT * len(elements)).tolist(),
        }
        for _ in elements
    ]
    content["_tests"] = []
    for _ in range(3):
        sites = np.array(list(itertools.product((0, 1), repeat=3))) / 2
        cell = 5.6 * np.eye(3) + rng.normal(scale=0.3, size=(3, 3))
        x = sites @ cell + rng.normal(scale=0.15, size=(8, 3))
        z = rng.permutation(np.resize(elements, 8))
        energy, forces = answer(content, z, x, cell)
        at = {
            "__id__": "JuLIP_Atoms", "Z": z.tolist(), "X": x.tolist(), "cell": cell.T.tolist(),
            "pbc": [True] * 3, "P": np.zeros((8, 3)).tolist(), "M": [1.0] * 8, "calc": None,
            "data": None,
        }  # fmt: skip
        content["_tests"].append({"at": at, "tests": {"E": energy, "F": forces.tolist()}})
    return content


def main() -> None:
    """Write the files."""
    files = {"own_rpipot_1_Si": potential([14], 1), "own_rpipot_1_AlTi": potential([13, 22], 2)}
    files["own_rpibasis_1_Si"] = {
        "__id__": "ACE_RPIBasis",
        "pibasis": basis([14], np.random.default_rng(3)),
        "_params": {
            "degreetype": "SparsePSHDegree", "N": 1, "maxdeg": COUNT, "wL": 1.5, "r0": R0,
            "rcut": CUTOFF, "species": ["Si"],
        },
    }  # fmt: skip
    for name, content in files.items():
        data = lzma.compress(json.dumps(content).encode(), preset=9)
        (FOLDER / f"{name}.json.xz").write_bytes(data)


if __name__ == "__main__":
    main()
