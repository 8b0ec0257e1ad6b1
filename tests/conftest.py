"""For all tests."""

import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from console import shown

# How long an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("warroom", deadline=None)
settings.load_profile("warroom")


@pytest.fixture(autouse=True)
def _masked_by_default() -> Iterator[None]:
    """Put the policy of display back: a command that ran in this process may have brought its own."""
    yield
    shown.mask_by(shown.secrets)
    if "screens.display" in sys.modules:
        sys.modules["screens.display"].fit.cache_clear()
