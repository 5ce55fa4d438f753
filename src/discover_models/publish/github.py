"""Issues on GitHub, through PyGithub, and a dry run of them that only reads.

PyGithub repeats a POST after any 5xx, which can open an issue twice, and sleeps by itself. So its
own repetition and pacing are off and `Patience` does both; PyGithub sends, signs, follows
redirects and tells errors apart.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast
from urllib.parse import quote

import requests
from github import Auth, Github, GithubException
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from discover_models.publish.issues import (
    Backend,
    BodyEdit,
    Edit,
    FoundComment,
    FoundIssue,
    NewIssue,
    PublishError,
    Recognise,
    RecogniseComment,
    RefusedError,
    Rewrite,
    State,
    StateReason,
)
from discover_models.publish.waiting import LostError, Patience, Timing, told_to_wait

_T = TypeVar("_T")

API_VERSION = "2022-11-28"
PUBLIC_API = "https://api.github.com"
PER_PAGE = 100
TIMEOUT_SECONDS = 30

_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_GONE = (404, 410)


class _User(BaseModel):
    login: str


class _Label(BaseModel):
    name: str | None = None


class _Issue(BaseModel):
    """What is read of an issue; anything else in the answer is of no interest."""

    number: int
    title: str
    state: State
    created_at: datetime
    repository_url: str
    user: _User | None = None
    body: str | None = None
    state_reason: StateReason | None = None
    closed_by: _User | None = None
    labels: tuple[_Label | str, ...] = ()
    locked: bool = False
    pull_request: dict[str, Any] | None = None


class _Comment(BaseModel):
    user: _User | None = None
    body: str = ""


class _Repository(BaseModel):
    full_name: str
    archived: bool = False
    has_issues: bool = True


class _Permission(BaseModel):
    permission: str


class _Editor(BaseModel):
    kind: str = Field(alias="__typename")
    login: str


class _BodyEdit(BaseModel):
    edited_at: datetime = Field(alias="editedAt")
    editor: _Editor | None = None


class _More(BaseModel):
    has_next: bool = Field(alias="hasNextPage")
    end: str | None = Field(alias="endCursor", default=None)


class _BodyEdits(BaseModel):
    """A page of the edits of a body; an issue that was never edited has none."""

    nodes: tuple[_BodyEdit, ...] = ()
    more: _More = Field(alias="pageInfo")


class _Content(BaseModel):
    content: str
    encoding: Literal["base64"]


_EDITS_QUERY = """
query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      userContentEdits(first: 100, after: $after) {
        nodes { editedAt editor { __typename login } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
}
"""
_ISSUES = TypeAdapter(tuple[_Issue, ...])
_COMMENTS = TypeAdapter(tuple[_Comment, ...])


class GitHubIssues:
    """The issues of one repository on GitHub; see `Backend` for what each method does."""

    def __init__(
        self, repository: str, token: str, timing: Timing, *, api_url: str = PUBLIC_API
    ) -> None:
        """`token` may be empty for reading a public repository."""
        if not _REPOSITORY.fullmatch(repository):
            raise PublishError(f"{repository!r} is not OWNER/NAME of a repository.")
        self._repository = repository
        self._patience = Patience(timing)
        self._github = Github(
            auth=Auth.Token(token) if token else None,
            base_url=api_url.rstrip("/"),
            timeout=TIMEOUT_SECONDS,
            user_agent="discover-models",
            retry=None,
            seconds_between_requests=None,
            seconds_between_writes=None,
            api_version=API_VERSION,
        )
        self._path = ""
        self.requests = 0
        """Requests sent so far."""

    def close(self) -> None:
        self._github.close()

    def issues(self) -> tuple[FoundIssue, ...]:
        return tuple(i for i in self.everything() if not i.is_pull)

    def everything(self) -> tuple[FoundIssue, ...]:
        found: list[_Issue] = []
        query = {"state": "all", "sort": "created", "direction": "asc"}
        for page in self._pages("/issues", query):
            found += checked(_ISSUES.validate_python, page)
        return tuple(map(_found, found))

    def login(self) -> str:
        """The account that the token is of; empty for an app's token, which has none."""

        def read() -> str:
            try:
                _, data = self._send("GET", "/user")
            except RefusedWithStatusError as refused:
                if refused.status in (403, 404):
                    return ""
                raise
            return checked(_User.model_validate, data).login

        return self._patience.until_done("asking whose token it is", read)

    def may_write(self, login: str) -> bool:
        def read() -> bool:
            path = f"{self._base()}/collaborators/{quote(login)}/permission"
            try:
                _, data = self._send("GET", path)
            except RefusedWithStatusError as refused:
                if refused.status == 404:
                    return False
                raise
            return checked(_Permission.model_validate, data).permission in ("admin", "write")

        return self._patience.until_done("reading an account's permission", read)

    def edits(self, number: int) -> tuple[BodyEdit, ...]:
        found: list[_BodyEdit] = []
        after: str | None = None
        while True:
            page = self._edits_page(number, after)
            found += page.nodes
            if not page.more.has_next:
                return tuple(map(_edit, found))
            after = page.more.end

    def _edits_page(self, number: int, after: str | None) -> _BodyEdits:
        """GitHub's REST API has no record of edits, its GraphQL API has."""
        owner, _, name = self._base().removeprefix("/repos/").partition("/")
        variables = {"owner": owner, "name": name, "number": number, "after": after}

        def read() -> _BodyEdits:
            query = {"query": _EDITS_QUERY, "variables": variables}
            _, data = self._send("POST", self._github.requester.graphql_url, payload=query)
            try:
                found: Any = data["data"]["repository"]["issue"]["userContentEdits"]
            except (KeyError, TypeError):
                raise RefusedError(f"GitHub does not say who edited issue #{number}") from None
            return checked(_BodyEdits.model_validate, found)

        return self._patience.until_done("reading who edited an issue", read)

    def issue(self, number: int) -> FoundIssue | None:
        def read() -> tuple[FoundIssue | None]:
            try:
                _, data = self._send("GET", f"{self._base()}/issues/{number}")
            except RefusedWithStatusError as refused:
                if refused.status in _GONE:
                    return (None,)
                raise
            issue = checked(_Issue.model_validate, data)
            moved = not issue.repository_url.casefold().endswith(self._base().casefold())
            return (None if moved or issue.pull_request else _found(issue),)

        (found,) = self._patience.until_done(f"reading issue #{number}", read)
        return found

    def create(self, new: NewIssue, recognise: Recognise) -> FoundIssue:
        def look() -> FoundIssue | None:
            return next((i for i in self._newest() if recognise(i)), None)

        def act() -> FoundIssue:
            payload = {"title": new.title, "body": new.body, "labels": list(new.labels)}
            _, data = self._send("POST", f"{self._base()}/issues", payload=payload)
            return _found(checked(_Issue.model_validate, data))

        return self._patience.until_done("opening an issue", act, look)

    def edit(self, number: int, rewrite: Rewrite) -> FoundIssue | None:
        def act() -> tuple[FoundIssue | None]:
            fresh = self.issue(number)
            edit = rewrite(fresh) if fresh is not None else None
            if edit is None or edit.empty:
                return (fresh,)
            payload = edit.model_dump(exclude_none=True)
            _, data = self._send("PATCH", f"{self._base()}/issues/{number}", payload=payload)
            return (_found(checked(_Issue.model_validate, data)),)

        (found,) = self._patience.until_done(f"writing issue #{number}", act)
        return found

    def comment(self, number: int, body: str, recognise: RecogniseComment) -> None:
        path = f"/issues/{number}/comments"

        def look() -> bool | None:
            comments = [
                FoundComment(author=c.user.login if c.user else "", body=c.body)
                for page in self._pages(path, {})
                for c in checked(_COMMENTS.validate_python, page)
            ]
            return True if any(recognise(c) for c in comments) else None

        def act() -> bool:
            self._send("POST", f"{self._base()}{path}", payload={"body": body})
            return True

        self._patience.until_done(f"commenting on issue #{number}", act, look)

    def file(self, path: str) -> bytes | None:
        """A file on the repository's default branch; None when there is none."""

        def read() -> tuple[bytes | None]:
            try:
                _, data = self._send("GET", f"{self._base()}/contents/{quote(path)}")
            except RefusedWithStatusError as refused:
                if refused.status == 404:
                    return (None,)
                raise
            content = checked(_Content.model_validate, data).content
            return (base64.b64decode(content),)

        (found,) = self._patience.until_done(f"reading {path}", read)
        return found

    def _newest(self) -> tuple[FoundIssue, ...]:
        """The newest issues, as many as fit one page."""
        query = {"state": "all", "sort": "created", "direction": "desc", "per_page": PER_PAGE}

        def read() -> tuple[FoundIssue, ...]:
            _, data = self._send("GET", f"{self._base()}/issues", parameters=query)
            issues = checked(_ISSUES.validate_python, data)
            return tuple(_found(i) for i in issues if i.pull_request is None)

        return self._patience.until_done("listing issues", read)

    def _pages(self, path: str, query: Mapping[str, str]) -> list[Any]:
        """All pages of a list."""
        pages: list[Any] = []
        while True:
            parameters = {**query, "per_page": PER_PAGE, "page": len(pages) + 1}

            def read(parameters: Mapping[str, Any] = parameters) -> tuple[bool, list[Any]]:
                headers, data = self._send("GET", self._base() + path, parameters=parameters)
                if not isinstance(data, list):
                    raise LostError("the answer is not a list")
                return 'rel="next"' in headers.get("link", ""), cast("list[Any]", data)

            more, page = self._patience.until_done("listing " + path.split("/")[-1], read)
            pages.append(page)
            if not more:
                return pages

    def _base(self) -> str:
        """The repository's path under the name it has now; a POST to a former one fails."""
        if not self._path:

            def read() -> _Repository:
                _, data = self._send("GET", f"/repos/{self._repository}")
                return checked(_Repository.model_validate, data)

            repository = self._patience.until_done("reading the repository", read)
            if repository.archived or not repository.has_issues:
                why = "archived" if repository.archived else "without issues"
                raise PublishError(f"The repository {repository.full_name} is {why}.")
            self._path = f"/repos/{repository.full_name}"
        return self._path

    def _send(
        self,
        verb: str,
        path: str,
        *,
        parameters: Mapping[str, Any] | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, str], Any]:
        """One request and its answer, decoded but not checked."""
        if verb != "GET" and path.startswith("/"):
            self._patience.pace()
        self.requests += 1
        # An error's own text may hold headers or addresses, so none is passed on or chained.
        try:
            return self._github.requester.requestJsonAndCheck(
                verb, path, parameters=dict(parameters or {}), input=payload
            )
        except GithubException as error:
            raise self._explained(verb, path, error) from None
        except requests.RequestException as error:
            raise LostError(f"no answer: {type(error).__name__}") from None
        except ValueError:
            raise LostError("the answer is not JSON") from None
        except RuntimeError:  # PyGithub leaves a redirect to another host, or to itself, that way
            raise LostError("the answer leads elsewhere") from None

    def _explained(self, verb: str, path: str, error: GithubException) -> Exception:
        message = _message(error)
        headers = {k.lower(): str(v) for k, v in (error.headers or {}).items()}
        turned_away = told_to_wait(error.status, headers, message, self._patience.now())
        if turned_away is not None:
            return turned_away
        if error.status >= 500 or error.status < 400:
            return LostError(f"status {error.status}")
        if error.status == 401:
            return PublishError("GitHub does not accept the token: is it expired or mistyped?")
        return RefusedWithStatusError(f"{verb} {path}: {error.status} {message}", error.status)


