"""Puts this folder on the path: tests in its subfolders import the stand-ins beside this file."""
