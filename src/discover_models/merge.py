"""How a manifest that exists and one that was just made become one. Pure.

Two kinds of keys are told apart. *Ours* are the fields that the manifest's models declare, the
contract's among them. All others are *foreign*: later phases and people wrote them. Foreign keys
survive, at every level, on both sides; where both sides have one, objects are united and otherwise
the existing manifest's value stays.

Of our fields: without `refresh`, an entry that exists stays as it is, and new ones are added. With
it every entry is classified again, and one that is no longer required goes, or stays as
`required: false` where it carries foreign keys. A verdict that was decided and is undecided now is
left out, and `notes` says why. What rests on a source that failed in this run is left as it was,
with a note; and with a failed source no entry goes, for it may be missing only for that reason, and
without the cookbook none comes for the size that is assumed then. Without SGLang the layers are
known from the configuration alone, so what the model is made of stays as well.

Facts are compared, not text: an entry whose facts are equal keeps its evidence and `changed` day,
and when no fact of the whole manifest changed, the existing one is returned itself, commits and
date included. A definition or test that merely moved to another line or commit is no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from discover_models.domain.manifest import (
    UNREAD,
    Manifest,
    ManifestEvidence,
    ManifestKernel,
    ManifestParallelism,
    ManifestPath,
    ManifestProvider,
    ManifestReach,
    ManifestUnmapped,
    ManifestVeto,
    Open,
    Variant,
    sort_key,
)
from discover_models.errors import ManifestError

NOT_REFRESHED = "not refreshed: "

_Model = TypeVar("_Model", bound=Open)
_PROOF = ("evidence", "tests", "call_site")
_VERSIONS = ("checkout", "pinned")
"""They move with every release, whatever the kernel does."""
_VERDICTS = ("fi_status", "fi_lack", "fi_trace_template", "sgl_status", "tests", "depth")
_JUDGING = ("flashinfer", "flashinfer-trace", "sglang")
"""Sources that the notes of an entry rest on."""
_MADE_OF = ("source", "layers", "used_for", "axes", "formulas")
"""What an entry says of the layers that need it."""
_RESTING = {"sgl-cookbook": ("parallelism", *_MADE_OF), "sglang": _MADE_OF}
"""What of an entry the layers and the sizes that a source gives decide."""
_READ_IN_SGLANG = ("implementation", "summary", "unmapped")
_DATASET_FIELDS = ("phase1_status", "dataset_name", "dataset_workloads", *_VERDICTS)
_OUR_VALUES: dict[str, type] = {"axes": int, "formulas": str}
"""What we write into fields that are maps; anything else in them is foreign."""
_IDENTITY: dict[type[Open], Callable[[Any], tuple[Any, ...]]] = {
    ManifestEvidence: lambda e: (e.repository, e.path, e.looked_for),
    ManifestParallelism: lambda p: (p.tp, p.ep, p.dp, p.dp_attention),
    ManifestUnmapped: lambda u: (u.what,),
    ManifestKernel: lambda k: (k.definition_name,),
    ManifestPath: lambda p: (p.name,),
    ManifestReach: lambda r: (r.api, r.flag, r.condition),
    ManifestProvider: lambda p: (p.name, p.function),
    ManifestVeto: lambda v: (v.feature, v.backend),
    Variant: lambda v: (v.hf_repo_id,),
}
"""When two items of a list are the same thing."""


def merge(
    old: Manifest, new: Manifest, *, refresh: bool, failed: Mapping[str, str] | None = None
) -> Manifest:
    """`old` brought up to date with `new`; `old` itself when that changes nothing.

    `failed` maps the names of sources that could not be read in the run that made `new` to the
    reason. Raises ManifestError when the two are not of the same model.
    """
    _same_model(old, new, refresh)
    unread = frozenset(name.replace("_", "-") for name in failed or {})
    kernels = _kernels(old, new, refresh, unread)
    rest = _united(
        _as_far_as_read(_with(new, kernels=()), _with(old, kernels=()), unread),
        _with(old, kernels=()),
    )
    merged = _with(rest, kernels=kernels)
    if _facts(merged) == _facts(old):
        return old
    same = _facts(_as_if_read(merged)) == _facts(_as_if_read(old))
    return _with(merged, date=old.date if same else max(old.date, new.date))


def _same_model(old: Manifest, new: Manifest, refresh: bool) -> None:
    if old.model_slug != new.model_slug:
        raise ManifestError(
            f"the manifest is of the model {old.model_slug!r}, not of {new.model_slug!r}."
        )
    if not refresh and old.hf_repo_id.casefold() != new.hf_repo_id.casefold():
        raise ManifestError(
            f"the manifest is of {old.hf_repo_id!r}, not of {new.hf_repo_id!r}; "
            "with --refresh it becomes that one's."
        )


def _kernels(
    old: Manifest, new: Manifest, refresh: bool, unread: frozenset[str]
) -> tuple[ManifestKernel, ...]:
    before = {k.definition_name: k for k in old.kernels}
    merged: list[ManifestKernel] = []
    for kernel in new.kernels:
        existing = before.pop(kernel.definition_name, None)
        if existing is not None:
            merged.append(_entry(existing, kernel, refresh, unread))
        elif not _by_default(kernel, old, unread):
            merged.append(kernel)
    for kernel in before.values():
        kept = _no_longer_required(kernel, new, unread) if refresh else kernel
        merged += [kept] if kept else []
    return tuple(sorted(merged, key=sort_key))


def _by_default(kernel: ManifestKernel, old: Manifest, unread: frozenset[str]) -> bool:
    """Whether an entry is there only because the sizes that are known could not be read anew."""
    return "sgl-cookbook" in unread and bool(old.parallelism) and bool(kernel.parallelism)


def _entry(
    old: ManifestKernel, new: ManifestKernel, refresh: bool, unread: frozenset[str]
) -> ManifestKernel:
    if not refresh:
        return _united(old, new, known_first=True)
    seen, blamed = _leave_unread(old, new, unread)
    before = _with(old, notes=_noted(old.notes, ()))  # that it was not refreshed is no fact
    explained = not blamed and unread.isdisjoint(_JUDGING)
    same = _facts(before, notes=explained) == _facts(_united(seen, old), notes=explained)
    if same:
        seen = _taken(seen, old, (*_PROOF, "depth", "changed"))
    if not explained:
        notes = old.notes if same else dict.fromkeys((*new.notes, *old.notes))
        seen = _with(seen, notes=_noted(notes, blamed))
    return _united(seen, old)


def _no_longer_required(
    kernel: ManifestKernel, new: Manifest, unread: frozenset[str]
) -> ManifestKernel | None:
    if unread:
        return _with(kernel, notes=_noted(kernel.notes, unread))
    if not _touched(kernel):
        return None
    return _with(kernel, required=False, changed=new.date) if kernel.required else kernel


def _leave_unread(
    old: ManifestKernel, new: ManifestKernel, unread: frozenset[str]
) -> tuple[ManifestKernel, set[str]]:
    """`new` with what rests on sources that could not be read taken from `old`.

    Also the sources for which that made a difference.
    """
    source, fields, proving = _unread_verdicts(old, new, unread)
    seen = _taken(new, old, fields)
    if seen != new:
        carried = (e for e in old.evidence if e.repository in proving)
        seen = _with(seen, evidence=_paired((*new.evidence, *carried)))
    blamed = {source} if seen != new else set[str]()
    for name, resting in _RESTING.items():
        if name in unread:
            kept = _taken(seen, old, resting)
            blamed |= {name} if kept != seen else set()
            seen = kept
    return seen, blamed


def _unread_verdicts(
    old: ManifestKernel, new: ManifestKernel, unread: frozenset[str]
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """Source that failed, fields that rest on it, and repositories that the proof is from."""
    if "flashinfer-trace" in unread:
        return "flashinfer-trace", _DATASET_FIELDS, ("flashinfer-trace", "flashinfer", "sglang")
    if old.phase1_status == new.phase1_status == "new":
        if "flashinfer" in unread and _stays(old.fi_status, new.fi_status):
            return "flashinfer", _VERDICTS, ("flashinfer", "sglang")
        supported = old.fi_status == new.fi_status == "fi_supported"
        if "sglang" in unread and supported and _stays(old.sgl_status, new.sgl_status):
            return "sglang", ("sgl_status", "depth"), ("sglang",)
    if "sglang" in unread and old.fi_status == new.fi_status:
        return "sglang", ("depth",), ("sglang",)
    return "", (), ()


def _stays(old: str | None, new: str | None) -> bool:
    """Whether a verdict is left as it was, of a source that was not read as it is today."""
    return new is None or old is not None


def _noted(notes: Iterable[str], unread: Iterable[str]) -> tuple[str, ...]:
    lines = tuple(line for line in notes if not line.startswith(NOT_REFRESHED))
    return lines + tuple(f"{NOT_REFRESHED}{name} could not be read" for name in sorted(unread))


def _as_far_as_read(new: Manifest, old: Manifest, unread: frozenset[str]) -> Manifest:
    """The fields beside `kernels`, those of unread sources from `old`."""
    variants = _paired((*old.variants, *new.variants))
    seen = _with(new, variants=variants) if variants else new
    if old.group and not _is_of_another(old, new):
        seen = _with(seen, group=old.group)
    if not unread:
        return seen
    failed = {name.replace("-", "_") for name in unread}
    shas = {**new.repo_shas.known(), **_only(old.repo_shas.known(), failed)}
    seen = _with(seen, repo_shas=_with(new.repo_shas, **shas))
    unmapped = _paired((*new.unmapped, *old.unmapped))
    seen = _with(seen, unmapped=unmapped) if unmapped else seen
    if not _is_of_another(old, new):
        seen = _with_notes_of_both(seen, old, unread)
        seen = _taken(seen, old, _READ_IN_SGLANG) if "sglang" in unread else seen
    return _taken(seen, old, ("parallelism",)) if "sgl-cookbook" in unread else seen


def _with_notes_of_both(new: Manifest, old: Manifest, unread: frozenset[str]) -> Manifest:
    """What was said stays; what is said without SGLang's classes is not about the model."""
    if unread.isdisjoint(_RESTING):
        return new
    told = [n for n in new.notes if UNREAD in n or "sglang" not in unread]
    notes = tuple(dict.fromkeys((*lasting(old.notes), *told)))
    return _with(new, notes=notes) if notes else new


