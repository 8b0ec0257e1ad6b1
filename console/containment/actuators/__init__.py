"""One file for each kind of system that can be told to stop. docs/actuators.md says how to add one."""
