"""Which models are new, which of them are left out and why, and which repository each one is.

Pure rules over what `sources` read; what has to be asked (a configuration, the Hub) is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from discover_models.domain.candidate import (
    Candidate,
    ComparedWith,
    Discovery,
    ModelKernels,
    Origin,
    RepositoryHint,
    SkippedCandidate,
    SkipReason,
    TrackedCandidate,
    VariantGroup,
)
from discover_models.domain.evidence import Evidence, Repository
from discover_models.domain.kernel import RequiredKernel
from discover_models.domain.model_name import read_name, read_repository, same_model, tracked_title

if TYPE_CHECKING:  # only their names are needed, and most runs look for nothing new
    from discover_models.sources.cookbook import CookbookModel
    from discover_models.sources.novelties import NewClass, NewModels, NewRegistrations
    from discover_models.sources.pages import CookbookPage

Confirm = Callable[[str], Mapping[str, Any] | None]
"""A repository's configuration, or None when it can't be had."""

_CLASS_RULES: tuple[tuple[SkipReason, re.Pattern[str], str], ...] = (
    (
        "draft",
        re.compile(r"Eagle|MTP|NextN|Draft|DSpark|DFlash|Medusa"),
        "a draft model for speculative decoding",
    ),
    ("reward", re.compile(r"Reward"), "a reward model"),
    ("classification", re.compile(r"Classification|Classifier"), "a classifier"),
    (
        "audio_only",
        re.compile(r"A(SR|sr)(?![a-z])|Whisper|Speech|TTS|Audio(Model|Encoder|Tower)"),
        "takes or gives audio only",
    ),
    (
        "vision_only",
        re.compile(r"CLIP|Siglip|Vision(Model|Transformer|Encoder|Tower)"),
        "a vision encoder",
    ),
    ("embedding", re.compile(r"Embedding"), "an embedding model"),
)
_DRAFT_FILE = re.compile(r"(^|_)(eagle\d*|mtp|nextn|draft|dspark|dflash\d*|medusa)(_|$)")
_NAME_RULES: tuple[tuple[SkipReason, re.Pattern[str], str], ...] = (
    ("draft", re.compile(r"(eagle|dflash)[\d.]*|mtp|nextn|draft|dspark|medusa"), "a draft model"),
    ("reward", re.compile(r"reward|rm"), "a reward model"),
    ("classification", re.compile(r"rerank(er)?|classifier"), "a classifier or reranker"),
    ("audio_only", re.compile(r"asr|tts|whisper"), "takes or gives audio only"),
    ("embedding", re.compile(r"\w*embedding\w*|embed"), "an embedding model"),
)  # fmt: skip
_KINDS: dict[str, tuple[SkipReason, str]] = {
    "diffusion": ("diffusion", "a diffusion pipeline"),
    "embedding": ("embedding", "an embedding model"),
}
_TIERS = ("cookbook", "model file", "page", "transformers", "hub search")


def class_skip(new: NewClass) -> tuple[SkipReason, str] | None:
    """Why a registered class is no language model, or None when it is one."""
    for reason, pattern, message in _CLASS_RULES:
        if pattern.search(new.name):
            return reason, message
    if _DRAFT_FILE.search(PurePosixPath(new.file).stem):
        return "draft", "a draft model for speculative decoding, by its file's name"
    if new.pooled:
        return "embedding", "it pools and has no logits"
    return None


def repository_skip(repo_id: str) -> tuple[SkipReason, str] | None:
    """Why a repository is no language model, by the words of its name."""
    words = re.split(r"[-_]", repo_id.rpartition("/")[2].casefold())
    for reason, pattern, message in _NAME_RULES:
        if any(pattern.fullmatch(word) for word in words):
            return reason, f"{message}, by its name"
    return None


# Candidates


def discover(
    *,
    registrations: NewRegistrations,
    models: NewModels,
    pages: Sequence[CookbookPage],
    titles: Sequence[str],
    compared: Mapping[str, ComparedWith],
    errors: Mapping[str, str] | None = None,
    tracked_as: Mapping[str, str] | None = None,
) -> Discovery:
    """Everything new, Day-0 first, then the cookbook, then SGLang's own pages.

    `titles` are those of the coverage document's Summary table: what they mean is left out and
    counted, and so is what `tracked_as` (titles by repository in lower case) names. `errors` are
    sources that could not be read. A model that several places list
    stands once, with the evidence of all.
    """
    aliases = tracked_as or {}
    commits: dict[str, str] = {name: comparison.head for name, comparison in compared.items()}
    found: dict[str, Candidate] = {}
    skipped: list[SkippedCandidate] = []
    tracked: dict[str, TrackedCandidate] = {}
    for item in _items(registrations, models, pages, commits):
        title = _title(item.hf_repo_id, titles, aliases)
        if isinstance(item, _Skip):
            skipped.append(item.value)
        elif title is not None:
            tracked[item.hf_repo_id or ""] = TrackedCandidate(
                name=item.hf_repo_id or item.name, title=title
            )
        else:
            key = (item.hf_repo_id or f"{item.origin} {item.name}").casefold()
            found[key] = _merged(found[key], item) if key in found else item
    return Discovery(
        candidates=tuple(found.values()),
        skipped=tuple(skipped),
        tracked=tuple(tracked.values()),
        compared=dict(compared),
        errors={**(errors or {}), **registrations.errors, **models.errors},
    )


def settle(
    found: Discovery,
    resolved: Iterable[Candidate],
    titles: Sequence[str],
    tracked_as: Mapping[str, str],
) -> Discovery:
    """The discovery with its candidates resolved: now known ones may be tracked, or one model."""
    candidates: dict[str, Candidate] = {}
    tracked = {item.name: item for item in found.tracked}
    for item in resolved:
        repo_id = item.hf_repo_id
        title = _title(repo_id, titles, tracked_as)
        if repo_id and title is not None:
            tracked[repo_id] = TrackedCandidate(name=repo_id, title=title)
            continue
        key = (repo_id or f"{item.origin} {item.name}").casefold()
        candidates[key] = _merged(candidates[key], item) if key in candidates else item
    update = {"candidates": tuple(candidates.values()), "tracked": tuple(tracked.values())}
    return found.model_copy(update=update)


def _title(repo_id: str | None, titles: Sequence[str], aliases: Mapping[str, str]) -> str | None:
    """The title that a repository is tracked under, if it is."""
    if not repo_id:
        return None
    return aliases.get(repo_id.casefold()) or tracked_title(repo_id, titles)


class _Skip:
    """A skipped thing among candidates."""

    hf_repo_id = None

    def __init__(self, value: SkippedCandidate) -> None:
        self.value = value


def _items(
    registrations: NewRegistrations,
    models: NewModels,
    pages: Sequence[CookbookPage],
    commits: Mapping[str, str],
) -> Iterator[Candidate | _Skip]:
    yield from _day0(registrations, commits.get("sglang"))
    yield from _listed(models, commits.get("sgl-cookbook"))
    for page in pages:
        yield from _paged(page, commits.get("sglang"))


def _day0(new: NewRegistrations, commit: str | None) -> Iterator[Candidate | _Skip]:
    for cls in new.classes:
        at = _evidence("sglang", commit, cls.file, cls.line, f"EntryClass registers {cls.name}")
        skip = class_skip(cls)
        if skip:
            yield _skip("day0", cls.name, skip, at)
            continue
        yield Candidate(
            origin="day0",
            name=cls.name,
            hints=tuple(
                RepositoryHint(repo_id=link, source="model file", evidence=at) for link in cls.links
            ),
            evidence=(at,),
        )
    for file in new.helpers:
        at = _evidence("sglang", commit, file, None, "no EntryClass")
        yield _skip("day0", file, ("helper", "a new file without an EntryClass"), at)
    for file in new.not_loaded:
        at = _evidence("sglang", commit, file, None, "EntryClass in a sub-folder")
        message = "SGLang's registry does not look into sub-folders"
        yield _skip("day0", file, ("not_loaded", message), at)


def _listed(new: NewModels, commit: str | None) -> Iterator[Candidate | _Skip]:
    for model in new.models:
        at = _model_evidence(model, commit)
        skip = _KINDS.get(model.kind) or repository_skip(model.model_path)
        if skip:
            yield _skip("cookbook", model.model_path or model.name, skip, at)
        else:
            yield _named("cookbook", model.name, model.model_path, at)
    for model in new.listed_before:
        message = "another file of the cookbook listed it before"
        at = _model_evidence(model, commit)
        yield _skip("cookbook", model.model_path or model.name, ("listed_before", message), at)


def _model_evidence(model: CookbookModel, commit: str | None) -> Evidence:
    return _evidence("sgl-cookbook", commit, model.file, model.line, model.model_path)


def _paged(page: CookbookPage, commit: str | None) -> Iterator[Candidate | _Skip]:
    at = _evidence("sglang", commit, page.file, None, f"the page {page.title}")
    skip = repository_skip(page.name)
    if skip:
        yield _skip("page", page.name, skip, at)
        return
    for repo_id in page.served:
        skip = repository_skip(repo_id)
        yield _skip("page", repo_id, skip, at) if skip else _named("page", page.name, repo_id, at)
    if not page.served:
        links = _links_of(page)
        yield Candidate(
            origin="page",
            name=page.name,
            hints=tuple(RepositoryHint(repo_id=link, source="page", evidence=at) for link in links),
            evidence=(at,),
            notes=page.unread,
        )


def _links_of(page: CookbookPage) -> tuple[str, ...]:
    """The links that bear the page's name; all of them when none does."""
    own = {read_name(page.name).identity, read_name(page.title).identity}
    named = tuple(
        link for link in page.links if any(r.identity in own for r in read_repository(link))
    )
    return named or page.links


