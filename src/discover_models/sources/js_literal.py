"""Plain data in JavaScript: what an ``export const`` holds, if it is nothing but a literal."""

from __future__ import annotations

import re
from bisect import bisect
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_NUMBER = re.compile(r"-?\d{1,100}(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_STRING = re.compile(
    r"""'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|\$(?!\{)|[^`\\$])*`""", re.S
)
_EXPORT = re.compile(r"^export\s+const\s+(\w+)\s*=\s*(?=[\[{])", re.MULTILINE)
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None, "undefined": None}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v"}
_MAX_DEPTH = 40
_GOES_ON = tuple(".[(+?&|,")
"""Behind a literal: it is only the beginning of an expression."""

LINE = ("line",)
"""Key in each object for its 1-based line; no object of a file can have it."""


class NotDataError(Exception):
    """The text is no literal: it calls, spreads, interpolates or names something."""


@dataclass
class _Reader:
    text: str
    at: int
    newlines: list[int]

    @property
    def line(self) -> int:
        return bisect(self.newlines, self.at) + 1

    def peek(self) -> str:
        space = _SPACE.match(self.text, self.at)
        self.at = space.end() if space else self.at
        return self.text[self.at : self.at + 1]

    def take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        return match[0]

    def expect(self, sign: str) -> None:
        if self.peek() != sign:
            raise self.problem()
        self.at += 1

    def problem(self) -> NotDataError:
        return NotDataError(f"line {self.line} is no plain data")

    def value(self, depth: int) -> Any:
        """One literal."""
        sign = self.peek()
        if depth > _MAX_DEPTH:
            raise NotDataError("nested too deeply")
        if sign == "{":
            return self.object(depth)
        if sign == "[":
            return self.array(depth)
        if (string := self.take(_STRING)) is not None:
            return _unquote(string)
        if (number := self.take(_NUMBER)) is not None:
            return float(number) if set(number) & set(".eE") else int(number)
        start = self.at
        word = self.take(_WORD)
        if word in _CONSTANTS:
            return _CONSTANTS[word]
        self.at = start
        raise self.problem()

    def array(self, depth: int) -> list[Any]:
        self.expect("[")
        items: list[Any] = []
        while self.peek() != "]":
            items.append(self.value(depth + 1))
            self._comma("]")
        self.expect("]")
        return items

    def object(self, depth: int) -> dict[Any, Any]:
        items: dict[Any, Any] = {LINE: self.line}
        self.expect("{")
        while self.peek() != "}":
            key = self.take(_STRING)
            name = _unquote(key) if key else self.take(_WORD) or self.take(_NUMBER)
            if name is None:
                raise self.problem()
            self.expect(":")
            items[name] = self.value(depth + 1)
            self._comma("}")
        self.expect("}")
        return items

    def _comma(self, end: str) -> None:
        if self.peek() == ",":
            self.at += 1
        elif self.peek() != end:
            raise self.problem()


def _unquote(string: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), string[1:-1], flags=re.DOTALL)


def exported_data(text: str) -> dict[str, Any]:
    """The literals that a module exports, by name; `NotDataError` when one is not plain data.

    Exports that do not start as an object or array (functions, components) are not looked at.
    """
    found: dict[str, Any] = {}
    newlines = [match.start() for match in re.finditer("\n", text)]
    for match in _EXPORT.finditer(text):
        reader = _Reader(text, match.end(), newlines)
        found[match[1]] = reader.value(0)
        if reader.peek() in _GOES_ON:
            raise reader.problem()
    return found
