"""Pull requests and comments on GitHub, read as data: no branch is ever checked out."""

from __future__ import annotations

import base64
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from discover_models.domain.frozen import Frozen
from discover_models.errors import SourceError
from discover_models.onboarding.change import ChangedFile
from discover_models.publish.comments import PostedComment, RecognisePosted
from discover_models.publish.github import GitHubIssues, RefusedWithStatusError, checked

MOST_FILES = 3000
"""Files of a pull request that GitHub lists; source: "List pull requests files" of its REST API."""
LARGEST_FILE = 1_000_000
"""Bytes of a file that the contents API gives in its answer; it sends none of a larger one."""


class _User(BaseModel):
    login: str


class _Label(BaseModel):
    name: str


class _End(BaseModel):
    sha: str


class _Pull(BaseModel):
    number: int
    state: Literal["open", "closed"]
    user: _User | None = None
    body: str | None = None
    labels: tuple[_Label, ...] = ()
    locked: bool = False
    head: _End
    base: _End
    changed_files: int


class _File(BaseModel):
    filename: str
    status: str
    previous_filename: str = ""


class _Comparison(BaseModel):
    merge_base_commit: _End


class _Comment(BaseModel):
    id: int
    user: _User | None = None
    body: str = ""


class _Content(BaseModel):
    type: str
    encoding: str = ""
    content: str = ""


_FILES = TypeAdapter(tuple[_File, ...])
_COMMENTS = TypeAdapter(tuple[_Comment, ...])


class Pull(Frozen):
    """A pull request as it stands on GitHub."""

    number: int
    state: Literal["open", "closed"]
    author: str
    """Login; empty when the account is gone."""
    body: str
    labels: tuple[str, ...]
    locked: bool
    head: str
    """Commit id."""
    base: str
    """Commit id of the branch that it is to go into."""
    changed_files: int


class GitHubPulls(GitHubIssues):
    """The pull requests of one repository, and the comments on them and on issues."""

    def pull(self, number: int) -> Pull | None:
        """A pull request; None when there is none of that number.

        Raises:
            PublishError: GitHub can't be used.
        """

        def read() -> tuple[Pull | None]:
            try:
                _, data = self._send("GET", f"{self._base()}/pulls/{number}")
            except RefusedWithStatusError as refused:
                if refused.status == 404:
                    return (None,)
                raise
            found = checked(_Pull.model_validate, data)
            return (
                Pull(
                    number=found.number,
                    state=found.state,
                    author=found.user.login if found.user else "",
                    body=found.body or "",
                    labels=tuple(label.name for label in found.labels),
                    locked=found.locked,
                    head=found.head.sha,
                    base=found.base.sha,
                    changed_files=found.changed_files,
                ),
            )

        (found,) = self._patience.until_done(f"reading pull request #{number}", read)
        return found

    def changed_files(self, number: int) -> tuple[ChangedFile, ...]:
        """The files that a pull request changes, at most `MOST_FILES`."""
        pages = self._pages(f"/pulls/{number}/files", {})
        return tuple(
            ChangedFile(path=f.filename, status=f.status, previous_path=f.previous_filename)
            for page in pages
            for f in checked(_FILES.validate_python, page)
        )

    def branched_at(self, pull: Pull) -> str:
        """The commit from which the pull request's branch left the other one."""

        def read() -> str:
            path = f"{self._base()}/compare/{pull.base}...{pull.head}"
            _, data = self._send("GET", path, parameters={"per_page": 1})
            return checked(_Comparison.model_validate, data).merge_base_commit.sha

        return self._patience.until_done(f"comparing pull request #{pull.number}", read)

    def text(self, path: str, commit: str) -> str | None:
        """A text file at a commit, also one of a fork's pull request; None when it is not there.

        Raises:
            SourceError: it is too large, no file or no UTF-8.
        """

        def read() -> tuple[_Content | None]:
            try:
                _, data = self._send(
                    "GET",
                    f"{self._base()}/contents/{quote(path)}",
                    parameters={"ref": commit},
                )
            except RefusedWithStatusError as refused:
                if refused.status == 404:
                    return (None,)
                raise
            # The answer for a folder is a list.
            return (checked(_Content.model_validate, data) if isinstance(data, dict) else _NO_FILE,)

        (found,) = self._patience.until_done(f"reading {path}", read)
        if found is None:
            return None
        if found.type != "file":
            raise SourceError("it is no file")
        if found.encoding != "base64":
            raise SourceError(f"it is larger than {LARGEST_FILE} bytes")
        try:
            return base64.b64decode(found.content).decode("utf-8")
        except ValueError as error:
            raise SourceError("it is not UTF-8") from error

    def posted(self, number: int) -> tuple[PostedComment, ...]:
        pages = self._pages(f"/issues/{number}/comments", {})
        found = [_posted(c) for page in pages for c in checked(_COMMENTS.validate_python, page)]
        return tuple(sorted(found, key=lambda comment: comment.id))

    def post(self, number: int, body: str, recognise: RecognisePosted) -> PostedComment:
        def look() -> PostedComment | None:
            return next((c for c in self.posted(number) if recognise(c)), None)

        def act() -> PostedComment:
            path = f"{self._base()}/issues/{number}/comments"
            _, data = self._send("POST", path, payload={"body": body})
            return _posted(checked(_Comment.model_validate, data))

        return self._patience.until_done(f"commenting on #{number}", act, look)

    def rewrite(self, comment: int, body: str) -> None:
        self._change("PATCH", comment, {"body": body})

    def remove(self, comment: int) -> None:
        try:
            self._change("DELETE", comment, None)
        except RefusedWithStatusError as refused:
            if refused.status != 404:
                raise

    def _change(self, verb: str, comment: int, payload: dict[str, Any] | None) -> None:
        def act() -> bool:
            path = f"{self._base()}/issues/comments/{comment}"
            self._send(verb, path, payload=payload)
            return True

        self._patience.until_done(f"writing comment {comment}", act)


_NO_FILE = _Content(type="dir")


def _posted(comment: _Comment) -> PostedComment:
    author = comment.user.login if comment.user else ""
    return PostedComment(id=comment.id, author=author, body=comment.body)
