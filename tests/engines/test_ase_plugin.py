"""ASE's plugins find the calculator."""

from __future__ import annotations

import numpy as np
import pytest


def test_the_calculator_is_a_plugin_of_ase() -> None:
    plugins = pytest.importorskip("ase._4.plugins").plugins
    (mine,) = [one for one in plugins if one.name == "acepot"]
    import acepot
    from acepot import shelf
    from ase_ace import ACECalculator

    assert mine() is ACECalculator and mine.version == acepot.__version__
    assert "acepot" in mine.display()
    from ase.build import bulk

    atoms = bulk("W", "bcc", a=3.2, cubic=True)
    atoms.calc = mine()(shelf.path("W"))
    assert np.isfinite(atoms.get_potential_energy())
