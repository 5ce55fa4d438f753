"""A manifest as the values that the report's rules and filters work on. Pure.

Only what is shown comes along: a manifest keeps neither what a formula's fields were nor what was
looked up, and foreign keys stay behind.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from discover_models.domain.architecture import Unmapped
from discover_models.domain.depth import Depth
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import (
    Axis,
    ClassifiedKernel,
    Inventory,
    Lack,
    Parallelism,
    RequiredKernel,
)
from discover_models.domain.manifest import (
    Manifest,
    ManifestDepth,
    ManifestEvidence,
    ManifestKernel,
    ManifestLack,
    ManifestParallelism,
)


def inventory_of(manifest: Manifest) -> Inventory:
    """What the manifest says of its model; entries that are no longer required are left out."""
    shas = manifest.repo_shas.known()
    return Inventory(
        model_slug=manifest.model_slug,
        hf_repo_id=manifest.hf_repo_id,
        revision=manifest.hf_revision,
        summary=manifest.summary,
        repo_shas={name: sha for name, sha in shas.items() if sha},
        kernels=tuple(kernel_of(k) for k in manifest.kernels if k.required),
        parallelism=parallelism_of(manifest.parallelism),
        unmapped=tuple(
            Unmapped(what=u.what, reason=u.reason, fields=u.fields, evidence=_evidence(u.evidence))
            for u in manifest.unmapped
        ),
        notes=manifest.notes,
    )


def kernel_of(entry: ManifestKernel) -> ClassifiedKernel:
    """One entry as a classified kernel."""
    return ClassifiedKernel(
        required=RequiredKernel(
            definition_name=entry.definition_name,
            op_type=entry.op_type,
            spec="",
            axes={
                name: Axis(value=value, expression=str(entry.formulas.get(name, value)))
                for name, value in entry.axes.items()
                if isinstance(value, int)
            },
            parallelism=parallelism_of(entry.parallelism),
            layers=entry.layers,
            used_for=entry.used_for,
            variant=entry.variant,
        ),
        phase1_status=entry.phase1_status,
        source="dataset_tag" if entry.source == "dataset_tag" else "formula",
        matched_name=entry.dataset_name,
        workloads=entry.dataset_workloads,
        fi_status=entry.fi_status,
        fi_lack=_lack(entry.fi_lack),
        fi_trace_template=entry.fi_trace_template,
        sgl_status=entry.sgl_status,
        evidence=_evidence(entry.evidence),
        tests=_evidence(entry.tests),
        notes=entry.notes,
        depth=_depth(entry.depth),
    )


def _lack(found: ManifestLack | None) -> Lack | None:
    return Lack.model_validate(found.known()) if found is not None else None


def _depth(value: ManifestDepth | None) -> Depth | None:
    """None also where evidence is of a repository that we don't know."""
    try:
        return value.value() if value is not None else None
    except ValidationError:
        return None


def parallelism_of(values: Iterable[ManifestParallelism]) -> tuple[Parallelism, ...]:
    """Serving configurations as the report's filters take them."""
    return tuple(Parallelism(**v.known()) for v in values)


def _evidence(values: Iterable[ManifestEvidence]) -> tuple[Evidence, ...]:
    """The evidence from repositories that we know; others wrote about theirs."""
    found: list[Evidence] = []
    for value in values:
        try:
            found.append(Evidence(**value.known()))
        except ValidationError:
            continue
    return tuple(found)
