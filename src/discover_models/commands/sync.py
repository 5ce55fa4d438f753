"""``discover-models sync``: manifest files and the state branch, brought in line both ways."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from discover_models import manifests
from discover_models.domain.manifest import Manifest
from discover_models.errors import DiscoverError, UsageError
from discover_models.publish.state import StateBranch
from discover_models.publish.state_value import PublishState, usable_slug
from discover_models.publish.sync import brought_back, slugs_of, with_files
from discover_models.publish.waiting import Timing


def sync_files(
    paths: Sequence[Path],
    repository: str,
    branch: str,
    environment: Mapping[str, str],
    *,
    dry_run: bool,
) -> tuple[str, ...]:
    """Bring the files to the branch and what it says back to them; a line for each file.

    The token is GITHUB_TOKEN, the address GITHUB_SERVER_URL.

    Raises:
        UsageError: two files are of one model, or there is no token.
        ManifestError: a file is no manifest.
        PublishError: the branch can't be read.
        DiscoverError: the branch or a file can't be written.
    """
    files = _read(paths)
    token = environment.get("GITHUB_TOKEN", "")
    if not token and not dry_run:
        raise UsageError("GITHUB_TOKEN is not set: the branch can't be written without a token")
    server = environment.get("GITHUB_SERVER_URL") or "https://github.com"
    store = StateBranch(
        f"{server}/{repository}.git", branch, Timing(time.time, time.sleep), token=token
    )
    day = datetime.now(UTC).date().isoformat()
    before = store.load()
    after = with_files(before, list(files.values()), day, repository)
    if not dry_run:
        states: list[PublishState] = []

        def bring(stored: PublishState) -> PublishState:
            states.append(with_files(stored, list(files.values()), day, repository))
            return states[-1]

        saved = store.change(bring)
        if not saved.stored:
            raise DiscoverError(f"the branch {branch!r} can't be written: {saved.reason}")
        after = states[-1]  # with what others stored in the meantime
    return tuple(_lines(files, before, after, dry_run=dry_run))


def _read(paths: Sequence[Path]) -> dict[Path, Manifest]:
    files = {path: manifests.load(path) for path in dict.fromkeys(paths)}
    seen: dict[str, Path] = {}
    for path, manifest in files.items():
        if not usable_slug(manifest.model_slug):
            raise UsageError(
                f"{path}: the slug {manifest.model_slug!r} can't be the name of a file"
            )
        other = seen.setdefault(manifest.hf_repo_id.casefold(), path)
        if other != path:
            raise UsageError(f"{other} and {path} are both of {manifest.hf_repo_id}")
    return files


def _lines(
    files: Mapping[Path, Manifest], before: PublishState, after: PublishState, *, dry_run: bool
) -> Iterator[str]:
    slugs = slugs_of(before, list(files.values()))
    for path, file in files.items():
        slug = slugs[file.hf_repo_id]
        back = brought_back(after, file)
        if not dry_run:
            try:
                manifests.update(path, back, refresh=True)
            except OSError as error:
                raise DiscoverError(f"{path}: can't be written ({error.strerror})") from error
        done = {
            "to the branch": after.manifests.get(slug) != before.manifests.get(slug),
            "from the branch": back != file,
        }
        said = " and ".join(way for way, moved in done.items() if moved)
        verb = "would be brought" if dry_run else "brought"
        yield f"{path}: {verb} {said}" if said else f"{path}: is the same there"
