"""Samples for anesthetic, whose tools for nested sampling then apply."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from acepot.errors import InputError, MissingDependency
from acepot.sampling.analysis.samples import Samples

__all__ = ["birth_enthalpies", "nested_samples"]


def birth_enthalpies(samples: Samples) -> NDArray[np.float64]:
    """Limits under which samples were born, as many as were alive at every moment.

    Whatever is culled is replaced by one born under the limit that its iteration set. Which of the
    later ones that was does not matter to the number of walkers alive, and so not to any weight:
    the one that comes K places later is taken to be it.

    Args:
        samples: of a replica, culled and live.

    Returns:
        In eV, infinite for the walkers at the beginning, shape (m,).

    Raises:
        InputError: there are no live points.
    """
    if len(samples.enthalpy) == samples.culled:
        raise InputError(f"{samples.name}: expected the live points at the end, got none")
    last = np.arange(samples.culled) // samples.at_once * samples.at_once + samples.at_once - 1
    limits = samples.enthalpy[np.minimum(last, samples.culled - 1)]
    return np.concatenate([np.full(samples.walkers, np.inf), limits])


def nested_samples(samples: Samples) -> Any:
    """The samples as an `anesthetic.NestedSamples` with logL = -H and logL_birth.

    Then `.logZ(beta=...)`, `.D_KL(...)`, `.gui()` and all else work with β in 1/eV. Its ln X_n are
    those of the mean of t, K/(K+1), and its ln Z is larger than acepot's by about D/(2K).

    Args:
        samples: of a replica, culled and live.

    Returns:
        With columns `enthalpy` (eV) and `volume` (Å³).

    Raises:
        MissingDependency: anesthetic is not installed.
        InputError: there are no live points.
    """
    try:
        from anesthetic import NestedSamples
    except ImportError as error:
        raise MissingDependency("NestedSamples needs anesthetic: pip install anesthetic") from error
    return NestedSamples(
        data=np.stack([samples.enthalpy, samples.volume], axis=1),
        columns=["enthalpy", "volume"],
        logL=-samples.enthalpy,
        logL_birth=-birth_enthalpies(samples),
    )
