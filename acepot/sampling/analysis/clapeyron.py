"""Lines of transitions over pressure, and whether they obey the Clausius-Clapeyron equation.

dT/dP = TΔV/ΔH along a line of coexistence. Its left side comes from the temperatures of peaks at
neighbouring pressures, its right side from the two sides of each peak: they are independent, so
that their agreement is a test of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from acepot.sampling.analysis.peaks import Measured, Peak

__all__ = ["Line", "Slope", "lines"]

#: Peaks at neighbouring pressures are of one line if ln T differs by less from what their slopes
#: foretell.
_NEAR = 0.2


@dataclass(frozen=True)
class Slope:
    """dT/dP between two neighbouring pressures of a line, in K/(eV/Å³).

    Args:
        first: index of the lower pressure.
        second: index of the higher one.
        peaks: (T2 - T1)/(P2 - P1), with its error (None: the peaks have none).
        sides: the mean of TΔV/ΔH at both peaks, with its error.
    """

    first: int
    second: int
    peaks: tuple[float, float | None]
    sides: tuple[float, float | None]

    @property
    def deviation(self) -> float | None:
        """Their difference in standard errors; None: these are not known."""
        one, other = self.peaks[1], self.sides[1]
        if one is None or other is None or one == other == 0.0:
            return None
        return float((self.peaks[0] - self.sides[0]) / np.hypot(one, other))


@dataclass(frozen=True)
class Line:
    """Peaks at several pressures that belong to one transition.

    Args:
        pressures: index of the pressure of each peak.
        peaks: from the lowest pressure to the highest.
        slopes: between neighbours.
    """

    pressures: tuple[int, ...]
    peaks: tuple[Peak, ...]
    slopes: tuple[Slope, ...]


def lines(pressures: Sequence[float], found: Sequence[Sequence[Peak]]) -> list[Line]:
    """Join peaks at neighbouring pressures into lines.

    Peaks at two neighbouring pressures are paired such that altogether they are nearest to where
    their slopes lead.

    Args:
        pressures: in eV/Å³, rising.
        found: the peaks at each of them.

    Returns:
        By temperature at their lowest pressure; a peak without neighbours is a line of its own.
    """
    open_lines: list[list[tuple[int, Peak]]] = []
    done: list[list[tuple[int, Peak]]] = []
    for index, peaks in enumerate(found):
        pairs = _pairs([line[-1][1] for line in open_lines], peaks, pressures, index)
        going = []
        for at, line in enumerate(open_lines):
            if at in pairs:
                line.append((index, peaks[pairs[at]]))
                going.append(line)
            else:
                done.append(line)
        new = [[(index, peak)] for at, peak in enumerate(peaks) if at not in pairs.values()]
        open_lines = going + new
    every = sorted(done + open_lines, key=lambda one: (one[0][0], one[0][1].temperature.value))
    return [_line(pressures, one) for one in every]


def _pairs(
    before: Sequence[Peak], after: Sequence[Peak], pressures: Sequence[float], index: int
) -> dict[int, int]:
    """Which peak goes on as which, by index."""
    if not before or not after:
        return {}
    change = pressures[index] - pressures[index - 1]
    distance = np.array([[_apart(one, other, change) for other in after] for one in before])
    rows, columns = linear_sum_assignment(np.minimum(distance, _NEAR))
    return {
        int(at): int(to) for at, to in zip(rows, columns, strict=True) if distance[at, to] < _NEAR
    }


def _apart(one: Peak, other: Peak, change: float) -> float:
    """How far ln T at the second pressure is from what both slopes foretell, and these apart.

    d ln T/dP = ΔV/ΔH hardly changes where dT/dP does. The mean of both slopes leads from one
    temperature to the other; half of what each is away from that mean counts as well, which keeps
    lines apart where they cross.
    """
    slopes = [p.slope.value / p.temperature.value for p in (one, other)]
    ratio = np.log(other.temperature.value / one.temperature.value)
    mismatch = abs(ratio - 0.5 * sum(slopes) * change)
    return float(mismatch + 0.25 * abs((slopes[1] - slopes[0]) * change))


def _line(pressures: Sequence[float], members: Sequence[tuple[int, Peak]]) -> Line:
    slopes = [
        _slope(pressures[j] - pressures[i], i, j, one, other)
        for (i, one), (j, other) in zip(members[:-1], members[1:], strict=True)
    ]
    return Line(tuple(i for i, _ in members), tuple(p for _, p in members), tuple(slopes))


def _slope(change: float, first: int, second: int, one: Peak, other: Peak) -> Slope:
    t, s = (one.temperature, other.temperature), (one.slope, other.slope)
    error, sides_error = _joint(t), _joint(s)
    return Slope(
        first,
        second,
        ((t[1].value - t[0].value) / change, None if error is None else error / change),
        (0.5 * (s[0].value + s[1].value), None if sides_error is None else 0.5 * sides_error),
    )


def _joint(pair: tuple[Measured, Measured]) -> float | None:
    """The error of a difference or a sum."""
    one, other = (value.error for value in pair)
    return None if one is None or other is None else float(np.hypot(one, other))
