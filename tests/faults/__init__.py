"""Faults: kills, full disks, damaged files."""
