"""A potential of one part or of several -> Model."""

from __future__ import annotations

import reprlib
from pathlib import Path

import numpy as np

from acepot.basis.explicit import ExplicitBasis
from acepot.basis.species import SYMBOLS
from acepot.io.ace1.objects import DEPTH, JuliaObject, load, parsed
from acepot.io.ace1.pair import pair_potential
from acepot.io.ace1.products import many_body
from acepot.model import Model


def read_ace1(path: str | Path) -> Model:
    """Read a potential: a PIPotential, or a sum of OneBody, PolyPairPot and PIPotential.

    Args:
        path: JSON file, plain or compressed with xz, gzip or bzip2.

    Returns:
        The model, with the products in the file's own order, centre by centre.

    Raises:
        InputError: there is no such file.
        ModelFileError: the file is damaged or holds something else; the message says what.
    """
    return _model(load(path), Path(path).name)


def model_of_json(text: str, name: str, file: str) -> Model:
    """The potential that the text of a file describes.

    Args:
        text: JSON.
        name: how errors begin.
        file: its name, for the provenance.

    Raises:
        ModelFileError: as `read_ace1`.
    """
    return _model(parsed(text, name), file)


def _model(root: JuliaObject, file: str) -> Model:
    nodes: dict[str, JuliaObject] = {}
    for node in _components(root):
        if (name := node.kind("OneBody", "PolyPairPot", "PIPotential")) in nodes:
            node.fail(f"expected one {name} in a potential, found two")
        nodes[name] = node
    parts = []
    if "PIPotential" in nodes:
        parts.append(many_body(nodes["PIPotential"]))
    if "PolyPairPot" in nodes:
        parts.append(pair_potential(nodes["PolyPairPot"]))
    if not parts:
        root.fail("expected a PIPotential or a PolyPairPot, found neither")
    numbers = parts[0].numbers
    if parts[-1].numbers != numbers:
        root.fail(f"expected parts for the same elements, got {numbers} and {parts[-1].numbers}")
    if len({len(part.coefficients) for part in parts}) > 1:
        root.fail("expected committees of one size in all parts of the potential")
    e0 = np.zeros(len(numbers))
    if "OneBody" in nodes:
        energies = nodes["OneBody"].at("E0")
        e0 = np.array([energies.at(SYMBOLS[z]).number() for z in numbers])
    pair = parts[-1].radial if "PolyPairPot" in nodes else None
    return Model(
        ExplicitBasis(numbers, parts[0].radial, parts[0].products, pair),
        np.concatenate([part.coefficients for part in parts], axis=1)[:, None],
        e0,
        provenance={"format": "ACE1 JSON", "file": file},
    )


def _components(node: JuliaObject, depth: int = 0) -> list[JuliaObject]:
    """The parts of a potential, out of all containers."""
    table = node.table()
    if depth > DEPTH:
        node.fail(f"expected at most {DEPTH} nested containers")
    if "__id__" not in table:
        for key in ("IP", "potential"):
            if key in table:
                return _components(node.at(key), depth + 1)
        node.fail(f"expected '__id__', 'IP' or 'potential', got {reprlib.repr(sorted(table))}")
    if node.kind("SumIP", "OneBody", "PolyPairPot", "PIPotential") != "SumIP":
        return [node]
    return [p for item in node.at("components").items() for p in _components(item, depth + 1)]
