"""Placeholder front door."""


def main() -> None:
    """Start the program."""
