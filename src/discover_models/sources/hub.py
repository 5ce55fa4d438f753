"""Fetching configurations from the Hugging Face Hub, within its quotas."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import TypeVar
from urllib.parse import urlencode

import httpx2  # what huggingface_hub speaks HTTP with: it lets its transport errors through
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import (
    build_hf_headers,  # pyright: ignore[reportUnknownVariableType]  # it takes a bare `dict`
    get_session,
    hf_raise_for_status,
    parse_ratelimit_headers,
)

from discover_models.errors import ConfigError, UsageError
from discover_models.sources.config_defaults import Json
from discover_models.sources.config_file import (
    LARGEST_FILE,
    ConfigFile,
    check_repo_id,
    parse_json,
    read_json,
)

T = TypeVar("T")

WORKERS = 4
TIMEOUT = 30.0
ATTEMPTS = 5
PATIENCE = 330.0
"""Seconds that one call may wait in all: the Hub counts requests in windows of five minutes."""

_FILES = ("config.json", "hf_quant_config.json", "params.json")
_COMMIT = re.compile("[0-9a-f]{40}")
_NETWORK = (httpx2.TransportError, ConnectionError, TimeoutError)
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


class HubClient:
    """The Hub, asked for configurations only; nothing of a repository is ever executed."""

    def __init__(
        self,
        *,
        cache_dir: Path,
        endpoint: str | None = None,
        token: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`endpoint` None means ``HF_ENDPOINT`` or the public Hub; without `token` the requests
        are anonymous, whatever token is stored on this machine."""
        self._api = HfApi(endpoint=endpoint, token=token or False)
        self._headers = build_hf_headers(token=token or False)
        self._cache_dir = cache_dir
        self._sleep = sleep
        self._clock = clock
        self._lock = Lock()
        self._not_before = clock()

    def fetch(self, repo_id: str, revision: str | None = None) -> ConfigFile:
        """The configuration files of a repository at a revision (a branch, tag or commit).

        The commit is looked up once and recorded; files that the cache holds at that commit are
        not asked for again. Raises `ConfigError` with the reason ``gated``, ``not_found``,
        ``bad_token``, ``rate_limited``, ``network``, ``not_a_language_model``,
        ``no_configuration`` or ``malformed``, and `UsageError` for what is no ``ORG/MODEL``.
        """
        check_repo_id(repo_id)
        info = self._call(
            repo_id,
            lambda: _understood(
                lambda: self._api.model_info(
                    repo_id, revision=revision, files_metadata=True, timeout=TIMEOUT
                )
            ),
        )
        commit = info.sha or ""
        if not _COMMIT.fullmatch(commit):
            raise ConfigError(f"{repo_id}: the Hub names no commit.", reason="network")
        sizes = {s.rfilename: s.size for s in info.siblings or []}
        _check_files(repo_id, sizes)
        config, quant, params = (self._file(repo_id, commit, name, sizes) for name in _FILES)
        return ConfigFile(
            hf_repo_id=repo_id,
            revision=commit,
            origin="hub",
            config=config,
            quant=quant,
            params=params,
        )

    def fetch_many(
        self, repo_ids: Iterable[str], workers: int = WORKERS
    ) -> dict[str, ConfigFile | ConfigError]:
        """Several repositories at the same time: each one's files, or why not, in their order."""
        unique = list(dict.fromkeys(check_repo_id(repo_id) for repo_id in repo_ids))
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return dict(zip(unique, pool.map(self._fetch_or_error, unique), strict=True))

    def downloads_many(
        self, repo_ids: Iterable[str], workers: int = WORKERS
    ) -> dict[str, int | ConfigError]:
        """Downloads of several repositories in the last 30 days, or why they are not known."""
        unique = list(dict.fromkeys(repo_ids))
        with ThreadPoolExecutor(max_workers=workers) as pool:
            return dict(zip(unique, pool.map(self._downloads, unique), strict=True))

    def search(self, name: str, limit: int = 20) -> list[str]:
        """Ids of repositories whose name contains `name`, most downloaded first."""
        query = {"search": name, "sort": "downloads", "direction": "-1", "limit": str(limit)}
        url = f"{self._api.endpoint}/api/models?{urlencode(query)}"
        content = self._call(name, lambda: self._get(url))
        try:
            return [str(model["id"]) for model in json.loads(content)]
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"{url} gave no list of models.", reason="network") from error

    def dataset_sizes(self, repo_id: str, revision: str, paths: list[str]) -> dict[str, int]:
        """Those of the paths that a dataset has at a revision (such as ``refs/pr/5``), with sizes.

        Raises `ConfigError` with the reason, as `fetch` does.
        """
        check_repo_id(repo_id)
        found = self._call(
            f"{repo_id} at {revision}",
            lambda: _understood(
                lambda: self._api.get_paths_info(
                    repo_id, paths, repo_type="dataset", revision=revision
                )
            ),
        )
        return {item.path: item.size for item in found if isinstance(item, RepoFile)}

    def dataset_file(self, repo_id: str, revision: str, path: str) -> bytes:
        """A file of a dataset at a revision, as it is there now; it is not kept.

        At most one byte more than `LARGEST_FILE`. Raises as `fetch` does.
        """
        check_repo_id(repo_id)
        url = hf_hub_url(
            repo_id, path, repo_type="dataset", revision=revision, endpoint=self._api.endpoint
        )
        return self._call(f"{repo_id} at {revision}", lambda: self._get(url))

    def _downloads(self, repo_id: str) -> int | ConfigError:
        try:
            check_repo_id(repo_id)
            info = self._call(
                repo_id,
                lambda: _understood(
                    lambda: self._api.model_info(repo_id, expand=["downloads"], timeout=TIMEOUT)
                ),
            )
        except UsageError as error:
            return ConfigError(str(error), reason="malformed")
        except ConfigError as error:
            return error
        if info.downloads is None:
            return ConfigError(
                f"{repo_id}: the Hub does not count its downloads.", reason="network"
            )
        return info.downloads

    def _fetch_or_error(self, repo_id: str) -> ConfigFile | ConfigError:
        try:
            return self.fetch(repo_id)
        except ConfigError as error:
            return error

    def _file(
        self, repo_id: str, commit: str, name: str, sizes: dict[str, int | None]
    ) -> dict[str, Json] | None:
        if name not in sizes:
            return None
        if (sizes[name] or 0) > LARGEST_FILE:
            raise ConfigError(
                f"{repo_id}: {name} is larger than {LARGEST_FILE // 2**20} MB.", reason="malformed"
            )
        url = hf_hub_url(repo_id, name, revision=commit, endpoint=self._api.endpoint)
        cached = self._cache_dir / repo_id / commit / name
        if not cached.exists():
            content = self._call(repo_id, lambda: self._whole(url, sizes[name]))
            parse_json(content, url)
            self._call(repo_id, lambda: _write_whole(cached, content))
        return read_json(cached)

    def _whole(self, url: str, size: int | None) -> bytes:
        """The file of that size; what something on the way answers in its place is no file."""
        content = self._get(url)
        if size is not None and len(content) != size:
            raise ConnectionError(f"{url} gave {len(content)} bytes, not {size}")
        return content

    def _get(self, url: str) -> bytes:
        """At most one byte more than the largest file that is accepted.

        The client's own download waits by itself, for as long as it is told, and asks twice per
        file; both is in our hands here. Redirects to another host lose the token (httpx does it).
        """
        with get_session().stream(
            "GET", url, headers=self._headers, follow_redirects=True, timeout=TIMEOUT
        ) as answer:
            if answer.is_error:
                answer.read()
            hf_raise_for_status(answer)
            content = bytearray()
            for chunk in answer.iter_bytes():
                content += chunk
                if len(content) > LARGEST_FILE:
                    break
            return bytes(content)

    def _call(self, what: str, call: Callable[[], T]) -> T:
        """The call's result; it is repeated when the Hub or the network may do better later."""
        started = self._clock()
        for attempt in range(1, ATTEMPTS + 1):
            self._wait_until_allowed()
            try:
                return call()
            except (OSError, httpx2.TransportError) as error:  # the Hub's answers are OSErrors
                wait = _wait_asked_for(error, attempt)
                late = self._clock() - started + (wait or 0) > PATIENCE
                if wait is None or late or attempt == ATTEMPTS:
                    message, reason = _outcome(what, error)
                    raise ConfigError(message, reason=reason) from error
                self._postpone(wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_until_allowed(self) -> None:
        """Wait out what the Hub asked any of the threads for: the quota is shared."""
        with self._lock:
            wait = self._not_before - self._clock()
        if wait > 0:
            self._sleep(wait)

    def _postpone(self, wait: float) -> None:
        with self._lock:
            self._not_before = max(self._not_before, self._clock() + wait)


def _understood(call: Callable[[], T]) -> T:
    """The call's result; an answer that the client can't read is one that was lost on the way."""
    try:
        return call()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConnectionError("its answer can't be read") from error


def _write_whole(file: Path, content: bytes) -> None:
    """Under another name first: who reads the cache meanwhile sees the whole file or none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, delete=False) as half:
        half.write(content)
    Path(half.name).replace(file)


def _check_files(repo_id: str, sizes: dict[str, int | None]) -> None:
    if "config.json" in sizes or "params.json" in sizes:
        return
    if "model_index.json" in sizes:
        raise ConfigError(
            f"{repo_id} is a diffusion pipeline (model_index.json), not a language model.",
            reason="not_a_language_model",
        )
    raise ConfigError(f"{repo_id} has no config.json.", reason="no_configuration")


def _wait_asked_for(cause: Exception, attempt: int) -> float | None:
    """Seconds to wait before the next attempt; None when another one can't help."""
    if not isinstance(cause, HfHubHTTPError):
        passing = isinstance(cause, _NETWORK) and not isinstance(cause, OfflineModeIsEnabled)
        return float(2 ** (attempt - 1)) if passing else None
    if cause.response.status_code not in _TRANSIENT:
        return None
    headers = cause.response.headers
    retry_after = _seconds(headers.get("Retry-After", ""), headers.get("Date", ""))
    if retry_after is not None:
        return retry_after
    limit = parse_ratelimit_headers(headers)
    if limit is not None and limit.remaining == 0:
        return limit.reset_in_seconds + 1.0
    return float(2 ** (attempt - 1))


def _seconds(retry_after: str, date: str) -> float | None:
    """A ``Retry-After`` header: seconds, or a date to be seen from the answer's own date."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        span = parsedate_to_datetime(retry_after) - parsedate_to_datetime(date)
    except (ValueError, TypeError):  # no date, or one with and one without a time zone
        return None
    return max(0.0, span.total_seconds())


def _outcome(what: str, cause: Exception) -> tuple[str, str]:
    """A sentence for the user and the stable word for it."""
    if isinstance(cause, HfHubHTTPError):
        return _answered(what, cause)
    if isinstance(cause, _NETWORK):
        return f"{what}: the Hub could not be reached ({cause}).", "network"
    return f"{what}: the cache of configurations can't be used ({cause}).", "unreadable"


def _answered(what: str, cause: HfHubHTTPError) -> tuple[str, str]:
    status = cause.response.status_code
    # A gated repository's error is a kind of "not found": it must be asked for first.
    if isinstance(cause, GatedRepoError):
        page = f"https://huggingface.co/{what}"
        return f"{what} is gated: ask for access at {page} and set HF_TOKEN.", "gated"
    if isinstance(
        cause,
        RepositoryNotFoundError | RevisionNotFoundError | EntryNotFoundError | DisabledRepoError,
    ):
        return f"{what} does not exist on the Hub, or is private.", "not_found"
    if status == 429:
        return f"{what}: the Hub's rate limit is used up; try again later.", "rate_limited"
    if status == 401:
        return f"{what}: the Hub does not accept the token; check HF_TOKEN.", "bad_token"
    return f"{what}: the Hub answered {status}.", "network"
