"""Whether virial labels agree with the energies and forces beside them.

Plane waves of a fixed cut-off make stresses that are no derivative of the energies (Pulay stress);
files give them with another sign or in another unit. Such labels spoil a fit of all three, so
virials that nobody asked for are fitted only where they are consistent. Their rows are gathered
apart, with one column more, the derivative of a virial by a common pressure. Then, with a
penalty as strong as that of the fit of energies and forces alone:

* offset: the pressure, in GPa, that all virials have in common beyond what the fit of energies,
  forces and virials together explains;
* factor: the slope of the labels against what energies and forces alone predict;
* rise: the root mean square of the residuals of energies and forces with virials in the fit,
  relative to that without.

Measured on public data (E, F and V of DFT) with bases of 21 to 1,328 functions:

    silicon (2 sets), lithium, aluminium, molybdenum, tantalum (2 sets), niobium, Nb-Mo-Ta-W:
        offset -0.3 to 0.4 GPa, factor 0.87 to 1.08, rise at most 1.09
    tungsten: offset -0.5 to 0.1; Ti-Al: offset 1.4 to 1.7, rise 1.03 to 1.20
    copper, nickel, whose stresses are known to be off: offset -2.5 and -3.2, rise 1.4 to 2.3
    made wrong (7 sets) - sign: factor -1.03 to -0.87, rise 2.4 and more; half: 0.43 to 0.52, 1.2
        and more; twice: 1.7 to 2.1, 1.4 and more; every tenth with the wrong sign: rise 1.09 to 5

What energies and forces alone predict is no measure of the offset: for silicon it is 0.6 GPa off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from acepot.fitting.problem import Accumulator, Problem
from acepot.structure import Structure
from acepot.units import GIGAPASCAL

__all__ = ["Consistency", "consistency", "with_pressure"]

Floats = NDArray[np.float64]
#: An offset in GPa, in standard deviations and relative to the size of the labels that, if all
#: three are exceeded, is one. (A coarse basis on labels of 170 GPa shows 0.7 GPa of misfit.)
_OFFSET, _CERTAIN, _RELATIVE = 0.5, 5.0, 0.03
#: A slope outside of this is a wrong sign or unit, if residuals also rise so much.
_LEAST_FACTOR, _MOST_FACTOR, _CONTRADICTS = 0.6, 1.6, 1.15
#: Labels that make the residuals of others rise by more contradict them, whatever the reason.
_RISE = 1.3
#: Residuals this small beside the labels are as good as none: their rise is of no consequence.
_EXACT = 1e-3


@dataclass(frozen=True)
class Consistency:
    """How virial labels compare with energies and forces.

    Args:
        offset: common pressure of the labels that nothing explains, in GPa.
        uncertainty: its standard deviation.
        factor: slope of the labels against what energies and forces predict.
        rise: of the residuals of energies and forces when virials are fitted too.
        rows: number of virial rows.
        size: root mean square of the labels as pressures in GPa.
    """

    offset: float
    uncertainty: float
    factor: float
    rise: float
    rows: int
    size: float

    @property
    def reason(self) -> str:
        """Why the labels are left out, as the end of a sentence; "" if they are consistent."""
        outside = not _LEAST_FACTOR <= self.factor <= _MOST_FACTOR
        if outside and self.rise > _CONTRADICTS:
            return f"labels are {self.factor:.2g} times what energies and forces say"
        if abs(self.offset) > max(_OFFSET, _CERTAIN * self.uncertainty, _RELATIVE * self.size):
            return f"labels are {abs(self.offset):.1f} GPa off on average"
        if self.rise > _RISE:
            return f"residuals of energies and forces would be {self.rise:.2g} times as large"
        return ""

    @property
    def line(self) -> str:
        """What was decided and why, for people."""
        if self.reason:
            return f"virials are compared but not fitted: {self.reason}"
        return f"virials are fitted too: labels are {abs(self.offset):.2f} GPa off on average"

    @property
    def report(self) -> dict[str, float | str]:
        """The same for programs."""
        return {
            "decision": "compared" if self.reason else "fitted",
            "reason": self.reason or "consistent",
            "offset in GPa": self.offset,
            "uncertainty of the offset": self.uncertainty,
            "factor": self.factor,
            "rise of other residuals": self.rise,
            "rows": self.rows,
        }


def with_pressure(rows: Floats, structure: Structure) -> Floats:
    """Virial rows of a structure with the column of a common pressure of 1 GPa beside them."""
    column = np.zeros((len(rows), 1))
    column[:3] = GIGAPASCAL * abs(float(np.linalg.det(structure.cell)))
    return np.hstack([rows, column])


def consistency(
    fitted: Problem, virials: Problem, coefficients: Floats, penalty: Floats
) -> Consistency:
    """Compare virials with the rest.

    Args:
        fitted: rows of energies and forces, K columns.
        virials: rows of virials, with the column of the pressure as the last of K + 1.
        coefficients: the fit of the former alone, shape (K,).
        penalty: √λ γ of it, shape (K,): |penalty c|² is what its prior adds.
    """
    count = fitted.columns
    together = Accumulator(count + 1)
    together.add(np.pad(fitted.triangle, ((0, 0), (0, 1))), fitted.targets)
    together.add(np.pad(np.diag(penalty), ((0, 0), (0, 1))), np.zeros(count))
    together.add(virials.triangle, virials.targets)
    joint = together.finish()
    last = abs(float(joint.triangle[-1, -1]))
    outside = joint.outside + fitted.outside + virials.outside
    noise = outside / (fitted.rows + virials.rows)
    # Without the pressure the first K columns of the same triangle are the whole problem.
    plain = _solved(joint.triangle[:count, :count], joint.targets[:count])
    whole = float(fitted.targets @ fitted.targets) + fitted.outside
    before = fitted.residual(coefficients) + _EXACT**2 * whole
    after = fitted.residual(plain) + _EXACT**2 * whole
    return Consistency(
        offset=float(joint.targets[-1] / joint.triangle[-1, -1]) if last else 0.0,
        uncertainty=float(np.sqrt(noise)) / last if last else float("inf"),
        factor=_slope(virials, coefficients),
        rise=float(np.sqrt(after / before)) if before else 1.0,
        rows=virials.rows,
        size=_size(virials),
    )


def _solved(triangle: Floats, targets: Floats) -> Floats:
    """Coefficients of a triangular system that a penalty keeps from being singular."""
    diagonal = np.abs(np.diag(triangle))
    if diagonal.min() > 0:
        return np.asarray(solve_triangular(triangle, targets))
    return np.asarray(np.linalg.lstsq(triangle, targets, rcond=None)[0])


def _size(virials: Problem) -> float:
    """What common pressure would make labels as large as these, in GPa."""
    square = float(virials.targets @ virials.targets) + virials.outside
    unit = float(np.linalg.norm(virials.triangle[:, -1]))
    return float(np.sqrt(square)) / unit if unit else 0.0


def _slope(virials: Problem, coefficients: Floats) -> float:
    """The factor of predictions, beside a common pressure, that comes closest to the labels."""
    predicted = virials.triangle[:, :-1] @ coefficients
    columns = np.column_stack([predicted, virials.triangle[:, -1]])
    return float(np.linalg.lstsq(columns, virials.targets, rcond=None)[0][0])
