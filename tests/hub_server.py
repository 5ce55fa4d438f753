"""A local stand-in for the Hugging Face Hub, for driving the real client library.

It answers what the client asks for a model (``/api/models…`` and ``/{id}/resolve/…``), records
every request, and can be told to fail a number of times with any status and headers.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

HANG_SECONDS = 0.5


@dataclass
class Repository:
    """One model repository at one commit."""

    files: dict[str, bytes]
    sha: str = "a" * 40
    gated: bool = False
    """Listed for everybody, but its files are refused."""
    claimed_sizes: dict[str, int] = field(default_factory=dict[str, int])
    """Sizes that are told in place of the real ones."""
    redirected_to: str = ""
    """Base URL of the host that has the files."""
    downloads: int | None = None
    """In the last 30 days."""


@dataclass
class Fault:
    """An answer given in place of the right one; `skip` requests pass first."""

    path: str
    """Part of the request's path."""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict[str, str])
    times: int = 1
    how: Literal["answer", "hang up", "hang", "truncate"] = "answer"
    """`truncate` cuts the right answer in half; `hang` gives none for `HANG_SECONDS`."""
    body: bytes = b""
    skip: int = 0


@dataclass
class Request:
    method: str
    path: str
    authorization: str | None


class HubServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.datasets: dict[tuple[str, str], Repository] = {}
        """By id and revision, such as ``refs/pr/7``."""
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.bad_tokens: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self, path: str) -> Fault | None:
        """What goes wrong with a request for this path."""
        for fault in self.faults:
            if fault.path not in path:
                continue
            if fault.skip > 0:
                fault.skip -= 1
            elif fault.times > 0:
                fault.times -= 1
                return fault
        return None

    def paths(self) -> list[str]:
        """What was asked, as ``GET /path`` without the query."""
        return [f"{r.method} {urlsplit(r.path).path}" for r in self.requests]


@contextmanager
def running() -> Generator[HubServer]:
    """A server on a free port of this machine, until the block ends."""
    server = HubServer()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> HubServer:
        assert isinstance(self.server, HubServer)
        return self.server

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""

    def _serve(self) -> None:
        token = self.headers.get("Authorization")
        self.hub.requests.append(Request(self.command, self.path, token))
        fault = self.hub.next_fault(self.path)
        self._half = fault is not None and fault.how == "truncate"
        if fault is not None and not self._half:
            return self._fail(fault)
        if token and token.removeprefix("Bearer ") in self.hub.bad_tokens:
            headers = {"X-Error-Message": "Invalid credentials in Authorization header"}
            return self._send(401, headers)
        parts = urlsplit(self.path)
        if parts.path == "/api/models":
            return self._search(parse_qs(parts.query))
        if parts.path.startswith("/api/datasets/"):
            return self._paths_info(parts.path.removeprefix("/api/datasets/"))
        if parts.path.startswith("/datasets/"):
            return self._dataset_file(parts.path.removeprefix("/datasets/"))
        if parts.path.startswith("/api/models/"):
            return self._info(parts.path.removeprefix("/api/models/"))
        return self._resolve(unquote(parts.path).removeprefix("/"))

    def _fail(self, fault: Fault) -> None:
        if fault.how == "answer":
            return self._send(fault.status, fault.headers, fault.body)
        if fault.how == "hang":
            time.sleep(HANG_SECONDS)
        self.close_connection = True
        return None

    def _search(self, query: dict[str, list[str]]) -> None:
        wanted = query["search"][0].lower()
        found = [{"id": i, "tags": []} for i in self.hub.repositories if wanted in i.lower()]
        self._send_json(found[: int(query["limit"][0])])

    def _info(self, path: str) -> None:
        repo_id, _, revision = path.partition("/revision/")
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            return self._send(401, {"X-Error-Code": "RepoNotFound"})
        if revision not in ("", "main", repository.sha):
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        sizes = {n: len(c) for n, c in repository.files.items()} | repository.claimed_sizes
        self._send_json(
            {
                "id": repo_id,
                "sha": repository.sha,
                "private": False,
                "gated": "manual" if repository.gated else False,
                "disabled": False,
                "tags": [],
                "downloads": repository.downloads,
                "siblings": [{"rfilename": n, "size": s} for n, s in sizes.items()],
            }
        )

    def _paths_info(self, path: str) -> None:
        repo_id, _, revision = path.partition("/paths-info/")
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        found = self.hub.datasets.get((repo_id, unquote(revision)))
        if found is None:
            return self._send(404, {"X-Error-Code": "RevisionNotFound"})
        asked = parse_qs(content)["paths"]
        sizes = {name: len(text) for name, text in found.files.items()} | found.claimed_sizes
        entries = [
            {"type": "file", "path": name, "size": sizes[name], "oid": "0" * 40}
            for name in asked
            if name in sizes
        ]
        self._send_json(entries)

    def _dataset_file(self, path: str) -> None:
        repo_id, _, rest = path.partition("/resolve/")
        revision, _, name = rest.partition("/")
        found = self.hub.datasets.get((repo_id, unquote(revision)))
        content = found.files.get(unquote(name)) if found else None
        if content is None:
            return self._send(404, {"X-Error-Code": "EntryNotFound"})
        self._send(200, {"X-Repo-Commit": "a" * 40, "ETag": '"x"'}, content)

    def _resolve(self, path: str) -> None:
        repo_id, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        repository = self.hub.repositories.get(repo_id)
        if repository is None:
            return self._send(401, {"X-Error-Code": "RepoNotFound"})
        if repository.gated:
            return self._send(401, {"X-Error-Code": "GatedRepo"})
        content = repository.files.get(name)
        if content is None:
            return self._send(404, {"X-Error-Code": "EntryNotFound"})
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        headers = {"X-Repo-Commit": repository.sha, "ETag": etag}
        if repository.redirected_to:
            linked = {"X-Linked-Size": str(len(content)), "X-Linked-ETag": etag}
            location = f"{repository.redirected_to}/{path}"
            return self._send(302, headers | linked | {"Location": location})
        return self._send(200, headers, content)

    def _send_json(self, value: object) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if self._half else body)
        self.close_connection = self._half
