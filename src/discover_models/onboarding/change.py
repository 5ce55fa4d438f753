"""A pull request as data, and what it claims of which definition. Pure.

Everything in here was written by strangers: it is compared and shown, and nothing else.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from discover_models.audit.document import Block, Row, parse
from discover_models.audit.knowledge import spec_of
from discover_models.domain.frozen import Frozen

COVERAGE_PATH = "docs/model_coverage.mdx"
_DEFINITION = re.compile(r"(?:[\w.-]+/)*definitions/([a-z0-9_]+)/([A-Za-z0-9_]+)\.json", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_CODE = re.compile(r"`([A-Za-z0-9_]{3,200})`", re.ASCII)
_ISSUE = re.compile(
    r"(?<![\w./-])(?:https://(?:redirect\.)?github\.com/)?flashinfer-ai/flashinfer"
    r"(?:#|/issues/|/pull/)(\d{1,9})\b"
)


class ChangedFile(Frozen):
    """One file as GitHub lists it."""

    path: str
    status: str
    """``added``, ``modified``, ``removed``, ``renamed``, …"""
    previous_path: str = ""

    @property
    def definition(self) -> tuple[str, str] | None:
        """Op type and name, where the file is one of a definition that is there afterwards."""
        return None if self.status == "removed" else definition_place(self.path)


@dataclass(frozen=True)
class Change:
    """Everything that is looked at of a pull request."""

    number: int
    body: str
    files: tuple[ChangedFile, ...]
    before: str
    """The coverage document where the change branched off; empty where there is none."""
    after: str
    """The coverage document as it would be."""
    definitions: Mapping[str, str] = field(default_factory=dict[str, str])
    """The texts of the change's definition files, by path."""
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a file could not be read, by path."""
    complete: bool = True
    """Whether `files` are all; GitHub lists 3000 at most."""
    labelled: bool = False
    """Whether it carries the label: then what its text names is claimed, too."""


@dataclass(frozen=True)
class ClaimedRow:
    """A row of the document that is about a claimed definition."""

    block: Block
    row: Row
    before: str | None
    """The sign that the row had; None for a new one."""

    @property
    def changed(self) -> bool:
        """Whether the change adds the row or gives it another status."""
        return self.before != self.row.sign


@dataclass(frozen=True)
class Claim:
    """A definition that the change says something of."""

    name: str
    rows: tuple[ClaimedRow, ...]
    file: str = ""
    """Path of its definition file in the change."""

    @property
    def usable(self) -> bool:
        """Whether the name can be that of a file."""
        return _NAME.fullmatch(self.name) is not None


def touches_onboarding(files: Iterable[ChangedFile]) -> bool:
    """Whether the coverage document or a definition file is among them."""
    return any(
        COVERAGE_PATH in (file.path, file.previous_path) or definition_place(file.path)
        for file in files
    )


def definition_place(path: str) -> tuple[str, str] | None:
    """Op type and name that the path of a definition file gives; None for other files."""
    found = _DEFINITION.fullmatch(path)
    if found is None or {".", ".."} & set(path.split("/")):
        return None
    return found[1], found[2]


def claims(change: Change) -> tuple[Claim, ...]:
    """What the change claims, in the document's order, then what only has a file.

    A definition with a file, or named in the text of a change with the label, comes with all its
    rows, since they have to say that it is there.
    """
    rows: dict[str, list[ClaimedRow]] = {}
    for claimed in _all_rows(change.before, change.after):
        assert claimed.row.name is not None
        rows.setdefault(claimed.row.name.text, []).append(claimed)
    files: dict[str, str] = {}
    for file in change.files:
        place = file.definition
        if place is not None:
            files.setdefault(place[1], file.path)
    changed = {name: [r for r in found if r.changed] for name, found in rows.items()}
    whole = {*files, *(named(change.body) if change.labelled else ())}
    names = dict.fromkeys((*(name for name, found in changed.items() if found), *sorted(whole)))
    return tuple(
        Claim(name, tuple((rows if name in whole else changed).get(name, ())), files.get(name, ""))
        for name in names
    )


def named(body: str) -> tuple[str, ...]:
    """The names of definitions of known kernels that a text shows as code."""
    found = (name for name in _CODE.findall(body) if spec_of(name))
    return tuple(dict.fromkeys(found))


def requests_linked(body: str) -> tuple[int, ...]:
    """The numbers of FlashInfer's issues and pull requests that a text links."""
    return tuple(dict.fromkeys(int(number) for number in _ISSUE.findall(body)))


def pulls_linked(body: str, dataset: str) -> tuple[int, ...]:
    """The numbers of the pull requests of a dataset (OWNER/NAME) that a text links by address."""
    address = re.compile(
        rf"https://huggingface\.co/datasets/{re.escape(dataset)}/discussions/(\d{{1,9}})\b"
    )
    return tuple(dict.fromkeys(int(number) for number in address.findall(body)))


_Key = tuple[str, str, str]


def _all_rows(before: str, after: str) -> list[ClaimedRow]:
    """The rows of the new document, each with the sign that it had before."""
    old: dict[_Key, Counter[str]] = defaultdict(Counter)
    for key, _, row in _rows(before):
        old[key][row.sign] += 1
    found: dict[int, ClaimedRow] = {}
    changed: list[tuple[_Key, Block, Row]] = []
    for key, block, row in _rows(after):
        if old[key][row.sign]:
            old[key][row.sign] -= 1
            found[row.line] = ClaimedRow(block, row, row.sign)
        else:
            changed.append((key, block, row))
    for key, block, row in changed:
        sign = next((sign for sign, count in old[key].items() if count), None)
        if sign is not None:
            old[key][sign] -= 1
        found[row.line] = ClaimedRow(block, row, sign)
    return [found[line] for line in sorted(found)]


def _rows(text: str) -> Iterable[tuple[_Key, Block, Row]]:
    for block in parse(text).blocks:
        for row in block.rows:
            if row.name is not None:
                yield (block.title, block.heading, row.name.text), block, row
