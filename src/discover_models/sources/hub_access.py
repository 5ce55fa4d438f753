"""The Hub as a run uses it; its client is big, and many runs never ask it anything."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from discover_models.errors import ConfigError
from discover_models.sources.config_file import ConfigFile

if TYPE_CHECKING:
    from discover_models.sources.hub import HubClient


class Hub(Protocol):
    """What a run asks of the Hub; see `HubClient`."""

    def fetch_many(self, repo_ids: Iterable[str]) -> dict[str, ConfigFile | ConfigError]:
        """Each repository's configuration, or why there is none."""
        ...

    def search(self, name: str) -> list[str]:
        """Repositories whose name contains `name`."""
        ...

    def dataset_sizes(self, repo_id: str, revision: str, paths: list[str]) -> dict[str, int]:
        """Those of the paths that a dataset has at a revision, with their sizes in bytes."""
        ...

    def dataset_file(self, repo_id: str, revision: str, path: str) -> bytes:
        """A file of a dataset at a revision."""
        ...


class HubOnDemand:
    """A client that is made when the first question comes."""

    def __init__(self, *, cache_dir: Path, endpoint: str | None, token: str | None) -> None:
        self._cache_dir = cache_dir
        self._endpoint = endpoint
        self._token = token

    def fetch_many(self, repo_ids: Iterable[str]) -> dict[str, ConfigFile | ConfigError]:
        return self._client.fetch_many(repo_ids)

    def search(self, name: str) -> list[str]:
        return self._client.search(name)

    def dataset_sizes(self, repo_id: str, revision: str, paths: list[str]) -> dict[str, int]:
        return self._client.dataset_sizes(repo_id, revision, paths)

    def dataset_file(self, repo_id: str, revision: str, path: str) -> bytes:
        return self._client.dataset_file(repo_id, revision, path)

    @cached_property
    def _client(self) -> HubClient:
        from discover_models.sources.hub import HubClient

        return HubClient(cache_dir=self._cache_dir, endpoint=self._endpoint, token=self._token)
