"""For all tests."""

from hypothesis import settings

# How long an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("warroom", deadline=None)
settings.load_profile("warroom")
