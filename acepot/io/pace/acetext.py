"""The older text format `.ace` of PACE, read into the same tree as a `.yace` file.

It holds one element. Keys and values follow each other in a fixed order, so the text is read
as a row of words in which punctuation only separates.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

from acepot.errors import ModelFileError
from acepot.io.document import WordItem

#: How a `.ace` file starts after its comments.
START = re.compile(r"(?:\s|#.*\n)*nelements\s*=")

_COMMENT = re.compile(r"^#.*$", re.MULTILINE)
_PUNCTUATION = str.maketrans("()<>:=", " " * 6)
#: Largest number of things that a header may announce.
_COUNT = 10_000_000

Tree = dict[Any, Any]


def parse_ace(text: str, name: str) -> WordItem:
    """The tree of a text.

    Args:
        text: contents of the file.
        name: how errors begin, such as the path of the file.

    Raises:
        ModelFileError: not in this format.
    """
    words = _Words(_COMMENT.sub("", text).translate(_PUNCTUATION).split(), name)
    return WordItem(_tree(words), name)


class _Words:
    """The words of a file, taken one after the other."""

    def __init__(self, words: list[str], name: str) -> None:
        self._words = words
        self._next = 0
        self._name = name

    def fail(self, message: str) -> NoReturn:
        """Raise a ModelFileError that names the word at hand."""
        raise ModelFileError(f"{self._name}: word {self._next + 1}: {message}")

    def sees(self, *expected: str) -> bool:
        """Whether these words come next."""
        return self._words[self._next : self._next + len(expected)] == list(expected)

    def take(self, count: int, what: str = "numbers") -> list[str]:
        """The next words."""
        found = self._words[self._next : self._next + count]
        if len(found) < count:
            self.fail(f"expected {count} {what}, but the file ends after {len(found)}")
        self._next += count
        return found

    def skip(self, *expected: str) -> None:
        """Go past words that must come next."""
        if not self.sees(*expected):
            found = " ".join(self._words[self._next : self._next + len(expected)])
            self.fail(f"expected {' '.join(expected)!r}, got {found[:60]!r}")
        self._next += len(expected)

    def after(self, key: str) -> str:
        """The word after a key of one or more words."""
        self.skip(*key.split())
        return self.take(1)[0]

    def count(self, key: str = "", high: int = _COUNT) -> int:
        """A whole number, after a key if one is given."""
        word = self.after(key) if key else self.take(1)[0]
        if not (word.isascii() and word.isdigit() and len(word) < 10 and int(word) <= high):
            self._next -= 1
            self.fail(f"{key}: expected an integer from 0 to {high}, got {word[:40]!r}")
        return int(word)


def _tree(words: _Words) -> Tree:
    if (count := words.count("nelements")) != 1:
        words.fail(f"expected one element, got {count}")
    tree: Tree = {"elements": [words.after("elements")]}
    highest = words.count("lmax", 100)
    kind = words.after("embedding-function") if words.sees("embedding-function") else None
    count = words.count()
    words.skip("FS", "parameters")
    tree["embeddings"] = {"0": {
        "ndensity": str(count // 2),
        "FS_parameters": words.take(count),
        "npoti": kind or "FinnisSinclair",
        "rho_core_cutoff": words.after("core energy-cutoff parameters"),
        "drho_core_cutoff": words.take(1)[0],
    }}  # fmt: skip
    tree["E0"] = [words.after("E0") if words.sees("E0") else "0"]
    name = words.after("radbasename")
    if name.startswith("ACE.jl"):
        _julia(words, tree, name)
    else:
        _bond(words, tree, name, highest)
    words.count("rankmax")
    densities = words.count("ndensitymax")
    words.count("num_c_tilde_max")
    words.count("num_ms_combinations_max")
    functions: list[Tree] = []
    for key in ("total_basis_size_rank1", "total_basis_size"):
        for _ in range(words.count(key)):
            functions.append(_function(words, densities))
    tree["functions"] = {"0": functions}
    return tree


def _bond(words: _Words, tree: Tree, name: str, highest: int) -> None:
    """Radial functions of PACE's own families; coefficients run over k, n, l."""
    base, n = words.count("nradbase"), words.count("nradmax")
    words.after("cutoffmax")
    tree["deltaSplineBins"] = words.after("deltaSplineBins")
    bond: Tree = {"radbasename": name, "nradbasemax": str(base), "nradmax": str(n)}
    bond["lmax"] = str(highest)
    bond["prehc"] = words.after("core repulsion parameters")
    bond["lambdahc"] = words.take(1)[0]
    bond["radparameters"] = [words.after("radparameter")]
    bond["rcut"] = words.after("cutoff")
    bond["dcut"] = words.after("dcut")
    words.skip("crad")
    numbers = words.take(base * n * (highest + 1))
    bond["radcoefficients"] = [
        [numbers[i * (highest + 1) + l :: n * (highest + 1)] for l in range(highest + 1)]
        for i in range(n)
    ]
    tree["bonds"] = {("0", "0"): bond}


def _julia(words: _Words, tree: Tree, name: str) -> None:
    """Radial functions and pair potential of ACE.jl."""
    pair = words.after("haspair") == "t" if words.sees("haspair") else False
    tree["bonds"] = {("0", "0"): {"radbasename": name} | _polynomials(words)}
    if not pair:
        return
    core = words.sees("begin", "repulsive", "potential")
    if core:
        words.skip("begin", "repulsive", "potential")
    words.skip("begin", "polypairpot")
    potential = _polynomials(words)
    words.skip("coefficients")
    potential["coefficients"] = {("0", "0"): words.take(int(potential["maxn"]))}
    words.skip("end", "polypairpot")
    tree["polypairpot"] = potential
    if core:
        words.skip("spline", "parameters")
        for _ in range(12):  # the formula
            if words.sees("ri"):
                break
            words.take(1)
        values = {key: words.after(key) for key in ("ri", "e0", "A", "B")}
        tree["reppot"] = {"coefficients": {("0", "0"): values}}
        words.skip("end", "repulsive", "potential")


def _polynomials(words: _Words) -> Tree:
    """A transform, the cut-offs and the recursion."""
    words.skip("transform", "parameters")
    found: Tree = {key: words.after(key) for key in ("p", "r0")}
    words.skip("cutoff", "parameters")
    found |= {key: words.after(key) for key in ("rcut", "xl", "xr", "pl", "pr")}
    words.skip("recursion", "coefficients")
    count = words.count("maxn")
    numbers = words.take(3 * count)
    found["maxn"] = str(count)
    found["recursion_coefficients"] = {key: numbers[i::3] for i, key in enumerate("ABC")}
    words.skip("tests")
    for _ in range(words.count("ntests", 1000)):
        words.take(2)
    return found


def _function(words: _Words, densities: int) -> Tree:
    """One entry of `functions`."""
    words.skip("ctilde_basis_func")
    rank, own = words.count("rank", 100), words.count("ndens", densities)
    found: Tree = {"rank": str(rank), "ndensity": str(own), "mu0": words.after("mu0")}
    for key, name in (("mu", "mus"), ("n", "ns"), ("l", "ls")):
        words.skip(key)
        found[name] = words.take(rank)
    count = words.count("num_ms")
    numbers = words.take(count * (rank + own))
    rows = [numbers[i : i + rank + own] for i in range(0, len(numbers), rank + own)]
    found["num_ms_combs"] = str(count)
    found["ms_combs"] = [word for row in rows for word in row[:rank]]
    found["ctildes"] = [word for row in rows for word in row[rank:]]
    return found
