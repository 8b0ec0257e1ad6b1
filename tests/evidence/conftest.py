from tests.cli.conftest import declared, shared, warroom

__all__ = ["declared", "shared", "warroom"]
