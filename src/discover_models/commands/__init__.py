"""What the command line does for each command that stands beside the inventory."""
