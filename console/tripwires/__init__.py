"""The tripwires: rules over agent actions that open alerts."""
