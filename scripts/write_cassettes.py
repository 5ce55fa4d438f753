"""Write the cassettes of tests/cassettes from GitHub's own description of its API.

    npm pack @octokit/openapi@23.0.2 && tar -xzf octokit-openapi-23.0.2.tgz
    python scripts/write_cassettes.py package/generated/api.github.com.json

Each answer is the description's example of that operation with the fields that matter set, each
error one of its error schemas. tests/cassettes/README.md says what is from where.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import yaml

FOLDER = Path(__file__).parents[1] / "tests" / "cassettes"
API = "https://api.github.com"
REPOSITORY = "/repos/octocat/Hello-World"
BY_ID = "/repositories/1296269"
"""The same repository as its redirects and `Link` headers name it."""
ISSUES = f"{REPOSITORY}/issues"
DOCS = "https://docs.github.com/rest"
RESET = "1000000300"
NEW = {"title": "Found a bug", "body": "I'm having a problem with this.", "labels": ["bug"]}
ALL = {"state": "all", "sort": "created", "direction": "asc", "per_page": "100"}
NEWEST = {**ALL, "direction": "desc"}
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "private, max-age=60, s-maxage=60",
    "ETag": 'W/"644b5b0155e6404a9cc4bd9d8b1ae730"',
    "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept",
    "X-GitHub-Media-Type": "github.v3; format=json",
    "x-github-api-version-selected": "2022-11-28",
    "X-GitHub-Request-Id": "7D20:1E23:5F0F4B:61C5B3:66F1C3A2",
    "X-RateLimit-Limit": "5000",
    "X-RateLimit-Remaining": "4999",
    "X-RateLimit-Reset": RESET,
    "X-RateLimit-Resource": "core",
    "X-RateLimit-Used": "1",
    "Server": "github.com",
}
REASONS = {
    200: "OK",
    201: "Created",
    301: "Moved Permanently",
    304: "Not Modified",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    410: "Gone",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}


@dataclass(frozen=True)
class Exchange:
    """One request and what is answered; `sent` and `answer` are JSON values."""

    method: str
    path: str
    status: int
    answer: Any
    sent: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None

    def entry(self) -> dict[str, Any]:
        """As vcrpy keeps it."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        headers = {**HEADERS, **(self.headers or {})}
        return {
            "request": {
                "method": self.method,
                "uri": f"{API}{self.path}{query}",
                "body": json.dumps(self.sent) if self.sent is not None else None,
                "headers": {},
            },
            "response": {
                "status": {"code": self.status, "message": REASONS[self.status]},
                "headers": {name: [value] for name, value in headers.items()},
                "body": {"string": json.dumps(self.answer) if self.answer is not None else ""},
            },
        }


def get(path: str, answer: Any, status: int = 200, **more: Any) -> Exchange:
    return Exchange("GET", path, status, answer, **more)


def error(message: str, **more: Any) -> dict[str, Any]:
    """The schema "basic-error", or "validation-error" with `errors`."""
    return {"message": message, "documentation_url": DOCS, **more}


class Examples:
    """The examples of the description, with fields set."""

    def __init__(self, description: dict[str, Any]) -> None:
        self._examples: dict[str, Any] = description["components"]["examples"]

    def of(self, name: str, **fields: Any) -> dict[str, Any]:
        return {**cast("dict[str, Any]", self._examples[name]["value"]), **fields}

    def user(self, login: str, kind: str) -> dict[str, Any]:
        return {**self.of("issue")["user"], "login": login, "type": kind}

    def issue(self, number: int, **fields: Any) -> dict[str, Any]:
        """An issue that the Actions bot opened; the example itself is a pull request."""
        found = self.of("issue", number=number, locked=False, active_lock_reason=None)
        del found["pull_request"]
        bot = self.user("github-actions[bot]", "Bot")
        app = {"user": bot, "closed_by": None, "performed_via_github_app": None}
        nobody: dict[str, Any] = {"assignee": None, "assignees": [], "milestone": None}
        urls = ("url", "labels_url", "comments_url", "events_url", "html_url")
        moved = {key: found[key].replace("1347", str(number)) for key in urls}
        return {**found, **app, **nobody, **moved, **fields}

    def pull(self, number: int) -> dict[str, Any]:
        return {**self.of("issue"), "number": number}

    def repository(self, **fields: Any) -> dict[str, Any]:
        # The example lacks `language`, which the schema requires.
        found = self.of("full-repository-default-response", language=None, **fields)
        others = ("template_repository", "parent", "source", "organization")
        return {name: value for name, value in found.items() if name not in others}


