"""What a process of its own does with all bombs for one reader."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from torture.mangle import BOMBS
from torture.readers import EXPECTED, READERS

SECONDS = 60
"""A reader that takes longer for one bomb is killed, which its caller sees."""


def explode(name: str, root: Path) -> None:
    """Have the reader of that name read each bomb; anything unexpected goes through."""
    reader = READERS[name]
    reader.prepare(root)
    os.chdir(root)
    for bomb, make in BOMBS.items():
        reader.write(root, make())
        signal.alarm(SECONDS)
        began = time.monotonic()
        try:
            reader.read(root)
            said = "taken"
        except EXPECTED as error:
            said = " ".join(str(error).split())[:120]
        signal.alarm(0)
        print(f"{bomb}: {time.monotonic() - began:.1f} s: {said}")
