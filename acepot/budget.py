"""What opening a file may take, and the one way in which a user allows more.

Files are untrusted: a few kB may describe tables or couplings of many GB. Every reader knows,
before it spends anything, how much a file would take, and refuses what is beyond its limit. Limits
are above what sound files need; `ACEPOT_BUDGET` in the environment multiplies all of them.
"""

from __future__ import annotations

import os

from acepot.errors import InputError

__all__ = ["MORE", "allowed"]

_VARIABLE = "ACEPOT_BUDGET"
#: The end of a refusal.
MORE = f"if you trust it, {_VARIABLE}=10 in the environment allows ten times as much"
_MOST = 1e6


def allowed(limit: float) -> int:
    """A limit with what the user allows.

    Args:
        limit: bytes, characters, numbers or products.

    Returns:
        The limit times `ACEPOT_BUDGET`; the limit itself if that is not set.

    Raises:
        InputError: `ACEPOT_BUDGET` is no number from 1 to 1e6.
    """
    text = os.environ.get(_VARIABLE, "").strip()
    try:
        factor = float(text or 1)
    except ValueError:
        factor = 0.0
    if not 1 <= factor <= _MOST:
        raise InputError(f"{_VARIABLE}: expected a number from 1 to {_MOST:.0e}, got {text[:20]!r}")
    return int(factor * limit)
