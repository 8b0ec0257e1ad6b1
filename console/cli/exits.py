"""The exit codes of every command, in one place."""

OK = 0
FAILED = 1
"""A check ran and found something wrong: `verify`, `doctor`, `config check`, `playbook lint`, a headless drill."""
USAGE = 2
"""The command line makes no sense."""
REFUSED = 3
"""What was asked is not possible; nothing was written."""
STORE = 4
"""The store could not give or take it; nothing was acknowledged."""
OUTPUT = 5
"""Standard output did not take everything; what a command had to record is on the record."""
INTERRUPTED = 130
