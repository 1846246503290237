"""The rows of a family, made in one pass over the data, each part apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from acepot.fitting.assembly import Job
from acepot.fitting.fitted import restrained, silent
from acepot.fitting.lowered import LoweredBasis
from acepot.fitting.restraint import restraint_rows
from acepot.fitting.resume import Memory
from acepot.search.candidate import Family
from acepot.search.fits import Data, Rows

__all__ = ["rows_of"]


def rows_of(
    family: Family, data: Data, say: Callable[[str], None], memory: Memory | None = None
) -> Rows:
    """All rows of a family, from the last checkpoint on if there is one.

    Args:
        family: of linear candidates.
        data: structures.
        say: called with lines for people.
        memory: where checkpoints go.

    Raises:
        InputError: a structure has no rows; the message names it.
        KeyboardInterrupt: stopped by Ctrl-C or SIGTERM, after a checkpoint.
    """
    recipe = replace(family.members[0].recipe, basis=family.basis)
    basis = LoweredBasis.of(family.basis, recipe.e0 or {}, silent)
    job = Job(data.train, recipe, basis, data.threads, say, memory, division=data.division)
    gathered, _ = job.from_the_start(job.checkpoint())
    if restrained(recipe):
        gathered.fitted.add(*restraint_rows(basis.spec, basis.expanded, recipe.restraint))
    return Rows(basis, gathered.fitted.finish())
