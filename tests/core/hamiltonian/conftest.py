"""Models of Hamiltonians with random coefficients, as fixtures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hamiltonian_cases import LEAN, random_model

from acepot.hamiltonian.settings import HamiltonianSettings
from acepot.model import HamiltonianModel


@pytest.fixture(scope="session")
def hamiltonian_model() -> Callable[..., HamiltonianModel]:
    """`random_model`: shells by element, seed, members, settings."""
    return random_model


@pytest.fixture(scope="session")
def lean() -> HamiltonianSettings:
    """Settings of few functions."""
    return LEAN
