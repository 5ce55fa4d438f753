"""``run.json``: what a run of the action read, did, held back and how long it took."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import metadata

from pydantic import Field

from discover_models.domain.candidate import Discovery
from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import Deferred, Inventory
from discover_models.publish.requests import URL_FIELDS
from discover_models.publish.run import PublishReport
from discover_models.render.groups import groups
from discover_models.render.links import public_origin


class Source(Frozen):
    """One repository that was read."""

    url: str = ""
    """Empty unless it is public."""
    commit: str = ""
    """Empty when it could not be read."""


class Model(Frozen):
    """One model that gave an inventory."""

    slug: str
    repository: str
    revision: str | None
    counts: dict[str, int]
    """Definitions by class, and ``unmapped``."""


class Planned(Frozen):
    """One change on GitHub, made or only planned (`dry_run`)."""

    kind: str
    key: str
    action: str
    reason: str
    number: int | None
    error: str = ""


class RunRecord(Frozen):
    """The whole file."""

    version: str
    event: str
    job: str
    repository: str
    dry_run: bool
    started: str
    """ISO time, UTC."""
    seconds: dict[str, float]
    """By phase."""
    requests: int
    """Sent to GitHub's API."""
    published: bool
    """Whether publishing was tried and complete (with `dry_run`: planned)."""
    sources: dict[str, Source] = Field(default_factory=dict)
    models: tuple[Model, ...] = ()
    deferred: tuple[Deferred, ...] = ()
    ignored: dict[str, str] = Field(default_factory=dict)
    """Reasons by repository."""
    discovery: Discovery | None = None
    plan: tuple[Planned, ...] = ()
    held_back: tuple[str, ...] = ()
    """Keys of tracking issues that this run did not open."""
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """The file's content."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


class Phases:
    """How long each phase took, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 3)


def program_version() -> str:
    return metadata.version("discover-models")


def counts_of(inventory: Inventory) -> dict[str, int]:
    """Definitions by class, and parts of the model without one."""
    found: dict[str, int] = {group.key: len(group.kernels) for group in groups(inventory)}
    return {**found, "unmapped": len(inventory.unmapped)}


def total(models: tuple[Model, ...]) -> dict[str, int]:
    """The sum of the models' counts."""
    found: Counter[str] = Counter()
    for model in models:
        found.update(model.counts)
    return dict(found)


def models_of(inventories: tuple[Inventory, ...]) -> tuple[Model, ...]:
    return tuple(
        Model(slug=i.model_slug, repository=i.hf_repo_id, revision=i.revision, counts=counts_of(i))
        for i in inventories
    )


def sources_of(origins: Mapping[str, str], inventories: tuple[Inventory, ...]) -> dict[str, Source]:
    """Every source with its address, if that is public, and the commit that was read."""
    commits: dict[str, str] = {}
    for inventory in inventories:
        commits |= inventory.repo_shas
    return {
        name: Source(url=public_origin(url) or "", commit=commits.get(name.replace("-", "_"), ""))
        for name, url in origins.items()
    }


def plan_of(report: PublishReport | None) -> tuple[Planned, ...]:
    """What was done on GitHub, or would be."""
    return tuple(
        Planned(
            kind=o.change.kind,
            key=o.change.key,
            action=o.change.action,
            reason=o.change.reason,
            number=o.number if o.change.kind not in URL_FIELDS else None,
            error=o.error,
        )
        for o in (report.outcomes if report is not None else ())
    )


def changed_issues(plan: tuple[Planned, ...], *actions: str) -> list[int]:
    """Numbers of the issues to which one of these things was done."""
    done = (p for p in plan if p.action in actions and not p.error)
    return sorted({p.number for p in done if p.number is not None})
