"""The trading cycle that the validator's own tests break."""

import pytest

from fractaltrader.validation.crash_matrix import first_entry

SEED = 1


@pytest.fixture(scope="session")
def entry_bar() -> int:
    """The bar of seed 1's market that brings the first entry."""
    return first_entry(SEED)
