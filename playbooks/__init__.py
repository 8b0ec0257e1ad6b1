"""The runbook: reviewed YAML documents, the models that check them, and their loader.

Importing this package costs nothing; `playbooks.load` brings YAML and pydantic in when it first reads one.
"""
