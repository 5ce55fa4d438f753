"""What runs found and could not turn into a manifest, remembered until it is settled. Pure.

A run that looks at one model only, or whose window is shorter, must not make the rest vanish.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from discover_models.domain.candidate import Discovery
from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import OF_THE_MODEL, Deferred, Inventory


class Sighting(Frozen):
    """Why something has no inventory."""

    reason: str
    """A stable word or sentence."""
    detail: str = ""
    """What may differ from run to run; shown, but no fact."""


Sights = dict[str, Sighting]
NO_REPOSITORY = "no repository is certain"


class Sightings(Frozen):
    """Everything seen that has no manifest, by name."""

    unresolved: Sights = Field(default_factory=dict[str, Sighting])
    """Candidates of which nobody knows the repository."""
    deferred: Sights = Field(default_factory=dict[str, Sighting])
    """Repositories that could not be looked at when that was tried last."""
    skipped: Sights = Field(default_factory=dict[str, Sighting])
    """No language models, as the last look for new models saw them."""
    tracked: int = 0
    """New models that the coverage document has already."""
    errors: dict[str, str] = Field(default_factory=dict)
    """Where new models could not be looked for in the last look, with the reason."""


def updated(
    before: Sightings,
    inventories: Iterable[Inventory],
    deferred: Sequence[Deferred],
    discovery: Discovery | None,
) -> Sightings:
    """What is left to settle after a run; `discovery` is None when it looked for nothing new.

    A model that nobody could look at keeps what an earlier look said of it.
    """
    looked = before if discovery is None else _looked(before, discovery)
    known = {name.casefold() for name in reasons(looked)}
    deferred = [d for d in deferred if d.of_the_model or _name(d).casefold() not in known]
    done = {i.hf_repo_id.casefold() for i in inventories}
    done |= {_name(d).casefold() for d in deferred}
    waiting = {n: s for n, s in before.deferred.items() if n.casefold() not in done}
    waiting |= {_name(d): _sighting(d) for d in deferred if not d.skipped}
    refused = {_name(d): _sighting(d) for d in deferred if d.skipped}
    skipped = {n: s for n, s in looked.skipped.items() if n.casefold() not in done}
    return looked.model_copy(
        update={
            "deferred": _settled(waiting, before.deferred),
            "skipped": _settled({**skipped, **refused}, before.skipped),
        }
    )


def reasons(seen: Sightings) -> Sights:
    """What a look at a model's repository said of it that leaves it without an inventory."""
    gone = {n: s for n, s in seen.deferred.items() if s.reason in OF_THE_MODEL}
    return {**seen.skipped, **gone}


def _looked(before: Sightings, found: Discovery) -> Sightings:
    """What a look for new models says; where it could not look everywhere, the rest stays."""
    gone = {c.name for c in found.candidates if c.hf_repo_id}
    gone |= {s.name for s in found.skipped} | {t.name for t in found.tracked}
    unresolved = {n: s for n, s in before.unresolved.items() if n not in gone}
    unresolved |= {
        c.name: Sighting(reason=NO_REPOSITORY, detail=c.unresolved)
        for c in found.candidates
        if not c.hf_repo_id
    }
    skipped = {s.name: Sighting(reason=s.message) for s in found.skipped}
    return before.model_copy(
        update={
            "unresolved": _settled(unresolved, before.unresolved),
            "skipped": {**before.skipped, **skipped} if found.errors else skipped,
            "tracked": len(found.tracked),
            "errors": dict(found.errors),
        }
    )


def _settled(now: Mapping[str, Sighting], before: Mapping[str, Sighting]) -> Sights:
    """By name; what is said for the same reason keeps its wording."""
    return {
        name: before[name] if name in before and before[name].reason == seen.reason else seen
        for name, seen in sorted(now.items())
    }


def _name(deferred: Deferred) -> str:
    return deferred.hf_repo_id or deferred.model_slug


def _sighting(deferred: Deferred) -> Sighting:
    return Sighting(reason=deferred.reason, detail=deferred.message)
