"""Drills: rehearsals on the real console, in a home of their own, with a clock of their own."""
