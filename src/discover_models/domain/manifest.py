"""The run manifest: the JSON file that later onboarding phases read and write too.

Names, values and omissions of the contract are fixed. Fields of ours stand beside them, and every
object keeps the keys that it does not know: they belong to whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt

from discover_models.domain.architecture import Unmapped
from discover_models.domain.depth import Depth, How, Take
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import (
    ClassifiedKernel,
    FiStatus,
    Inventory,
    Parallelism,
    Phase1Status,
    SglStatus,
)


def _as_lines(value: object) -> object:
    """One string is taken as one line."""
    return [value] if isinstance(value, str) else value


def _no_default_title(schema: dict[str, Any]) -> None:
    """Leave out the titles that only repeat field names."""
    for field in schema["properties"].values():
        field.pop("title", None)


UNREAD = " could not be read: "
"""Between a source and the reason in a note that is about a run and not about the model."""

Lines = Annotated[tuple[str, ...], BeforeValidator(_as_lines)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Text = Annotated[str, Field(min_length=1)]


class Open(BaseModel):
    """An object of the manifest: known fields are typed, unknown ones are kept as they are."""

    model_config = ConfigDict(frozen=True, extra="allow", json_schema_extra=_no_default_title)

    @classmethod
    def of(cls, known: dict[str, Any], foreign: dict[str, Any]) -> Self:
        """An object of values that were checked before."""
        made = cls.model_construct(**known)
        # Not as arguments: a foreign key may be called anything, `_fields_set` too.
        object.__setattr__(made, "__pydantic_extra__", foreign)
        return made

    def known(self) -> dict[str, Any]:
        """The fields that are ours or the contract's, as far as they are set."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name in self.model_fields_set
        }

    def foreign(self) -> dict[str, Any]:
        """The keys that somebody else wrote, in their order."""
        return dict(self.model_extra or {})


class ManifestEvidence(Open):
    """A line that supports a verdict, or a search that found nothing (`found` false)."""

    repository: str
    commit: str | None = None
    path: str
    line: StrictInt | None = None
    looked_for: str = ""
    found: StrictBool = True
    note: str = ""


class ManifestParallelism(Open):
    """A serving configuration that needs the definition."""

    tp: StrictInt = 1
    ep: StrictInt = 1
    dp: StrictInt | None = None
    dp_attention: StrictBool = False
    source: str = ""


class ManifestUnmapped(Open):
    """Something of the model that gives no definition, with the reason."""

    what: str
    reason: str
    fields: tuple[str, ...] = ()
    evidence: tuple[ManifestEvidence, ...] = ()


class ManifestLack(Open):
    """What FlashInfer lacks; definitions with the same `request` are asked for in one issue."""

    request: str
    kernel: str = ""
    limit: str = Field(default="", description="what alone is missing of a kernel that is there")
    data_type: str = ""
    apis: tuple[str, ...] = Field(default=(), description="public names that were looked for")
    near: tuple[str, ...] = Field(default=(), description="what FlashInfer has of it")
    read_at: str = Field(default="", description="release whose sources were read for it")
    unread: str = Field(default="", description="why a person should look before it is asked for")


class ManifestPath(Open):
    """One of FlashInfer's code paths at the definition's sharded shape."""

    name: str
    verdict: Take
    gpus: tuple[str, ...] = Field(default=(), description="generations that the code names")
    reason: str = ""
    evidence: tuple[ManifestEvidence, ...] = ()


class ManifestRelease(Open):
    """Which FlashInfer has the API; what was not checked is left out."""

    checkout: str = Field(default="", description="version that was looked at")
    since: str = Field(default="", description="first version in the history that has it")
    unreleased: StrictBool | None = None
    pinned: str = Field(default="", description="version that SGLang asks for")
    in_pinned: StrictBool | None = None
    evidence: tuple[ManifestEvidence, ...] = ()


class ManifestReach(Open):
    """One way in which SGLang comes to FlashInfer's kernel."""

    how: How
    api: str
    flag: str = ""
    gpus: tuple[str, ...] = ()
    condition: str = ""
    evidence: tuple[ManifestEvidence, ...] = ()


class ManifestProvider(Open):
    """What serves the kernel in SGLang instead of FlashInfer, or beside it."""

    name: str
    function: str = ""
    flag: str = ""
    gpus: tuple[str, ...] = Field(default=(), description="where it is the default")
    condition: str = ""
    evidence: tuple[ManifestEvidence, ...] = ()


