"""Synthetic miniature of a serving engine; see the README of the demonstration."""
