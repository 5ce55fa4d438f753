"""What the bot remembers between runs, and how two versions of it become one. Pure.

In the state branch: ``manifests/{slug}.json``, one run manifest per model, and ``state.json`` with
the rest. Losing it costs nothing but time: issues are recognised by their markers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from pydantic import ConfigDict, Field, ValidationError

from discover_models.changes import News, news
from discover_models.domain.frozen import Frozen
from discover_models.domain.manifest import Manifest
from discover_models.errors import ManifestError
from discover_models.manifests import dump, merge, parse
from discover_models.publish.issues import PublishError
from discover_models.publish.sightings import Sightings

FORMAT = 1
STATE_FILE = "state.json"
_MANIFEST_FILE = re.compile(r"manifests/([A-Za-z0-9._-]+)\.json")
_SLUG = re.compile(r"[A-Za-z0-9._-]+")


class PublishState(Frozen):
    """What is remembered."""

    repository: str = ""
    """OWNER/NAME that the issue numbers are of; a copy of the branch elsewhere ignores them."""
    issues: dict[str, int] = Field(default_factory=dict)
    """Numbers by ``kind/key``."""
    slugs: dict[str, str] = Field(default_factory=dict)
    """The slug of each model repository, fixed when it was first seen."""
    last_complete_run: datetime | None = None
    """UTC, of the last complete run that changed something: no complete run is earlier."""
    manifests: dict[str, Manifest] = Field(default_factory=dict)
    """By slug."""
    sightings: Sightings = Field(default_factory=Sightings)
    approved: tuple[str, ...] = ()
    """Boxes of the dashboard whose tick counted, of requests that are not filed yet."""
    news: dict[str, News] = Field(default_factory=dict)
    """What changed last in each manifest, by slug."""


class Saved(Frozen):
    """What became of saving the state."""

    stored: bool
    reason: str = ""
    """Why it was not stored."""


class StateStore(Protocol):
    """Where the state is kept."""

    def load(self) -> PublishState:
        """The state; an empty one when there is none yet. PublishError when it can't be read."""
        ...

    def save(self, state: PublishState) -> Saved:
        """Store the state, united with what others stored since it was loaded."""
        ...

    def change(self, rule: Callable[[PublishState], PublishState]) -> Saved:
        """Store what `rule` makes of the state; it is asked again when somebody else was faster."""
        ...


class _File(Frozen):
    """``state.json``."""

    model_config = ConfigDict(frozen=True, extra="allow")

    format: int = FORMAT
    repository: str = ""
    issues: dict[str, int] = Field(default_factory=dict)
    slugs: dict[str, str] = Field(default_factory=dict)
    last_complete_run: datetime | None = None
    sightings: Sightings = Field(default_factory=Sightings)
    approved: tuple[str, ...] = ()
    news: dict[str, News] = Field(default_factory=dict)


def to_files(state: PublishState) -> dict[str, bytes]:
    """The state as files of the branch."""
    fields = state.model_dump(mode="json", exclude={"manifests"})
    text = json.dumps({"format": FORMAT, **fields}, indent=2, sort_keys=True) + "\n"
    files = {f"manifests/{slug}.json": dump(m) for slug, m in state.manifests.items()}
    return {STATE_FILE: text.encode(), **files}


def from_files(files: Mapping[str, bytes]) -> PublishState:
    """The state in the files of the branch; other files are no concern of ours.

    A file that can't be used is a PublishError: writing on would lose what it says.
    """
    try:
        known = _File.model_validate_json(files.get(STATE_FILE, b"{}"))
        manifests = {
            match[1]: parse(data, path)
            for path, data in files.items()
            if (match := _MANIFEST_FILE.fullmatch(path))
        }
    except (ValidationError, ManifestError) as error:
        line = " ".join(str(error).split())[:300]
        raise PublishError(f"The state branch can't be used: {line}") from error
    if known.format > FORMAT:
        raise PublishError("The state branch was written by a newer version of this bot.")
    fields = {
        name: getattr(known, name) for name in PublishState.model_fields.keys() - {"manifests"}
    }
    return PublishState(**fields, manifests=manifests)


