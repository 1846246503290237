from __future__ import annotations

import numpy as np
import pytest

from acepot.basis.harmonics import real_harmonics
from acepot.errors import InputError
from acepot.hamiltonian.orders import PROGRAMS, from_acepot, rearranged, to_acepot

#: x, y, z and products of them in the order and with the signs in which programs write them.
P = {
    "acepot": ("y", "z", "x"),
    "deeptb": ("y", "z", "x"),
    "cp2k": ("y", "z", "x"),
    "pyscf": ("x", "y", "z"),
    "sisl": ("-y", "z", "-x"),
    "aims": ("y", "z", "-x"),
    "abacus": ("z", "-x", "-y"),
    "openmx": ("x", "y", "z"),
    "deeph": ("x", "y", "z"),
    "deeph-siesta": ("x", "y", "z"),
}
ZZ, XX = "(2*z*z-x*x-y*y)/12**0.5", "(x*x-y*y)/2"
OWN_D = ("x*y", "y*z", ZZ, "x*z", XX)
D = {
    "acepot": OWN_D,
    "deeptb": OWN_D,
    "cp2k": OWN_D,
    "pyscf": OWN_D,
    "sisl": ("x*y", "-y*z", ZZ, "-x*z", XX),
    "aims": ("x*y", "y*z", ZZ, "-x*z", XX),
    "abacus": (ZZ, "-x*z", "-y*z", XX, "x*y"),
    "openmx": (ZZ, XX, "x*y", "x*z", "y*z"),
    "deeph": (ZZ, XX, "x*y", "x*z", "y*z"),
    "deeph-siesta": (ZZ, XX, "x*y", "x*z", "y*z"),
}


def unit() -> np.ndarray:
    r = np.random.default_rng(0).normal(size=(5, 3))
    return np.asarray(r / np.linalg.norm(r, axis=1)[:, None])


def formulas(texts: tuple[str, ...], scale: float) -> np.ndarray:
    x, y, z = unit().T
    return scale * np.stack([eval(text, {"x": x, "y": y, "z": z}) for text in texts])  # noqa: S307


@pytest.mark.parametrize("program", PROGRAMS)
def test_functions_of_programs_are_those_of_their_manuals(program: str) -> None:
    y, _ = real_harmonics(unit(), 2)
    for l, texts, scale in ((1, P, np.sqrt(3 / 4 / np.pi)), (2, D, np.sqrt(15 / 4 / np.pi))):
        move = from_acepot(program, [l])
        ours = y[:, l * l : (l + 1) ** 2].T
        theirs = move.sign[:, None] * ours[move.place]
        assert np.abs(theirs - formulas(texts[program], scale)).max() < 1e-14


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("ls", [(0,), (0, 0, 1), (1, 2, 0, 3)])
def test_there_and_back_is_exactly_the_same(program: str, ls: tuple[int, ...]) -> None:
    size = sum(2 * l + 1 for l in ls)
    given = np.random.default_rng(1).normal(size=(3, size, size))
    there, back = from_acepot(program, ls), to_acepot(program, ls)
    moved = rearranged(given, there, there)
    assert np.array_equal(rearranged(moved, back, back), given)
    both = there.then(back)
    assert np.array_equal(both.place, np.arange(size)) and (both.sign == 1).all()


def test_f_shells_of_siesta_in_deeph_stand_as_its_converter_writes_them() -> None:
    move = from_acepot("deeph-siesta", [3])
    assert (move.place - 3).tolist() == [3, 1, -1, -3, -2, 0, 2]
    assert (from_acepot("abacus", [3]).place - 3).tolist() == [0, 1, -1, 2, -2, 3, -3]
    assert from_acepot("abacus", [3]).sign.tolist() == [1, -1, -1, 1, 1, -1, -1]


def test_unknown_programs_and_shells_are_refused() -> None:
    with pytest.raises(InputError, match="order: expected one of acepot, .*, got 'vasp'"):
        to_acepot("vasp", [1])
    with pytest.raises(InputError, match="l = 4 in openmx is not known"):
        to_acepot("openmx", [0, 4])
