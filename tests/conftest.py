"""For all tests."""

import signal
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings

from console import shown
from playbooks import library

# A shell lets what it starts in the background ignore Ctrl+C, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("warroom", deadline=None)
settings.load_profile("warroom")


@pytest.fixture(autouse=True)
def _masked_by_default() -> Iterator[None]:
    """Put the policy of display and the library back: a command that ran in this process may have its own."""
    yield
    shown.mask_by(shown.secrets)
    library.overlay_by(tuple)
    if "screens.display" in sys.modules:
        sys.modules["screens.display"].fit.cache_clear()
