"""The calculator as ASE's plugins know it."""

from __future__ import annotations

from ase._4.plugins.plugin import CalculatorPlugin

import acepot

#: What the entry point `ase.plugins` gives. Of the module acepot, whose version is shown.
__ase_plugins__ = {
    CalculatorPlugin(
        "acepot",
        citation="Drautz, Phys. Rev. B 99, 014104 (2019)",
        module=acepot,
        implementation="ase_ace.ACECalculator",
    )
}
