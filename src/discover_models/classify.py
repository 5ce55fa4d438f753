"""The verdicts: is a definition there, does FlashInfer have the kernel, does SGLang call it. Pure.

What could not be looked at stays undecided with a note; it never becomes "not there".
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from discover_models.depth import FlashInferFacts, SglangFacts, depth_notes, depth_of
from discover_models.domain.depth import ShapePath
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import (
    ApiLookup,
    Axis,
    CallLookup,
    ClassifiedKernel,
    FiStatus,
    Lack,
    RequiredKernel,
    SglStatus,
)
from discover_models.errors import SourceError
from discover_models.ops import SPECS
from discover_models.ops.base import CodePath, Dump, KernelSpec, Limit
from discover_models.sources.dataset import DatasetIndex, Definition

_MEMBER_OF = {"RoutingMethodType": "routing", "ActivationType": "activation"}
"""FlashInfer's enumerations in words."""
_NOT_ASKED = "FlashInfer is not asked for it"


class FlashInfer(FlashInferFacts, Protocol):
    """What the verdicts ask of FlashInfer's index."""

    def find(self, api: str, *, template_hint: str | None = None) -> ApiLookup:
        """Raises SourceError where that could not be looked up."""
        ...

    def aliases(self, api: str, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the dotted names that mean the same object as `api`."""
        ...

    def member(self, name: str) -> Evidence | None:
        """The line of an enumeration's member, or that it has none; None without it."""
        ...

    def parameter(self, api: str, name: str) -> Evidence | None:
        """The line of an API's parameter, or that it has none; None where that is open."""
        ...

    def cites(self, path: str, text: str) -> Evidence | None:
        """The line that contains the text, in that file or wherever it went, or that the file has
        none; None without the file."""
        ...

    def matches(self, path: str, pattern: str) -> tuple[str, ...]:
        """What the pattern's group captures in a file."""
        ...

    def named(self, word: str) -> tuple[Evidence, ...]:
        """Where an API with `word` in its name is defined, or that there is none."""
        ...

    @property
    def version(self) -> str | None:
        """The version that the checkout states."""
        ...


class Sglang(SglangFacts, Protocol):
    """What the verdicts ask of SGLang's index."""

    def used_names(self) -> tuple[str, ...]:
        """Every dotted FlashInfer name that is used."""
        ...

    def calls(
        self, api: str, aliases: Iterable[str] = (), *, passes: str = "", omits: str = ""
    ) -> CallLookup:
        """Uses that pass the one argument and not the other.

        Raises SourceError where that could not be looked up.
        """
        ...

    def linear_layer(self) -> CallLookup:
        """SGLang's own linear layer."""
        ...


@dataclass(frozen=True)
class Sources:
    """The indexes of one run; a source that failed is its error."""

    dataset: DatasetIndex | SourceError
    flashinfer: FlashInfer | SourceError
    sglang: Sglang | SourceError


@dataclass(frozen=True)
class _Verdict:
    """One decision with what it rests on."""

    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _FiVerdict(_Verdict):
    status: FiStatus | None = None
    trace_template: bool | None = None
    tests: tuple[Evidence, ...] = ()
    apis: tuple[str, ...] = ()
    """The ones that are there."""
    paths: tuple[ShapePath, ...] = ()
    lack: Lack | None = None
    """What is missing, where that is the verdict."""


@dataclass(frozen=True)
class _SglVerdict(_Verdict):
    status: SglStatus | None = None


def classify(kernel: RequiredKernel, sources: Sources, model: str = "") -> ClassifiedKernel:
    """All verdicts on one required definition; `model` is the class in `architectures`.

    Raises:
        SourceError: the dataset could not be read, so not even "existing" can be decided.
    """
    if isinstance(sources.dataset, SourceError):
        raise sources.dataset
    found = _existing(kernel, sources.dataset)
    if found is not None:
        alias = f"in the dataset under FlashInfer's dump name {found.name}"
        return ClassifiedKernel(
            required=kernel,
            phase1_status="existing",
            matched_name=found.name,
            workloads=found.has_workloads,
            evidence=sources.dataset.evidence(found),
            notes=(alias,) if found.name != kernel.definition_name else (),
        )
    return _new(kernel, sources, sources.dataset, model)


def support(kernel: RequiredKernel, sources: Sources) -> ClassifiedKernel:
    """Whether FlashInfer has the kernel and SGLang calls it, whatever the dataset holds.

    Raises:
        SourceError: the dataset could not be read.
    """
    if isinstance(sources.dataset, SourceError):
        raise sources.dataset
    return _new(kernel, sources, sources.dataset, "")


def tagged_only(
    definitions: Iterable[Definition], required: Iterable[str], dataset: DatasetIndex
) -> tuple[ClassifiedKernel, ...]:
    """What the dataset's ``model:`` tags give to a model beyond the formulas."""
    names = set(required)
    return tuple(
        ClassifiedKernel(
            required=RequiredKernel(
                definition_name=definition.name,
                op_type=definition.op_type,
                spec="",
                axes={
                    name: Axis(value=value, expression="the definition itself")
                    for name, value in definition.axes.items()
                },
            ),
            phase1_status="existing",
            source="dataset_tag",
            matched_name=definition.name,
            workloads=definition.has_workloads,
            evidence=dataset.evidence(definition),
            notes=("from the dataset's tag; no formula yields it",),
        )
        for definition in definitions
        if definition.name not in names
    )


def _existing(kernel: RequiredKernel, dataset: DatasetIndex) -> Definition | None:
    found = dataset.find(kernel.definition_name)
    if found is not None:
        _check_axes(kernel, found)
        return found
    values = _values(kernel)
    for dump in SPECS[kernel.spec].dumps:
        candidate = dataset.find(dump.name.format(**values))
        if candidate is not None and _is_dump_of(dump, candidate, values):
            return candidate
    return None


def _values(kernel: RequiredKernel) -> dict[str, int]:
    return {name: axis.value for name, axis in kernel.axes.items()}


def _check_axes(kernel: RequiredKernel, found: Definition) -> None:
    """A definition whose axes contradict its name would make every verdict on it wrong."""
    for name, value in _values(kernel).items():
        if found.axes.get(name, value) != value:
            raise SourceError(
                f"{found.path} in the dataset contradicts its name: axis {name} is"
                f" {found.axes[name]}, not {value}"
            )


def _is_dump_of(dump: Dump, found: Definition, values: Mapping[str, int]) -> bool:
    """Whether op_type, constant axes, inputs, dtypes and the API agree, not just the name."""
    apis = tuple(found.tagged("fi_api"))
    return (
        found.op_type in dump.op_types
        and all(found.axes.get(name, value) == value for name, value in values.items())
        and all(_same_input(found, name, *wanted) for name, wanted in dump.inputs.items())
        and (not dump.api or any(api.endswith(f".{dump.api}") for api in apis))
        and (
            dump.needs_equal is None
            or found.axes.get(dump.needs_equal[0]) == found.axes.get(dump.needs_equal[1])
        )
    )


def _same_input(found: Definition, name: str, dtype: str, axes: tuple[str, ...]) -> bool:
    """A dump says ``unknown`` for the dtype of a tensor that it did not see."""
    actual = found.inputs.get(name)
    return actual is not None and actual[0] in (dtype, "unknown") and actual[1] == axes


def _new(
    kernel: RequiredKernel, sources: Sources, dataset: DatasetIndex, model: str
) -> ClassifiedKernel:
    spec = SPECS[kernel.spec]
    values = _values(kernel)
    names = (kernel.definition_name, *(dump.name.format(**values) for dump in spec.dumps))
    flashinfer = _flashinfer(kernel, spec, values, sources.flashinfer)
    asked = _asked(kernel, spec, flashinfer, sources.flashinfer)
    sglang = _sglang(spec, flashinfer, sources)
    depth = depth_of(
        kernel, spec, flashinfer.apis, flashinfer.paths, sources.flashinfer, sources.sglang, model
    )
    integrated = sglang.status == "sgl_integrated"
    return ClassifiedKernel(
        required=kernel,
        phase1_status="new",
        fi_status=flashinfer.status,
        fi_lack=asked.lack,
        fi_trace_template=flashinfer.trace_template,
        sgl_status=sglang.status,
        evidence=(
            dataset.absence(kernel.op_type, names),
            *flashinfer.evidence,
            *asked.evidence,
            *sglang.evidence,
        ),
        tests=flashinfer.tests,
        notes=(
            *flashinfer.notes,
            *asked.notes,
            *sglang.notes,
            *depth_notes(depth, integrated=integrated),
        ),
        depth=depth,
    )


def _flashinfer(
    kernel: RequiredKernel,
    spec: KernelSpec,
    values: Mapping[str, int],
    index: FlashInfer | SourceError,
) -> _FiVerdict:
    if isinstance(index, SourceError):
        reason = f"fi_status undecided: {index}"
        if spec.always_supported:
            return _FiVerdict(status="fi_supported", notes=(_trace_undecided(index),))
        return _FiVerdict(notes=(reason,))
    if not spec.apis and not spec.always_supported:
        return _without_api(spec, index)
    lookups, errors = _lookups(spec, index)
    found = tuple(lookup for lookup in lookups if lookup.found)
    evidence = tuple(item for lookup in (found or lookups) for item in lookup.evidence)
    if not found:
        return _not_found(spec, evidence, errors, index)
    refusal = _unless_unread(_shape(spec, values, index), errors)
    missing = _lacks(spec, (*spec.requires, *kernel.requires), index)
    status = "fi_missing" if missing.lack else refusal.status
    traced = _traced(spec, found, errors) if status == "fi_supported" else _Trace()
    return _FiVerdict(
        status=status,
        trace_template=traced.template,
        evidence=(*evidence, *missing.evidence, *refusal.evidence),
        notes=(*missing.notes, *refusal.notes, *traced.notes),
        tests=tuple(test for lookup in found for test in lookup.tests),
        apis=tuple(lookup.api for lookup in found),
        paths=refusal.paths,
        lack=missing.lack or refusal.lack,
    )


def _unless_unread(refusal: _FiVerdict, errors: Mapping[str, SourceError]) -> _FiVerdict:
    """Undecided where an API that might take the shape could not be looked up."""
    if refusal.status != "fi_missing" or not errors:
        return refusal
    reasons = tuple(f"fi_status undecided: {error}" for error in errors.values())
    return _FiVerdict(evidence=refusal.evidence, notes=(*refusal.notes, *reasons))


def _lack(spec: KernelSpec, part: str = "", limit: str = "") -> Lack:
    """What to ask FlashInfer for: the kernel, or that part of it."""
    key, title = spec.asked_as or (spec.key, spec.title)
    return Lack(
        request=_key(f"{key}.{part}" if part else key),
        kernel=title,
        limit=limit,
        data_type=spec.data_type,
        apis=spec.apis,
    )


@dataclass(frozen=True)
class _Asked(_Verdict):
    lack: Lack | None = None
    """What to ask FlashInfer for; None for nothing."""


def _asked(
    kernel: RequiredKernel,
    spec: KernelSpec,
    found: _FiVerdict,
    index: FlashInfer | SourceError,
) -> _Asked:
    """What is asked of FlashInfer where it lacks the kernel, with what it has of it."""
    if found.lack is None or isinstance(index, SourceError):
        return _Asked()
    if spec.also_by:
        return _Asked(notes=(f"{_NOT_ASKED}: {spec.also_by} takes the same step",))
    if not spec.apis and not spec.read_at:
        return _Asked(notes=(f"{_NOT_ASKED}: only names were looked for",))
    has, evidence = _near(spec, index)
    lack = found.lack.model_copy(
        update={
            "near": has,
            "read_at": "" if spec.apis else spec.read_at,
            "unread": _unread(spec, index.version),
            "data_type": kernel.variant or found.lack.data_type,
        }
    )
    notes = (f"FlashInfer has of it: {'; '.join(has)}",) if has else ()
    return _Asked(evidence=evidence, notes=notes, lack=lack)


def _near(spec: KernelSpec, index: FlashInfer) -> tuple[tuple[str, ...], tuple[Evidence, ...]]:
    """What does part of it; what can't be looked up is left out."""
    has: list[str] = []
    evidence: list[Evidence] = []
    for what, api in spec.near:
        with suppress(SourceError):
            lookup = index.find(api)
            if lookup.found:
                has.append(f"{what}: {api}")
                evidence += lookup.evidence[:1]
    return tuple(has), tuple(evidence)


def _unread(spec: KernelSpec, version: str | None) -> str:
    """Why a person should look first: without known APIs, only up to a release is it sure."""
    if spec.apis or () < _release(version or "") <= _release(spec.read_at):
        return ""
    return (
        f"only names were looked for in FlashInfer {version or 'of this commit'};"
        f" its sources were read as of {spec.read_at}"
    )


def _release(version: str) -> tuple[int, ...]:
    """``0.7.2.post1`` → (0, 7, 2); empty for what is no version."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.casefold())


def _without_api(spec: KernelSpec, index: FlashInfer) -> _FiVerdict:
    """Missing where no API even sounds like it; a name that does is for a person to look at."""
    evidence = tuple(line for word in spec.sought for line in index.named(word))
    near = tuple(line for line in evidence if line.found)
    if not near:
        return _FiVerdict(status="fi_missing", evidence=evidence, lack=_lack(spec))
    names = ", ".join(line.looked_for for line in near)
    return _FiVerdict(
        evidence=near,
        notes=(f"fi_status undecided: nothing here says whether it is {names}",),
    )


@dataclass(frozen=True)
class _Trace:
    template: bool | None = None
    notes: tuple[str, ...] = ()


def _traced(
    spec: KernelSpec, found: tuple[ApiLookup, ...], errors: Mapping[str, SourceError]
) -> _Trace:
    """Whether the dataset's tagged API, the first, has a template; another one's if it is gone."""
    if spec.apis[0] in errors:
        return _Trace(notes=(_trace_undecided(errors[spec.apis[0]]),))
    return _Trace(found[0].trace_template)


def _not_found(
    spec: KernelSpec,
    evidence: tuple[Evidence, ...],
    errors: Mapping[str, SourceError],
    index: FlashInfer,
) -> _FiVerdict:
    if spec.always_supported:
        traced = None if errors else False
        notes = tuple(map(_trace_undecided, errors.values()))
        return _FiVerdict(
            status="fi_supported", trace_template=traced, evidence=evidence, notes=notes
        )
    if errors:
        reasons = tuple(f"fi_status undecided: {error}" for error in errors.values())
        return _FiVerdict(evidence=evidence, notes=reasons)
    moved = tuple(line for api in spec.apis for line in _elsewhere(api, index))
    if moved:
        places = ", ".join(f"{line.looked_for} in {line.path}" for line in moved)
        reason = f"fi_status undecided: it may have moved, FlashInfer has {places}"
        return _FiVerdict(evidence=(*evidence, *moved), notes=(reason,))
    return _FiVerdict(status="fi_missing", evidence=evidence, lack=_lack(spec))


def _elsewhere(api: str, index: FlashInfer) -> tuple[Evidence, ...]:
    """APIs of the same name in other modules, for one that is not where it is looked for.

    One that another kernel is known by is that kernel.
    """
    if index.find(api).found:  # there, but without the argument that makes it this kernel
        return ()
    name = api.rpartition(".")[2]
    known = {other for spec in SPECS.values() for other in spec.apis}
    same = (e for e in index.named(name) if e.found and e.looked_for == name)
    return tuple(e for e in same if f"{_module(e.path)}.{name}" not in known)


def _module(path: str) -> str:
    return path.removeprefix("python/").removesuffix(".py").replace("/", ".")


def _trace_undecided(error: SourceError) -> str:
    return f"fi_trace_template undecided: {error}"


def _lookups(spec: KernelSpec, index: FlashInfer) -> tuple[list[ApiLookup], dict[str, SourceError]]:
    """What was found of each API, and by API what could not be looked up."""
    lookups: list[ApiLookup] = []
    errors: dict[str, SourceError] = {}
    for api in spec.apis:
        try:
            lookups.append(_lookup(spec, api, index))
        except SourceError as error:
            errors[api] = error
    return lookups, errors


def _lookup(spec: KernelSpec, api: str, index: FlashInfer) -> ApiLookup:
    """An API without the argument that makes it this kernel is not there."""
    found = index.find(api, template_hint=spec.traced_as or None)
    taken = index.parameter(api, spec.passes) if found.found and spec.passes else None
    if taken is None:
        return found
    if not taken.found:
        return ApiLookup(api=api, found=False, evidence=(*found.evidence[:1], taken))
    return found.model_copy(update={"evidence": (*found.evidence, taken)})


@dataclass(frozen=True)
class _Part(_Verdict):
    lack: Lack | None = None


def _lacks(spec: KernelSpec, members: Iterable[str], index: FlashInfer) -> _Part:
    """What the API needs besides itself, for example a routing method, and is not there."""
    evidence: list[Evidence] = []
    notes: list[str] = []
    lack: Lack | None = None
    for member in members:
        cited = index.member(member)
        if cited is None:
            notes.append(f"not checked: {member.rpartition('.')[0]} is not there")
            continue
        evidence.append(cited)
        if not cited.found:
            notes.append(f"this FlashInfer has no {member}")
            enum, name = member.split(".")[-2:]
            request = _key(f"{spec.op_type}.{name}")
            limit = f"{name} {_MEMBER_OF[enum]}" if enum in _MEMBER_OF else name
            lack = _lack(spec, limit=limit).model_copy(update={"request": request})
    return _Part(evidence=tuple(evidence), notes=tuple(notes), lack=lack)


def _shape(spec: KernelSpec, values: Mapping[str, int], index: FlashInfer) -> _FiVerdict:
    """Missing only where every path refuses the shape; undecided where the rest is unchecked."""
    takes: list[str] = []
    unchecked: list[str] = []
    refused: list[str] = []
    limits: set[str] = set()
    evidence: list[Evidence] = []
    paths: list[ShapePath] = []
    for path in spec.paths:
        outcome = _path(path, values, index)
        evidence += outcome.evidence
        paths.append(_shape_path(path, outcome, index))
        if outcome.refused:
            refused.append(f"{path.name} refuses {'; '.join(outcome.refused)}")
            limits |= outcome.limits
        elif outcome.unchecked:
            unchecked.append(f"{path.name} not checked: {outcome.unchecked}")
        else:
            takes.append(path.name)
    seen = tuple(paths)
    if not refused:
        notes = tuple(unchecked) if not takes else ()
        return _FiVerdict(status="fi_supported", notes=notes, paths=seen)
    if takes:
        notes = (*refused, f"supported through {', '.join(takes)}")
        return _FiVerdict(status="fi_supported", evidence=tuple(evidence), notes=notes, paths=seen)
    if unchecked:
        reason = "fi_status undecided: some paths refuse the shape and the rest is not checked"
        notes = (reason, *refused, *unchecked)
        return _FiVerdict(evidence=tuple(evidence), notes=notes, paths=seen)
    lack = _lack(spec, "-and-".join(sorted(limits)), limit=" and ".join(sorted(limits)))
    return _FiVerdict(
        status="fi_missing", evidence=tuple(evidence), notes=tuple(refused), paths=seen, lack=lack
    )


@dataclass(frozen=True)
class _PathOutcome:
    refused: tuple[str, ...]
    limits: frozenset[str]
    """What the refusals are about: ``head size``."""
    unchecked: str
    evidence: tuple[Evidence, ...]


def _shape_path(path: CodePath, outcome: _PathOutcome, index: FlashInfer) -> ShapePath:
    """What one path does with the shape, and on which GPUs where a line says so."""
    cited = index.cites(path.gpus.file, path.gpus.text) if path.gpus is not None else None
    known = path.gpus is not None and cited is not None and cited.found
    return ShapePath(
        name=path.name,
        verdict="refuses" if outcome.refused else "not checked" if outcome.unchecked else "takes",
        gpus=path.gpus.names if path.gpus is not None and known else (),
        reason="; ".join(outcome.refused) or outcome.unchecked,
        evidence=(*outcome.evidence, *((cited,) if cited is not None and known else ())),
    )


def _path(path: CodePath, values: Mapping[str, int], index: FlashInfer) -> _PathOutcome:
    refused: list[str] = []
    limits: set[str] = set()
    evidence: list[Evidence] = []
    unchecked = "" if path.checked else "compiled or outside the checked sources"
    for newest in path.limits:
        limit, cited = _stated(newest, index)
        if cited is None:
            unchecked = f"its limit as of {limit.version} is not found in {limit.file}"
            continue
        value = limit.measure(values)
        if not _accepts(limit, value, cited.path, index):
            refused.append(f"{limit.what} {value}")
            limits.add(limit.what.partition(" (")[0])
            evidence.append(cited)
        elif limit.doubtful is not None and limit.doubtful(value):
            unchecked = f"nothing refuses {limit.what} {value}, but nothing shows that it works"
    return _PathOutcome(tuple(refused), frozenset(limits), unchecked, tuple(evidence))


def _stated(limit: Limit, index: FlashInfer) -> tuple[Limit, Evidence | None]:
    """The limit as this FlashInfer puts it, with its line; the newest one where it states none."""
    each: Limit | None = limit
    while each is not None:
        cited = index.cites(each.file, each.text)
        if cited is not None and cited.found:
            return each, cited
        each = each.earlier
    return limit, None


def _accepts(limit: Limit, value: int, file: str, index: FlashInfer) -> bool:
    if limit.accepts is not None:
        return limit.accepts(value)
    listed = index.matches(file, limit.listed)
    return value in {int(number) for number in listed if re.fullmatch(r"\d{1,9}", number)}


def _sglang(spec: KernelSpec, flashinfer: _FiVerdict, sources: Sources) -> _SglVerdict:
    index = sources.sglang
    if flashinfer.status == "fi_missing":
        return _SglVerdict(status="n/a")
    if isinstance(index, SourceError):
        return _SglVerdict(notes=(f"sgl_status undecided: {index}",))
    if flashinfer.status is None:
        return _SglVerdict(notes=("sgl_status undecided: it rests on fi_status",))
    lookups, errors = _calls(spec, flashinfer.apis, index, sources.flashinfer)
    used = tuple(lookup for lookup in lookups if lookup.used)
    if errors and not used:
        return _SglVerdict(notes=tuple(f"sgl_status undecided: {error}" for error in errors))
    return _SglVerdict(
        status="sgl_integrated" if used else "sgl_missing",
        evidence=tuple(item for lookup in (used or lookups) for item in lookup.evidence),
        notes=tuple(note for lookup in (used or lookups) for note in lookup.notes),
    )


def _calls(
    spec: KernelSpec, apis: tuple[str, ...], index: Sglang, flashinfer: FlashInfer | SourceError
) -> tuple[list[CallLookup], list[SourceError]]:
    lookups: list[CallLookup] = []
    errors: list[SourceError] = []
    for api in ("",) if spec.always_supported else apis:
        try:
            found = _call(spec, api, index, flashinfer) if api else index.linear_layer()
            lookups.append(found)
        except SourceError as error:
            errors.append(error)
    return lookups, errors


def _call(
    spec: KernelSpec, api: str, index: Sglang, flashinfer: FlashInfer | SourceError
) -> CallLookup:
    """Also by the other names that FlashInfer gives the same object."""
    known = not isinstance(flashinfer, SourceError)
    names = flashinfer.aliases(api, index.used_names()) if known else ()
    return index.calls(api, names, passes=spec.passes, omits=spec.omits)