def unite(theirs: PublishState, ours: PublishState) -> PublishState:
    """What two runs remember as one; `theirs` was stored first.

    Of two numbers for one key the lower stays, as of two issues the older one does. A slug that
    both gave away stays with the repository in `theirs`; the other gets a new one in its next run.
    What is left to settle is as `ours` saw it, for that began with what was stored.
    """
    same = theirs.repository.casefold() == ours.repository.casefold()
    numbers = dict(theirs.issues) if same else {}
    for key, number in ours.issues.items():
        numbers[key] = min(number, numbers.get(key, number))
    manifests = dict(theirs.manifests)
    for slug, manifest in ours.manifests.items():
        stored = manifests.get(slug)
        if stored is None:
            manifests[slug] = manifest
        elif stored.hf_repo_id.casefold() == manifest.hf_repo_id.casefold():
            manifests[slug] = merge(stored, manifest, refresh=True)
    runs = [r for r in (theirs.last_complete_run, ours.last_complete_run) if r is not None]
    return PublishState(
        repository=ours.repository,
        issues=numbers,
        slugs={**_still_free(ours.slugs, theirs), **theirs.slugs},
        last_complete_run=max(runs, default=None),
        manifests=manifests,
        sightings=ours.sightings,
        approved=ours.approved,
        news=_latest(theirs.news, ours.news),
    )


def assign_slugs(state: PublishState, models: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The slug of every model: pairs of repository and wished slug to slugs by repository.

    The first repository of a slug gets it, every later one ``{org}--{slug}``; what was assigned
    once stays. Repositories that come together are served in alphabetical order.
    """
    slugs = {m.hf_repo_id.casefold(): slug for slug, m in state.manifests.items()}
    slugs |= {repository.casefold(): slug for repository, slug in state.slugs.items()}
    assigned: dict[str, str] = {}
    for repository, wish in sorted(set(models), key=lambda pair: pair[0].casefold()):
        key = repository.casefold()
        if key not in slugs:
            slugs[key] = _free(repository, wish, set(slugs.values()))
        assigned[repository] = slugs[key]
    return assigned


def usable_slug(slug: str) -> bool:
    """Whether a slug can be a file's name and a marker's key."""
    return bool(_SLUG.fullmatch(slug)) and not slug.startswith((".", "-"))


def same_but_time(one: PublishState, two: PublishState) -> bool:
    """Whether two states differ in nothing, or only in when the last run was."""
    update: dict[str, Any] = {"last_complete_run": None}
    return one.model_copy(update=update) == two.model_copy(update=update)


def with_news(state: PublishState, before: Mapping[str, Manifest], day: str) -> PublishState:
    """The state with what changed in its manifests since `before`, noted under this day."""
    found = {
        slug: change
        for slug, manifest in state.manifests.items()
        if manifest is not before.get(slug)
        and (change := news(before.get(slug), manifest, day)) is not None
    }
    return state.model_copy(update={"news": {**state.news, **found}})


def _latest(theirs: Mapping[str, News], ours: Mapping[str, News]) -> dict[str, News]:
    """Of two changes of one manifest the later, of two of one day ours."""
    older = {s: n for s, n in theirs.items() if s not in ours or n.day > ours[s].day}
    return {**ours, **older}


def _still_free(slugs: Mapping[str, str], stored: PublishState) -> dict[str, str]:
    """The assignments whose slug no other repository was given first."""
    taken = {slug: repository.casefold() for repository, slug in stored.slugs.items()}
    taken |= {slug: m.hf_repo_id.casefold() for slug, m in stored.manifests.items()}
    return {
        repository: slug
        for repository, slug in slugs.items()
        if taken.get(slug, repository.casefold()) == repository.casefold()
    }


def _free(repository: str, wish: str, taken: set[str]) -> str:
    if wish not in taken:
        return wish
    organisation = re.sub(r"[^a-z0-9._-]", "-", repository.split("/")[0].casefold())
    slug, n = f"{organisation}--{wish}", 2
    while slug in taken:
        slug, n = f"{organisation}--{wish}-{n}", n + 1
    return slug
