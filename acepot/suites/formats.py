"""Laws of formats of models: what writes a file, and what reads it.

class TestOwn(FormatLaws):
    write, read = staticmethod(save), staticmethod(load)

"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from acepot.basis.choices import resolve
from acepot.basis.spec import BasisSpec
from acepot.errors import InputError, ModelFileError
from acepot.model import Model
from acepot.potential import Potential
from acepot.structure import Structure
from acepot.suites.solvers import hold

__all__ = ["FormatLaws"]

#: Places of a file that are damaged, one after the other.
_DAMAGED = 60


class FormatLaws:
    """What a format of model files promises. A subclass sets `write` and `read`.

    Tests take pytest's `tmp_path`.
    """

    write: Callable[[Model, Path], object]
    read: Callable[[Path], Model]
    #: Relative difference of energies and forces of a model that was written and read.
    exact = 0.0
    #: Whether a file that ends too early is known by that. A text of lines may not be.
    knows_its_end = True

    def model(self) -> Model:
        """A model of two elements, with numbers of many digits."""
        spec = resolve(BasisSpec(("Si", "O"), order=2, degree=4.0, cutoff=4.2, r0=2.2))
        size = spec.expansion().size
        c = np.random.default_rng(4).normal(size=size) / np.arange(1, size + 1)
        return Model(spec, c, np.array([-3.0, 2.0]))

    def written(self, folder: Path, name: str = "model") -> Path:
        """The model's file."""
        path = folder / name
        type(self).write(self.model(), path)
        return path

    def test_a_model_that_is_read_has_the_same_numbers(self, tmp_path: Path) -> None:
        """Elements, and energies and forces of a cell."""
        found = type(self).read(self.written(tmp_path))
        hold(sorted(found.numbers) == [8, 14], f"elements {found.numbers}")
        cell = np.array([[5.1, 0.4, -0.2], [0.9, 4.7, 0.6], [-0.4, 1.0, 5.6]])
        places = np.array([[0, 0, 0], [1.9, 0.4, 0.2], [0.3, 2.2, 0.5], [2.1, 2.4, 2.6]])
        structure = Structure([14, 8, 14, 8], places, cell, True)
        mine, known = (
            Potential(one, "reference").compute(structure) for one in (found, self.model())
        )
        for what in ("energies", "forces", "virials"):
            new, old = getattr(mine, what), getattr(known, what)
            off = float(np.abs(new - old).max() / np.abs(old).max())
            hold(off <= self.exact, f"{what} are {off:.1e} off")

    def test_the_same_model_makes_the_same_bytes(self, tmp_path: Path) -> None:
        """No times, no names of people or machines."""
        first, second = (self.written(tmp_path, name).read_bytes() for name in ("a", "b"))
        hold(first == second, "the files differ")

    def test_an_older_file_stays_until_the_new_one_is_complete(self, tmp_path: Path) -> None:
        """A file that is replaced keeps what points to it; nothing else is left."""
        path = self.written(tmp_path)
        again = self.written(tmp_path)
        hold(path == again and path.is_file(), "the file is gone")
        left = sorted(p.name for p in tmp_path.iterdir())
        hold(left == [path.name], f"left over: {left}")

    def test_a_file_that_is_cut_off_is_refused(self, tmp_path: Path) -> None:
        """Wherever it ends before its last bytes; or read, if the format does not know its end."""
        path = self.written(tmp_path)
        whole = path.read_bytes()
        for end in np.linspace(0, 0.97 * len(whole), _DAMAGED).astype(int):
            path.write_bytes(whole[:end])
            refused = self._refused(path) or not self.knows_its_end
            hold(refused, f"{end} of {len(whole)} bytes were read as a model")

    def test_a_damaged_file_is_refused_or_read(self, tmp_path: Path) -> None:
        """With an error of ours, and never with another one."""
        path = self.written(tmp_path)
        whole, rng = path.read_bytes(), np.random.default_rng(8)
        for at in rng.integers(0, len(whole), size=_DAMAGED):
            other = bytearray(whole)
            other[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(other)
            self._refused(path)

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        """As an InputError."""
        path = tmp_path / "absent"
        try:
            type(self).read(path)
        except InputError as error:
            hold("absent" in str(error), f"the message is {error}")
        else:
            hold(False, "a file that is not there was read")

    def _refused(self, path: Path) -> bool:
        try:
            type(self).read(path)
        except (InputError, ModelFileError):
            return True
        return False
