"""Python's search for reference cycles, as seldom as a process that remembers many agents needs it."""

import gc


def seldom() -> None:
    """Look through young objects now and then, through all of them almost never.

    What the tripwires remember grows by objects that never form cycles, and a full search walks through all
    of it: with 100,000 agents that was a quarter of the processor time.
    """
    gc.set_threshold(50_000, 20, 1_000)
