"""The GitHub emulator for the tests here too."""

from publish.conftest import emulator, running_emulator

__all__ = ["emulator", "running_emulator"]
