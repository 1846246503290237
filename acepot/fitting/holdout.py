"""Which structures of a data set are only predicted, where a part of them is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acepot.errors import InputError
from acepot.structure import Structure

__all__ = ["held_out", "mingled"]


def held_out(
    structures: Sequence[Structure], fraction: float, seed: int
) -> tuple[list[Structure], list[Structure]]:
    """Draw a part of each config type at random.

    Single atoms stay, because reference energies are theirs, and so does the only structure with
    an element. Of each config type the nearest whole number to the fraction is drawn.

    Args:
        structures: all, in the order of their files.
        fraction: part of them, from 0 to below 1.
        seed: of the generator.

    Returns:
        Those to fit and those only to predict, both in the order of the files.

    Raises:
        InputError: the fraction is so small, or structures are so few, that none is drawn.
    """
    holders: dict[int, list[int]] = {}
    for index, one in enumerate(structures):
        for number in np.unique(one.numbers).tolist():
            holders.setdefault(number, []).append(index)
    alone = {found[0] for found in holders.values() if len(found) == 1}
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(structures):
        if len(one) > 1 and index not in alone:
            groups.setdefault(one.config_type, []).append(index)
    generator = np.random.default_rng(seed)
    drawn: set[int] = set()
    for _, members in sorted(groups.items()):
        count = int(np.floor(fraction * len(members) + 0.5))
        drawn |= set(generator.permutation(members)[:count].tolist())
    if fraction > 0 and not drawn:
        raise InputError(
            f"test_fraction: {fraction:g} of {len(structures)} structures in {len(groups)} config "
            "types is less than one structure of each; give a larger part, or a file of test data"
        )
    train = [one for index, one in enumerate(structures) if index not in drawn]
    return train, [one for index, one in enumerate(structures) if index in drawn]


def mingled(structures: Sequence[Structure], seed: int) -> list[int]:
    """An order at random, of whose every beginning each config type is about its part.

    Args:
        structures: any.
        seed: of the generator.

    Returns:
        Numbers of the structures.
    """
    groups: dict[str, list[int]] = {}
    for index, one in enumerate(structures):
        groups.setdefault(one.config_type, []).append(index)
    generator = np.random.default_rng(seed)
    places: dict[int, float] = {}
    for _, members in sorted(groups.items()):
        begin = generator.random()
        for rank, index in enumerate(generator.permutation(members).tolist()):
            places[index] = (rank + begin) / len(members)
    return sorted(places, key=lambda index: (places[index], index))