class RefusedWithStatusError(RefusedError):
    """A refusal with the status that GitHub answered with."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _edit(edit: _BodyEdit) -> BodyEdit:
    editor = edit.editor
    return BodyEdit(
        editor=editor.login if editor else "",
        person=editor is not None and editor.kind == "User",
        at=edit.edited_at.astimezone(UTC),
    )


@dataclass
class DryRun:
    """A backend that reads from another one and keeps what is written to itself."""

    real: Backend
    login: str
    clock: Callable[[], datetime]
    _issues: dict[int, FoundIssue] = field(default_factory=dict[int, FoundIssue])
    _comments: dict[int, list[FoundComment]] = field(default_factory=dict[int, list[FoundComment]])

    def issues(self) -> tuple[FoundIssue, ...]:
        return tuple(i for i in self.everything() if not i.is_pull)

    def everything(self) -> tuple[FoundIssue, ...]:
        merged = {i.number: i for i in self.real.everything()} | self._issues
        return tuple(merged[number] for number in sorted(merged))

    def edits(self, number: int) -> tuple[BodyEdit, ...]:
        return self.real.edits(number)

    def may_write(self, login: str) -> bool:
        return self.real.may_write(login)

    def issue(self, number: int) -> FoundIssue | None:
        return self._issues.get(number) or self.real.issue(number)

    def create(self, new: NewIssue, recognise: Recognise) -> FoundIssue:
        existing = self.everything()
        for issue in reversed(existing):
            if recognise(issue):
                return issue
        number = max((i.number for i in existing), default=0) + 1
        self._issues[number] = FoundIssue(
            number=number,
            author=self.login,
            title=new.title,
            body=new.body,
            state="open",
            labels=new.labels,
            created_at=self.clock(),
        )
        return self._issues[number]

    def edit(self, number: int, rewrite: Rewrite) -> FoundIssue | None:
        fresh = self.issue(number)
        edit = rewrite(fresh) if fresh is not None else None
        if fresh is None or edit is None or edit.empty:
            return fresh
        self._issues[number] = self._edited(fresh, edit)
        return self._issues[number]

    def comment(self, number: int, body: str, recognise: RecogniseComment) -> None:
        comments = self._comments.setdefault(number, [])
        if not any(recognise(c) for c in comments):
            comments.append(FoundComment(author=self.login, body=body))

    def _edited(self, issue: FoundIssue, edit: Edit) -> FoundIssue:
        values = edit.model_dump(exclude_none=True)
        if edit.state is not None:
            values["closed_by"] = self.login if edit.state == "closed" else None
        return issue.model_copy(update=values)


def checked(validate: Callable[[Any], _T], data: Any) -> _T:
    """The answer as a value; one that is something else was garbled on its way."""
    try:
        return validate(data)
    except ValidationError:
        raise LostError("the answer is not what was asked for") from None


def _found(issue: _Issue) -> FoundIssue:
    labels = (label if isinstance(label, str) else label.name for label in issue.labels)
    return FoundIssue(
        number=issue.number,
        author=issue.user.login if issue.user else "",
        title=issue.title,
        body=issue.body or "",
        state=issue.state,
        state_reason=issue.state_reason,
        closed_by=issue.closed_by.login if issue.closed_by else None,
        labels=tuple(name for name in labels if name),
        locked=issue.locked,
        created_at=issue.created_at.astimezone(UTC),
        is_pull=issue.pull_request is not None,
    )


def _message(error: GithubException) -> str:
    """What GitHub says of an error, on one line of bounded length."""
    data: object = error.data
    if not isinstance(data, dict):
        return ""
    values = cast("dict[str, Any]", data)
    details = map(_detail, cast("list[Any]", values.get("errors") or []))
    return " ".join(" ".join((str(values.get("message", "")), *details)).split())[:300]


def _detail(error: object) -> str:
    """One of the errors of a refusal: text, or an object that need not have a message."""
    if not isinstance(error, dict):
        return str(error)
    values = cast("dict[str, Any]", error)
    return str(values.get("message") or f"{values.get('field', '')}: {values.get('code', '')}")