def cassettes(given: Examples) -> dict[str, Iterable[Exchange]]:
    """All cassettes by name."""
    repository = get(REPOSITORY, given.repository(archived=False))
    looked = get(ISSUES, [], query=NEWEST)
    opened = Exchange("POST", ISSUES, 201, given.issue(1347), sent=NEW)

    def page(number: int) -> str:
        return f"<{API}{BY_ID}/issues?{urlencode({**ALL, 'page': number})}>"

    first, last = f'{page(2)}; rel="next", {page(2)}; rel="last"', f'{page(1)}; rel="prev"'
    moved = error("Moved Permanently", url=f"{API}{BY_ID}")
    now = get(BY_ID, given.repository(archived=False, full_name="octocat/Hello-Moon"))
    moon = ISSUES.replace("World", "Moon")
    elsewhere = given.issue(9, repository_url=f"{API}/repos/octocat/Spoon-Knife")
    custom = {"resource": "Issue", "code": "custom", "field": "title"}
    refused = error(
        "Validation Failed",
        errors=[{**custom, "message": "title is too long (maximum is 256 characters)"}],
    )
    invalid = error(
        "Validation Failed",
        errors=[{"value": "nobody", "resource": "Issue", "field": "assignees", "code": "invalid"}],
    )
    hourly = error("API rate limit exceeded for installation ID 1.")
    secondary = error(
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    )
    used_up = {"X-RateLimit-Remaining": "0", "X-RateLimit-Used": "5000"}
    integration = error("Resource not accessible by integration")
    closed = given.issue(
        1347,
        state="closed",
        state_reason="duplicate",
        closed_at="2026-11-23T06:00:00Z",
        closed_by=given.user("github-actions[bot]", "Bot"),
    )
    closing = {"state": "closed", "state_reason": "duplicate"}
    read = get(f"{ISSUES}/1347", given.issue(1347))
    said = {"body": "Said"}
    comments = get(f"{ISSUES}/1347/comments", [], query={"per_page": "100", "page": "1"})
    locked = error("Unable to create comment because issue is locked.")
    permission = "response-if-user-has-admin-permissions"
    role = f"repository-collaborator-permission-{permission}"

    def rights(login: str, permission: str, role_name: str) -> Exchange:
        # The example lacks the user's `role_name`, which the schema requires.
        user = {**given.user(login, "User"), "role_name": role_name}
        answer = given.of(role, permission=permission, role_name=role_name, user=user)
        return get(f"{REPOSITORY}/collaborators/{login}/permission", answer)

    return {
        "two_pages": [
            repository,
            get(
                ISSUES,
                [given.issue(1), given.pull(2)],
                query={**ALL, "page": "1"},
                headers={"Link": first},
            ),
            get(ISSUES, [given.issue(3)], query={**ALL, "page": "2"}, headers={"Link": last}),
        ],
        "renamed_repository": [
            get(REPOSITORY, moved, 301, headers={"Location": f"{API}{BY_ID}"}),
            now,
            get(moon, [], query=NEWEST),
            Exchange("POST", moon, 201, given.issue(1347), sent=NEW),
        ],
        "transferred_issue": [
            repository,
            get(f"{ISSUES}/1347", moved, 301, headers={"Location": f"{API}{BY_ID}/issues/9"}),
            get(f"{BY_ID}/issues/9", elsewhere),
        ],
        "deleted_issue": [
            repository,
            get(f"{ISSUES}/1347", error("This issue was deleted"), 410),
            get(f"{ISSUES}/1348", error("Not Found", status="404"), 404),
        ],
        "pull_request_as_issue": [repository, get(f"{ISSUES}/1347", given.pull(1347))],
        "refused_title": [repository, looked, Exchange("POST", ISSUES, 422, refused, sent=NEW)],
        "refused_field": [repository, looked, Exchange("POST", ISSUES, 422, invalid, sent=NEW)],
        "issues_switched_off": [
            repository,
            looked,
            Exchange("POST", ISSUES, 410, error("Issues are disabled for this repo"), sent=NEW),
        ],
        "archived_repository": [get(REPOSITORY, given.repository(archived=True))],
        "hourly_limit": [
            repository,
            looked,
            Exchange("POST", ISSUES, 403, hourly, sent=NEW, headers=used_up),
            looked,
            opened,
        ],
        "secondary_limit": [
            repository,
            looked,
            Exchange("POST", ISSUES, 403, secondary, sent=NEW, headers={"Retry-After": "90"}),
            looked,
            Exchange("POST", ISSUES, 429, secondary, sent=NEW),
            looked,
            opened,
        ],
        "not_modified": [
            repository,
            Exchange("GET", f"{ISSUES}/1347", 304, None),
            read,
        ],
        "bad_credentials": [get(REPOSITORY, error("Bad credentials", status="401"), 401)],
        "token_of_an_app": [get("/user", integration, 403)],
        "token_without_the_right": [
            repository,
            looked,
            Exchange("POST", ISSUES, 403, integration, sent=NEW),
        ],
        "closed_as_duplicate": [
            repository,
            read,
            Exchange("PATCH", f"{ISSUES}/1347", 200, closed, sent=closing),
        ],
        "labels_dropped": [
            repository,
            looked,
            Exchange("POST", ISSUES, 201, given.issue(1347, labels=[]), sent=NEW),
        ],
        "locked_issue": [
            repository,
            comments,
            Exchange("POST", f"{ISSUES}/1347/comments", 403, locked, sent=said),
        ],
        "permissions": [
            repository,
            rights("admin", "admin", "admin"),
            rights("maintainer", "write", "maintain"),
            rights("triager", "read", "triage"),
            rights("stranger", "none", ""),
            get(
                f"{REPOSITORY}/collaborators/nobody/permission",
                error("nobody is not a user", status="404"),
                404,
            ),
        ],
    }


def main() -> None:
    """Write the folder from the file named on the command line."""
    description = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for name, exchanges in cassettes(Examples(description)).items():
        content = {"version": 1, "interactions": [e.entry() for e in exchanges]}
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
        (FOLDER / f"{name}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