class ManifestVeto(Open):
    """A feature of the model that one backend does not take."""

    feature: str
    backend: str
    evidence: tuple[ManifestEvidence, ...] = ()


class ManifestDepth(Open):
    """What stands beside the verdicts, as far as the sources say it."""

    release: ManifestRelease | None = None
    paths: tuple[ManifestPath, ...] = ()
    reach: tuple[ManifestReach, ...] = ()
    call_site: tuple[ManifestEvidence, ...] = Field(
        default=(), description="in the model's own file; absent: not shown for this model"
    )
    served_by: tuple[ManifestProvider, ...] = ()
    vetoes: tuple[ManifestVeto, ...] = ()

    def value(self) -> Depth:
        """Without what others wrote into it."""
        return Depth.model_validate(_plain(self))


class Variant(Open):
    """Another repository with the same kernels."""

    hf_repo_id: Text


class RepoShas(Open):
    """Abbreviated commit ids of what the classification was read from; evidence has full ones."""

    sglang: str | None = None
    flashinfer: str | None = None
    sgl_cookbook: str | None = None
    flashinfer_trace: str | None = None
    flashinfer_bench: str | None = None
    hub: str | None = None


class ManifestKernel(Open):
    """One definition that the model needs, with its verdicts.

    A verdict that is undecided, or that does not apply, is left out; `notes` says why.
    """

    definition_name: Text
    op_type: Text
    phase1_status: Phase1Status
    fi_status: FiStatus | None = Field(default=None, description="new only, where decided")
    sgl_status: SglStatus | None = Field(default=None, description="new only, where decided")
    fi_lack: ManifestLack | None = Field(default=None, description="fi_missing that is asked for")
    fi_trace_template: StrictBool | None = Field(
        default=None, description="fi_supported only, where decided"
    )
    required: StrictBool = Field(
        default=True, description="false: no longer needed, kept for what others wrote here"
    )
    source: str = Field(default="", description="formula or dataset_tag")
    dataset_name: str = Field(default="", description="the name that matched in the dataset")
    dataset_workloads: StrictBool | None = None
    layers: StrictInt | None = None
    used_for: tuple[str, ...] = ()
    variant: str = ""
    axes: dict[str, Any] = Field(default_factory=dict, description="constant axes")
    formulas: dict[str, Any] = Field(
        default_factory=dict, description="axis to expression over configuration fields"
    )
    parallelism: tuple[ManifestParallelism, ...] = ()
    notes: Lines = ()
    depth: ManifestDepth | None = Field(default=None, description="new only")
    changed: Day | None = Field(default=None, description="last day on which a fact changed")
    evidence: tuple[ManifestEvidence, ...] = ()
    tests: tuple[ManifestEvidence, ...] = ()


class Manifest(Open):
    """One model's run manifest."""

    model_slug: Text
    hf_repo_id: Text
    date: Day = Field(description="last day on which anything else in the manifest changed")
    repo_shas: RepoShas
    kernels: tuple[ManifestKernel, ...]
    summary: str = Field(default="", description="the architecture in words")
    hf_revision: str | None = Field(default=None, description="commit of config.json")
    parallelism: tuple[ManifestParallelism, ...] = ()
    notes: Lines = ()
    unmapped: tuple[ManifestUnmapped, ...] = ()
    group: str | None = Field(
        default=None,
        description="repository seen first among those with the same kernels apart from"
        " quantisation; never recomputed",
    )
    variants: tuple[Variant, ...] = ()
    implementation: ManifestEvidence | None = Field(
        default=None, description="where SGLang defines the model's class"
    )


SHORT_ID = 12
"""Characters of an abbreviated commit id; readers of the manifest accept 7 to 12."""


def from_inventory(inventory: Inventory, today: date) -> Manifest:
    """The manifest of a model that was looked at today."""
    day = today.isoformat()
    kernels = sorted((_kernel(k, day) for k in inventory.kernels), key=sort_key)
    shas = {name.replace("-", "_"): sha[:SHORT_ID] for name, sha in inventory.repo_shas.items()}
    return Manifest(
        model_slug=inventory.model_slug,
        hf_repo_id=inventory.hf_repo_id,
        date=day,
        repo_shas=RepoShas.model_validate(shas),
        kernels=tuple(kernels),
        **_filled(
            summary=inventory.summary,
            hf_revision=inventory.revision,
            parallelism=_parallelism(inventory.parallelism),
            notes=inventory.notes + _failures(inventory.source_errors),
            unmapped=tuple(_unmapped(u) for u in inventory.unmapped),
            group=inventory.group,
            variants=tuple(Variant(hf_repo_id=repo_id) for repo_id in inventory.variants),
            implementation=next(iter(_evidence(filter(None, [inventory.implementation]))), None),
        ),
    )


