"""Which boxes of the dashboard were ticked by somebody who may decide that. Pure.

A body does not say who ticked a box in it, and GitHub's REST API keeps no record of edits. GitHub's
GraphQL API lists who edited a body and when. Our own section says when it was last written, and
which boxes were ticked then. A box that is ticked now and was not then was ticked by one of those
who edited the body since. It counts when every one of them is a person with write access; with
anybody else among them, or an edit of nobody knows whom, it does not. A box that was ticked already
when we wrote was judged then, and that judgement is remembered in the state.

On GitHub only the issue's author and accounts with write access can edit its body, so this refuses
nobody who could tick a box and may decide; it keeps out a former account of the bot that is a
person's now, other apps, and editors whose account is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from discover_models.publish import markers
from discover_models.publish.issues import BodyEdit
from discover_models.publish.markers import Section
from discover_models.publish.plan import is_ours

BOX = "approve"
"""Boxes with keys ``approve/{kind}/{key}`` approve requests."""
TICKED = "ticked"
"""The dashboard's fact that lists the boxes that were ticked when it was written."""


def box_key(kind: str, key: str) -> str:
    return f"{BOX}/{kind}/{key}"


def ticked_boxes(section: Section | None) -> frozenset[str]:
    """The approving boxes that are ticked now."""
    if section is None:
        return frozenset()
    return frozenset(k for k in markers.ticked(section.text) if k.startswith(f"{BOX}/"))


def newly_ticked(section: Section | None) -> frozenset[str]:
    """Those that were not yet when we wrote last."""
    return ticked_boxes(section) - _ticked_then(section)


def may_decide(
    edits: Sequence[BodyEdit],
    written: datetime | None,
    authors: Iterable[str],
    has_write_access: Callable[[str], bool],
) -> bool:
    """Whether everybody who edited the body since we wrote it is a person with write access.

    Of our own accounts one edit since then is expected: the writing itself, which ends a little
    after the time that it notes down.
    """
    if written is None:
        return False
    since = [edit for edit in edits if edit.at >= written]
    ours = [edit for edit in since if is_ours(edit.editor, authors)]
    others = [edit for edit in since if not is_ours(edit.editor, authors)]
    if len(ours) > 1 or not others or not all(e.person and e.editor for e in others):
        return False
    return all(has_write_access(login) for login in sorted({e.editor for e in others}))


def _ticked_then(section: Section | None) -> frozenset[str]:
    facts = section.facts if section is not None else None
    noted = (facts or {}).get(TICKED, [])
    return frozenset(map(str, cast("list[Any]", noted))) if isinstance(noted, list) else frozenset()