def _named(origin: Origin, name: str, repo_id: str, at: Evidence) -> Candidate:
    source = "cookbook" if origin == "cookbook" else "page"
    hints = (RepositoryHint(repo_id=repo_id, source=source, evidence=at),) if repo_id else ()
    return Candidate(
        origin=origin, name=name, hf_repo_id=repo_id or None, hints=hints, evidence=(at,)
    )


def _merged(first: Candidate, other: Candidate) -> Candidate:
    return first.model_copy(
        update={
            "hints": tuple(dict.fromkeys((*first.hints, *other.hints))),
            "evidence": tuple(dict.fromkeys((*first.evidence, *other.evidence))),
            "notes": tuple(dict.fromkeys((*first.notes, *other.notes))),
        }
    )


def _skip(origin: Origin, name: str, skip: tuple[SkipReason, str], at: Evidence) -> _Skip:
    reason, message = skip
    return _Skip(
        SkippedCandidate(origin=origin, name=name, reason=reason, message=message, evidence=(at,))
    )


def _evidence(
    repository: Repository, commit: str | None, path: str, line: int | None, what: str
) -> Evidence:
    return Evidence(repository=repository, commit=commit, path=path, line=line, looked_for=what)


# Repositories


def with_hints(
    candidate: Candidate,
    *,
    listed: Iterable[tuple[str, str]] = (),
    documented: str | None = None,
    searched: Sequence[str] = (),
) -> Candidate:
    """Add what else may tell a Day-0 candidate's repository.

    `listed` are repositories of the cookbook and of pages with ``cookbook`` or ``page``; those
    named like the class are taken. `documented` is the checkpoint in the class's ``transformers``
    configuration, `searched` are hits of a Hub search.
    """
    stem = class_stem(candidate.name)
    hints = list(candidate.hints)
    for repo_id, source in listed:
        named = any(_plain(r.identity).startswith(stem) for r in read_repository(repo_id))
        if stem and named:
            kind = "cookbook" if source == "cookbook" else "page"
            hints.append(RepositoryHint(repo_id=repo_id, source=kind))
    if documented:
        hints.append(RepositoryHint(repo_id=documented, source="transformers"))
    hints.extend(RepositoryHint(repo_id=repo_id, source="hub search") for repo_id in searched)
    return candidate.model_copy(update={"hints": tuple(dict.fromkeys(hints))})


