"""``python -m discover_models``."""

from discover_models.cli import main

main()
