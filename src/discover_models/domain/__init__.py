"""The values that flow through the program; every one is frozen and can be stored as JSON."""