def class_stem(name: str) -> str:
    """A class's name without what follows the model's: ``GigaChat35ForCausalLM`` → gigachat35."""
    stem = re.sub(r"(For[A-Z]\w*|LMHeadModel|Model)$", "", name)
    return _plain(re.sub(r"(Moe|MoE|VL|Text)+$", "", stem) or stem)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.casefold())


def resolve(candidate: Candidate, confirm: Confirm, registered: Iterable[str]) -> Candidate:
    """Pick the repository whose configuration agrees, from the most telling hints that have one.

    A configuration agrees when its ``architectures`` name the candidate's class (any registered
    class, for candidates of a cookbook), or else, without ``architectures``, its ``model_type``
    does. Several models that agree are ambiguous and none is picked.
    """
    wanted = {candidate.name} if candidate.origin == "day0" else set(registered)
    tried: list[str] = []
    read = False
    for tier in _TIERS:
        agreeing: list[str] = []
        for repo_id in dict.fromkeys(h.repo_id for h in candidate.hints if h.source == tier):
            config = confirm(repo_id)
            tried.append(repo_id)
            read = read or config is not None
            if config is not None and _agrees(config, wanted):
                agreeing.append(repo_id)
        models = _distinct_models(agreeing)
        if len(models) == 1:
            return candidate.model_copy(update={"hf_repo_id": models[0], "unresolved": ""})
        if models:
            return _unresolved(candidate, f"ambiguous: {', '.join(models)}")
    if not tried:
        return _unresolved(candidate, "nothing names a repository")
    why = "no configuration agrees" if read else "no configuration could be read"
    return _unresolved(candidate, f"{why}; tried {', '.join(dict.fromkeys(tried))}")


