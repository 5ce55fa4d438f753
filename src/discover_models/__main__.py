"""``discover-models`` and ``python -m discover_models``."""

import sys


def main() -> None:
    """Run the command; Ctrl-C ends it quietly even while its modules are still loading."""
    try:
        from discover_models.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