def sort_key(kernel: ManifestKernel) -> tuple[str, str]:
    """Where an entry stands in the manifest."""
    return kernel.op_type, kernel.definition_name


def json_schema() -> dict[str, Any]:
    """JSON Schema of the manifest, as published in docs/."""
    schema = Manifest.model_json_schema()
    schema["title"] = "discover-models run manifest"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _failures(source_errors: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{name}{UNREAD}{why}" for name, why in sorted(source_errors.items()))


def _filled(**fields: Any) -> dict[str, Any]:
    """The fields that say something; the others stay out of the file."""
    return {name: value for name, value in fields.items() if value not in (None, "", (), {})}


def _kernel(kernel: ClassifiedKernel, day: str) -> ManifestKernel:
    required = kernel.required
    return ManifestKernel(
        definition_name=required.definition_name,
        op_type=required.op_type,
        phase1_status=kernel.phase1_status,
        required=True,
        source=kernel.source,
        changed=day,
        **_filled(
            **_verdicts(kernel),
            **_existing(kernel),
            layers=required.layers,
            used_for=required.used_for,
            variant=required.variant,
            axes={name: axis.value for name, axis in required.axes.items()},
            formulas={name: axis.expression for name, axis in required.axes.items()},
            parallelism=_parallelism(required.parallelism),
            notes=tuple(dict.fromkeys(required.notes + kernel.notes)),
            depth=_depth(kernel.depth),
            evidence=_evidence((*required.evidence, *kernel.evidence)),
            tests=_evidence(kernel.tests),
        ),
    )


def _verdicts(kernel: ClassifiedKernel) -> dict[str, Any]:
    """The statuses that apply; the contract leaves out the others, and undecided ones."""
    if kernel.phase1_status == "existing":
        return {}
    statuses: dict[str, Any] = {"fi_status": kernel.fi_status, "sgl_status": kernel.sgl_status}
    if kernel.fi_lack is not None:
        statuses["fi_lack"] = ManifestLack(**_filled(**kernel.fi_lack.model_dump()))
    if kernel.fi_status == "fi_supported":
        statuses["fi_trace_template"] = kernel.fi_trace_template
    return statuses


def _existing(kernel: ClassifiedKernel) -> dict[str, Any]:
    if kernel.phase1_status == "new":
        return {}
    name = kernel.matched_name or kernel.required.definition_name
    return {"dataset_name": name, "dataset_workloads": kernel.workloads}


def _parallelism(values: Iterable[Parallelism]) -> tuple[ManifestParallelism, ...]:
    return tuple(ManifestParallelism(**_filled(**v.model_dump())) for v in values)


def _evidence(values: Iterable[Evidence]) -> tuple[ManifestEvidence, ...]:
    return tuple(ManifestEvidence(**_filled(**v.model_dump())) for v in dict.fromkeys(values))


def _depth(value: Depth | None) -> ManifestDepth | None:
    """Only what it says; None where it says nothing."""
    said = _said(value.model_dump()) if value is not None else {}
    return ManifestDepth.model_validate(said) if said else None


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that differ from their empty value, at every level."""

    def inner(value: Any) -> Any:
        if isinstance(value, dict):
            return _said(cast("dict[str, Any]", value))
        if isinstance(value, tuple | list):
            return tuple(inner(item) for item in cast("tuple[Any, ...]", value))
        return value

    return _filled(**{name: inner(value) for name, value in fields.items()})


def _plain(value: Any) -> Any:
    """Our fields alone, at every level."""
    if isinstance(value, Open):
        return {name: _plain(field) for name, field in value.known().items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in cast("tuple[Any, ...]", value))
    return value


def _unmapped(value: Unmapped) -> ManifestUnmapped:
    return ManifestUnmapped(
        what=value.what,
        reason=value.reason,
        **_filled(fields=value.fields, evidence=_evidence(value.evidence)),
    )