def _unresolved(candidate: Candidate, why: str) -> Candidate:
    return candidate.model_copy(update={"hf_repo_id": None, "unresolved": why})


def _distinct_models(repo_ids: Sequence[str]) -> list[str]:
    """One repository for each model: the one with the shortest name, which has no additions."""
    models: list[str] = []
    for repo_id in sorted(repo_ids, key=lambda r: (len(r.rpartition("/")[2]), repo_ids.index(r))):
        if not any(same_model(repo_id, other) for other in models):
            models.append(repo_id)
    return models


def _agrees(config: Mapping[str, Any], wanted: set[str]) -> bool:
    architectures = config.get("architectures")
    if isinstance(architectures, list) and architectures:
        return any(name in wanted for name in cast("list[object]", architectures))
    model_type = config.get("model_type")
    stems = {_plain(re.sub(r"For[A-Z]\w*$", "", name)) for name in wanted}
    return isinstance(model_type, str) and _plain(model_type) in stems


# Variants


def kernel_keys(kernels: Iterable[RequiredKernel]) -> frozenset[str]:
    """What a model's kernels are, apart from quantisation.

    Experts are stored in many formats with a kernel each, so that they count by their sizes.
    """
    return frozenset(_kernel_key(kernel) for kernel in kernels)


def _kernel_key(kernel: RequiredKernel) -> str:
    if kernel.op_type != "moe":
        return kernel.definition_name
    axes = {name: axis.value for name, axis in kernel.axes.items()}
    experts = axes.get("num_local_experts", axes.get("num_experts"))
    return f"moe top {axes.get('top_k')} of {experts}, hidden {axes.get('hidden_size')}"


def group_variants(
    models: Sequence[ModelKernels], known: Mapping[str, str]
) -> tuple[VariantGroup, ...]:
    """Group models of one base model whose kernels are equal apart from quantisation.

    `known` gives the group's key of repositories that a manifest has already: they keep it,
    whatever their kernels are now, so that a kernel family added later neither splits nor
    renames a group. Known groups come first, each in the order in which it was seen.
    """
    groups: dict[str, list[ModelKernels]] = {}
    for model in models:
        if model.repo_id in known:
            groups.setdefault(known[model.repo_id], []).append(model)
    for model in models:
        if model.repo_id not in known:
            found = (key for key, members in groups.items() if _belongs(model, key, members))
            groups.setdefault(next(found, model.repo_id), []).append(model)
    return tuple(
        VariantGroup(key=key, repo_ids=tuple(dict.fromkeys((key, *(m.repo_id for m in members)))))
        for key, members in groups.items()
    )


def _belongs(model: ModelKernels, key: str, members: Sequence[ModelKernels]) -> bool:
    return any(
        model.kernels == member.kernels
        and (
            same_model(model.repo_id, member.repo_id)
            or (model.base_model in (member.repo_id, member.base_model, key) and model.base_model)
            or member.base_model == model.repo_id
        )
        for member in members
    )
