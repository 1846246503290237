"""Values of untrusted documents: every error names the place, numbers are what they must be."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acepot.errors import InputError, ModelFileError
from acepot.io.document import Item, WordItem, read_text

JSON = {"a": [1, {"b": 2.5, "c": [1, 2, True]}], "n": [3, 1e300], "w": "Si", "big": 10**400}
WORDS = {
    "a": ["1", {"b": "2.5", "c": ["1", "2", "x"]}], "n": ["3", "1e300"], "w": "Si",
    ("0", "1"): {"rcut": "far"}, "big": "1" + "0" * 400,
}  # fmt: skip
ROOTS = (Item(JSON, "f.json"), WordItem(WORDS, "f.yace"))


@pytest.mark.parametrize("root", ROOTS)
def test_good_values_come_as_numbers(root: Item) -> None:
    inner = root.at("a").items(2, 2)[1]
    assert inner.at("b").number(0.0, 3.0) == 2.5 and root.at("a").items()[0].integer(1, 1) == 1
    assert inner.get("absent") is None and root.at("w").word() == "Si"
    first = type(root)(root.at("a").value[1]["c"][:2], "c", root)
    np.testing.assert_array_equal(first.numbers(2, 2), [1.0, 2.0], strict=True)
    assert first.integers(0, 2, 2) == [1, 2]


BAD: dict[str, Callable[[Any], Any]] = {
    r"a\[1\].c\[2\]: expected a number from -1e\+100 to 1e\+100": (
        lambda r: r.at("a").items()[1].at("c").numbers()
    ),
    r"a\[1\].c\[2\]: expected an integer from 0 to 9": (
        lambda r: r.at("a").items()[1].at("c").integers(0, 9, 3)
    ),
    r"n\[1\]: expected a number": lambda r: r.at("n").numbers(),
    r"n\[1\]: expected 7": lambda r: r.at("n").items()[1].integer(7, 7),
    r"big: expected a number from 0 to 1": lambda r: r.at("big").number(0.0, 1.0),
    r"w: expected a number": lambda r: r.at("w").number(),
    r"w: expected a list, got 'Si'": lambda r: r.at("w").items(),
    r"a: expected a table": lambda r: r.at("a").get("x"),
    r"a: expected a word": lambda r: r.at("a").word(),
    r"n: expected a list of 3 entries, got 2": lambda r: r.at("n").numbers(3, 3),
    r"n: expected a list of at least 3 entries, got 2": lambda r: r.at("n").items(3),
    r"n: expected a list of 0 to 1 entries, got 2": lambda r: r.at("n").items(0, 1),
    r"expected the key 'z', got \['a', 'n', 'w'": lambda r: r.at("z"),
}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("message", BAD)
def test_bad_values_are_named_with_their_place(root: Item, message: str) -> None:
    with pytest.raises(ModelFileError, match=rf"^f\.\w+: {message}"):
        BAD[message](root)


def test_numbers_of_json_are_no_text_and_no_truth_values() -> None:
    for value in ("1", True, None, [1], float("nan"), float("inf")):
        for take in (lambda item: item.number(), lambda item: item.integer(0, 9)):
            with pytest.raises(ModelFileError):
                take(Item(value, "f.json"))


def test_pairs_of_indices_are_keys() -> None:
    with pytest.raises(ModelFileError, match=r"f.yace: \[0, 1\].rcut: expected a number"):
        ROOTS[1].at(("0", "1")).at("rcut").number()
    with pytest.raises(ModelFileError, match=r"expected the key '\[1, 0\]'"):
        ROOTS[1].at(("1", "0"))


def test_texts_are_read_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(b"x" * 5_200_000))
    assert len(read_text(path, 5_200_000)) == 5_200_000
    for bounds in ((5_199_999,), (10**9, 1.0)):
        with pytest.raises(ModelFileError, match="characters, got more"):
            read_text(path, *bounds)
    with pytest.raises(InputError, match="no such file"):
        read_text(tmp_path / "absent", 10)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_text(path, 10**9)
