"""The right name that a wrong one most likely meant. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

_NUMBERED = re.compile(r"([a-z]*)(\d+)")
Distance = tuple[int, float]


def distance(wrong: str, right: str) -> Distance:
    """In how many words two names differ, then by how much their numbers do (in octaves)."""
    left, other = wrong.split("_"), right.split("_")
    apart = len(set(left) ^ set(other))
    numbers = zip(_numbers(left).items(), _numbers(other).items(), strict=False)
    octaves = sum(
        abs(math.log2(a + 1) - math.log2(b + 1))
        for (name, a), (other_name, b) in numbers
        if name == other_name
    )
    return apart, round(octaves, 6)


def assign(
    wrong: Iterable[str], candidates: Mapping[str, Collection[str]], taken: Collection[str]
) -> dict[str, str]:
    """For each wrong name its nearest candidate, closest pairs first.

    No candidate is given twice or is one of those `taken`. A wrong name that comes to two
    candidates at the same distance gets none, whether they are free or not.
    """
    pairs = sorted((distance(w, c), w, c) for w in wrong for c in candidates[w])
    rivals = Counter((far, name) for far, name, _ in pairs)
    chosen: dict[str, str] = {}
    given = set(taken)
    undecided: set[str] = set()
    for far, name, candidate in pairs:
        if name in chosen or name in undecided:
            continue
        if rivals[far, name] > 1:
            undecided.add(name)
        elif candidate not in given:
            chosen[name] = candidate
            given.add(candidate)
    return chosen


def _numbers(words: list[str]) -> dict[str, int]:
    found = (_NUMBERED.fullmatch(word) for word in words)
    return {match[1]: int(match[2][:18]) for match in found if match}
