"""Lay out the demonstration's workspace in a folder, with nothing installed but Python and git."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from discover_models import demo

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    demo.prepare(folder)
