"""Playbooks that run: what is in the way of a step, what exactly it does, and doing it."""
