"""A GitHub to test against: the emulator and the check of every exchange with it."""
