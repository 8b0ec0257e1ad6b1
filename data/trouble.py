"""What can go wrong with a store, in words for the person who is on call."""


class StoreTrouble(Exception):
    """A store cannot do what it was asked.

    Args:
        what: What happened, one sentence.
        meaning: What that means for the record, one sentence.
        next_step: What to do now, one sentence.
    """

    def __init__(self, what: str, meaning: str, next_step: str) -> None:
        super().__init__(f"{what} {meaning} {next_step}")
        self.what = what
        self.meaning = meaning
        self.next_step = next_step
