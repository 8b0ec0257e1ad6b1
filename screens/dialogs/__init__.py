"""Dialogs: a form that asks, and a page that shows."""
