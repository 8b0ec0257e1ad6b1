"""Undoing what agents did: the ledger of effects, the classes with their clocks, reversals and audits."""
