"""One model's inventory from its configuration, over the indexes of a run. Pure."""

from collections.abc import Iterable, Mapping

from discover_models.classify import Sources, classify, tagged_only
from discover_models.domain.architecture import (
    Architecture,
    Ffn,
    GqaAttention,
    Mixer,
    MlaAttention,
    OtherMixer,
)
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ClassifiedKernel, Inventory, Parallelism
from discover_models.domain.model_name import plain_slugs
from discover_models.errors import SourceError
from discover_models.requirements import refusal, requirements
from discover_models.slugs import slug_of
from discover_models.sources.dataset import DatasetIndex

DEFAULT_PARALLELISM = (Parallelism(source="default: the cookbook has no such model"),)
_MIXER_NAMES = {
    "gqa": "GQA",
    "mla": "MLA",
    "dsv4": "compressed sparse attention (DSV4)",
    "gdn": "GDN",
    "kda": "KDA",
    "lightning": "lightning attention",
    "mamba2": "Mamba-2",
    "mamba1": "Mamba-1",
    "short_conv": "short convolution",
}


def build_inventory(
    *,
    slug: str,
    repo_id: str,
    revision: str | None,
    architecture: Architecture,
    parallelism: tuple[Parallelism, ...],
    sources: Sources,
    repo_shas: Mapping[str, str],
    notes: Iterable[str] = (),
    implementation: Evidence | None = None,
    lacking: Evidence | None = None,
    unread: Mapping[str, str] | None = None,
) -> Inventory:
    """What the model needs and where each definition stands.

    `lacking` says that SGLang has no class for the model, `unread` by source why something else
    that this rests on could not be read.

    Raises:
        SourceError: the dataset could not be read, so that nothing can be called new or existing.
    """
    if isinstance(sources.dataset, SourceError):
        raise sources.dataset
    needed = requirements(architecture, parallelism)
    classified = (classify(kernel, sources, architecture.name) for kernel in needed.kernels)
    kernels = tuple(_served(kernel, lacking) for kernel in classified)
    tagged = _tagged(slug, repo_id, kernels, sources.dataset)
    return Inventory(
        model_slug=slug,
        hf_repo_id=repo_id,
        revision=revision,
        summary=summary(architecture),
        repo_shas=dict(repo_shas),
        kernels=(*kernels, *tagged),
        parallelism=tuple(sizes for sizes in parallelism if not refusal(architecture, sizes)),
        unmapped=needed.unmapped,
        notes=(
            *notes,
            *architecture.notes,
            *(f"refused by SGLang: {refused}" for refused in needed.refused),
        ),
        source_errors={
            name: str(source)
            for name, source in (("flashinfer", sources.flashinfer), ("sglang", sources.sglang))
            if isinstance(source, SourceError)
        }
        | dict(unread or {}),
        implementation=implementation,
    )


def _served(kernel: ClassifiedKernel, lacking: Evidence | None) -> ClassifiedKernel:
    """With a note where SGLang calls the kernel but can't run the model that needs it."""
    if lacking is None or kernel.sgl_status != "sgl_integrated":
        return kernel
    note = "SGLang has no class for this model: no workloads of it can be collected there yet"
    return kernel.model_copy(
        update={"evidence": (*kernel.evidence, lacking), "notes": (note, *kernel.notes)}
    )


def _tagged(
    slug: str, repo_id: str, kernels: tuple[ClassifiedKernel, ...], dataset: DatasetIndex
) -> tuple[ClassifiedKernel, ...]:
    """What the dataset tags with this model and no formula yields."""
    found = {kernel.matched_name for kernel in kernels}
    names = frozenset({slug, slug_of(repo_id)}) | plain_slugs(repo_id)
    return tagged_only(dataset.tagged(names), found, dataset)


def summary(architecture: Architecture) -> str:
    """For people: ``94 layers, GQA + MoE``."""
    mixers: dict[str, int] = {}
    ffns: dict[str, int] = {}
    for group in architecture.groups:
        if group.mixers:
            name = " beside ".join(map(_mixer_name, group.mixers))
            mixers[name] = mixers.get(name, 0) + group.count
        if group.ffn is not None:
            name = _ffn_name(group.ffn)
            ffns[name] = ffns.get(name, 0) + group.count
    count = architecture.num_layers.value
    parts = [_listed(mixers), _listed(ffns)]
    return f"{count or 'unknown number of'} layers, " + (" + ".join(filter(None, parts)) or "?")


def _listed(counts: Mapping[str, int]) -> str:
    """``GQA``, or with several ``GDN (36) and GQA (12)``."""
    if len(counts) == 1:
        return next(iter(counts))
    return " and ".join(f"{name} ({count})" for name, count in counts.items())


def _mixer_name(mixer: Mixer) -> str:
    if isinstance(mixer, OtherMixer):
        return mixer.name
    if isinstance(mixer, MlaAttention) and mixer.indexer is not None:
        return "MLA (DSA)"
    if isinstance(mixer, GqaAttention) and mixer.msa is not None:
        return "GQA (MSA)"
    return _MIXER_NAMES[mixer.kind]


def _ffn_name(ffn: Ffn) -> str:
    return {"dense": "dense MLP", "moe": "MoE", "other": "other"}[ffn.kind]
