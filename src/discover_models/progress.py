"""What a long run is doing, on standard error."""

import shutil
import sys
from collections.abc import Callable
from threading import Lock
from typing import TextIO

Say = Callable[[str], None]
"""Takes a line about what is being done."""


class Progress:
    """One line that is rewritten on a terminal, plain lines elsewhere."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._rewrites = stream.isatty()
        self._lock = Lock()

    def say(self, text: str) -> None:
        """Show what is being done now; any thread may call it."""
        with self._lock:
            if self._rewrites:
                # A longer line would wrap, and only its last part could be rewritten.
                width = shutil.get_terminal_size().columns - 1
                self._stream.write(f"\r\x1b[2K{text[:width]}")
            else:
                self._stream.write(f"{text}\n")
            self._stream.flush()

    def done(self) -> None:
        """Leave the terminal's line empty."""
        if self._rewrites:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
