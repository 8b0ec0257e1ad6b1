"""Readiness: which questions are answered, by what or by whom, and which gaps nobody owns."""