def _is_of_another(old: Manifest, new: Manifest) -> bool:
    return old.hf_repo_id.casefold() != new.hf_repo_id.casefold()


def _as_if_read(manifest: Manifest) -> Manifest:
    """The manifest without what it says of sources that a run could not read."""
    kernels = (_with(k, notes=lasting(k.notes)) for k in manifest.kernels)
    return _with(manifest, kernels=tuple(kernels), notes=lasting(manifest.notes))


def lasting(notes: Iterable[str]) -> tuple[str, ...]:
    """The notes that are about the model and not about what a run could read."""
    return tuple(n for n in notes if not n.startswith(NOT_REFRESHED) and UNREAD not in n)


# Models as trees of our keys and foreign ones


def _with(model: _Model, **fields: Any) -> _Model:
    """A copy with these fields set."""
    return type(model).of({**model.known(), **fields}, model.foreign())


def _taken(model: _Model, other: _Model, names: Iterable[str]) -> _Model:
    """A copy whose named fields are as in `other`: set there, or absent there."""
    known = {k: v for k, v in model.known().items() if k not in set(names)}
    theirs = _only(other.known(), names)
    return type(model).of({**known, **theirs}, model.foreign())


def _only(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    wanted = set(names)
    return {name: value for name, value in fields.items() if name in wanted}


def _united(known: _Model, other: _Model, *, known_first: bool = False) -> _Model:
    """Our fields of `known` with the foreign keys of both.

    Where both have a foreign key, `other` wins unless `known_first`.
    """
    ours, theirs = known.known(), other.known()
    fields: dict[str, Any] = {}
    for name in type(known).model_fields:
        value = _united_field(name, ours.get(name), theirs.get(name), known_first)
        if value is not None or name in ours:
            fields[name] = value
    first, second = (known, other) if known_first else (other, known)
    return type(known).of(fields, _deep(first.foreign(), second.foreign()))


def _united_field(name: str, known: Any, other: Any, known_first: bool) -> Any:
    if isinstance(known, Open):
        united = isinstance(other, Open)
        return _united(known, other, known_first=known_first) if united else known
    if known is None and isinstance(other, Open):
        return other if _touched(other) else None  # a fact that is gone, with what is not ours
    if name in _OUR_VALUES:
        return _united_map(known or {}, other or {}, _OUR_VALUES[name], known_first) or known
    if _is_models(known) or _is_models(other):
        return _united_list(known or (), other or (), known_first) or known
    return known


def _united_map(
    known: dict[str, Any], other: dict[str, Any], ours: type, known_first: bool
) -> dict[str, Any]:
    """The map of `known` with what others put into that of `other`."""
    foreign = {k: v for k, v in other.items() if not isinstance(v, ours)}
    return {**foreign, **known} if known_first else {**known, **foreign}


def _is_models(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(v, Open) for v in cast("Any", value))


def _united_list(
    known: tuple[Open, ...], other: tuple[Open, ...], known_first: bool
) -> tuple[Open, ...]:
    """The items of `known`, each with its counterpart's foreign keys, and touched leftovers."""
    left = list(other)
    united: list[Open] = []
    for item in known:
        match = next((o for o in left if _same(o, item)), None)
        if match is not None:
            left.remove(match)
            item = _united(item, match, known_first=known_first)
        united.append(item)
    return (*united, *(item for item in left if _touched(item)))


def _paired(items: tuple[_Model, ...]) -> tuple[_Model, ...]:
    """The items without those that repeat an earlier one."""
    unique: list[_Model] = []
    for item in items:
        if not any(_same(item, seen) for seen in unique):
            unique.append(item)
    return tuple(unique)


def _same(one: Open, two: Open) -> bool:
    identity = _IDENTITY[type(one)]
    return identity(one) == identity(two)


def _deep(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Both objects as one; where they disagree, `first`."""
    united = dict(first)
    for key, value in second.items():
        mine = united.get(key)
        if key not in united:
            united[key] = value
        elif isinstance(mine, dict) and isinstance(value, dict):
            united[key] = _deep(cast("dict[str, Any]", mine), cast("dict[str, Any]", value))
    return united


def _touched(value: Any) -> bool:
    """Whether somebody else wrote into this object or one inside it."""
    if isinstance(value, Open):
        if value.foreign():
            return True
        return any(_touched(v) or _odd(k, v) for k, v in value.known().items())
    return isinstance(value, tuple) and any(_touched(v) for v in cast("Any", value))


def _odd(name: str, value: Any) -> bool:
    ours = _OUR_VALUES.get(name)
    return ours is not None and not all(isinstance(v, ours) for v in value.values())


def _facts(value: Any, *, notes: bool = True) -> Any:
    """What counts as a change: our facts and everything foreign, but no proof and no dates."""
    if isinstance(value, Open):
        facts: dict[str, Any] = {}
        for name, field in value.known().items():
            found = _fact(name, field, notes)
            if found not in (None, [], {}):
                facts[name] = found
        return facts | value.foreign()
    if isinstance(value, tuple):
        found = [_facts(v, notes=notes) for v in cast("Any", value)]
        return sorted(found, key=repr) if _is_models(value) else found
    return value


def _fact(name: str, field: Any, notes: bool) -> Any:
    if name in ("date", "changed", "hf_revision", *_VERSIONS):
        return None
    if name == "repo_shas":
        return field.foreign()
    if name == "implementation":
        return field.foreign() if field is not None else None
    if name in _PROOF:
        return [e.foreign() for e in field if e.foreign()]
    if name == "notes":
        return list(field) if notes else None
    return _facts(field, notes=notes)
