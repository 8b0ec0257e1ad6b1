"""Telemetry: what agents did, from wherever it is told."""
