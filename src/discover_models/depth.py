"""What an engineer asks after the verdicts, from the same indexes. Pure.

A source that could not be read, or does not say it, leaves its part out.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from discover_models.domain.depth import Depth, Question, Reach, Release, ShapePath, Veto
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import RequiredKernel
from discover_models.errors import SourceError
from discover_models.ops.base import KernelSpec
from discover_models.ops.sglang_layers import LATENT, LAYERS

_FEATURES = {
    "attention sinks": ("sinks", "has_attention_sinks"),
    "logits are soft-capped": ("logits_soft_cap", ""),
    "sliding window": ("window_left", ""),
}
"""Start of a requirement's note → parameter of FlashInfer's attention, and what SGLang's own rules
call it."""
_DATA_TYPES = ("mxfp4", "nvfp4", "mxfp8", "mxint4", "int4")
_BACKENDS = 3
"""How many ways a note names."""


class FlashInferFacts(Protocol):
    """What depth asks of FlashInfer's index."""

    def backends(self, api: str) -> tuple[ShapePath, ...]:
        """The API's backends with the GPUs that its own check names."""
        ...

    def release(self, api: str, pinned: str) -> Release:
        """Which FlashInfer has the API."""
        ...

    def parameter(self, api: str, name: str) -> Evidence | None:
        """The line of a parameter, or that there is none; None where that is open."""
        ...

    def aliases(self, api: str, names: Iterable[str]) -> tuple[str, ...]:
        """Other names of the same object among these."""
        ...


class SglangFacts(Protocol):
    """What depth asks of SGLang's index."""

    def used_names(self) -> tuple[str, ...]:
        """Every dotted FlashInfer name that is used."""
        ...

    def depth(self, question: Question) -> Depth:
        """Ways to a kernel, the model's own lines, and what else serves it."""
        ...

    def pinned(self) -> Evidence | None:
        """The line that asks for a version of FlashInfer, which its note names."""
        ...


def depth_of(
    kernel: RequiredKernel,
    spec: KernelSpec,
    apis: Sequence[str],
    paths: tuple[ShapePath, ...],
    flashinfer: FlashInferFacts | SourceError,
    sglang: SglangFacts | SourceError,
    model: str,
) -> Depth:
    """Everything beside the verdicts on one new definition.

    `apis` are those that FlashInfer has, `paths` its code paths at the shape, `model` the class in
    `architectures`.
    """
    said = _reach(kernel, spec, apis, flashinfer, sglang, model)
    if isinstance(flashinfer, SourceError) or not apis:
        return said.model_copy(update={"paths": paths})
    pin = sglang.pinned() if not isinstance(sglang, SourceError) else None
    release = flashinfer.release(apis[0], pin.note if pin else "")
    vetoes = tuple(_vetoes(kernel, apis, flashinfer))
    ways = [way for way in said.reach if not _of_another_type(kernel.variant, way)]
    reach, refused = _without_vetoed(kernel, ways)
    return said.model_copy(
        update={
            "release": release.model_copy(update={"evidence": (pin,) if pin else ()}),
            "paths": (*paths, *(p for api in apis for p in flashinfer.backends(api))),
            "reach": reach,
            "vetoes": (*vetoes, *refused),
        }
    )


def _reach(
    kernel: RequiredKernel,
    spec: KernelSpec,
    apis: Sequence[str],
    flashinfer: FlashInferFacts | SourceError,
    sglang: SglangFacts | SourceError,
    model: str,
) -> Depth:
    if isinstance(sglang, SourceError) or spec.always_supported:
        return Depth()
    used = sglang.used_names()
    names = apis or spec.apis
    if isinstance(flashinfer, SourceError):
        known = [(api,) for api in names]
    else:
        known = [(api, *flashinfer.aliases(api, used)) for api in names]
    question = Question(
        apis=tuple(known),
        passes=spec.passes,
        omits=spec.omits,
        latent=LATENT.get(kernel.op_type),
        mode=next((m for m in ("prefill", "decode") if m in kernel.spec.split("_")), ""),
        model=model,
        traits=frozenset(_traits(kernel)),
        layers=LAYERS.get(kernel.op_type, ()),
        own=spec.sglang,
    )
    return sglang.depth(question)


def _traits(kernel: RequiredKernel) -> Iterator[str]:
    if _has(kernel, "attention sinks"):
        yield "has_attention_sinks"
    if "head_dim_vo" in kernel.axes:
        yield "has_asymmetric_kv"


def _has(kernel: RequiredKernel, feature: str) -> bool:
    return any(note.startswith(feature) for note in kernel.notes)


def _vetoes(
    kernel: RequiredKernel, apis: Sequence[str], flashinfer: FlashInferFacts
) -> Iterator[Veto]:
    for feature, (parameter, _) in _FEATURES.items():
        if _has(kernel, feature):
            for api in apis:
                taken = flashinfer.parameter(api, parameter)
                if taken is not None and not taken.found:
                    yield Veto(feature=feature, backend=api, evidence=(taken,))


def _of_another_type(variant: str | None, way: Reach) -> bool:
    """Whether an option names another data type than the definition's experts have."""
    named = [t for t in _DATA_TYPES if t in way.flag]
    return variant in _DATA_TYPES and bool(named) and variant not in named


def _without_vetoed(
    kernel: RequiredKernel, reach: Sequence[Reach]
) -> tuple[tuple[Reach, ...], tuple[Veto, ...]]:
    """The ways that SGLang does not rule out for a feature of the model, and what it rules out."""
    kept: list[Reach] = []
    vetoes: list[Veto] = []
    for way in reach:
        ruled = [
            feature
            for feature, (_, word) in _FEATURES.items()
            if word and _has(kernel, feature) and word in way.condition.partition("not ")[2]
        ]
        vetoes += [
            Veto(feature=feature, backend=way.flag, evidence=way.evidence) for feature in ruled
        ]
        if not ruled:
            kept.append(way)
    return tuple(kept), tuple(dict.fromkeys(vetoes))


def depth_notes(depth: Depth, *, integrated: bool) -> tuple[str, ...]:
    """The depth in a few words, for tables."""
    return tuple(
        filter(
            None,
            (
                _how(depth.reach),
                _shown(depth) if integrated else "",
                _served(depth),
                *(f"{v.backend} takes no {v.feature}" for v in depth.vetoes[:_BACKENDS]),
                _pinned(depth.release),
            ),
        )
    )


def _how(reach: Sequence[Reach]) -> str:
    """The ways through options, the most certain first."""
    named: dict[str, str] = {}
    for how in ("some_models", "default", "some_gpus", "flag"):
        for way in reach:
            if way.how == how and way.flag:
                words = _WORDS[how] if way.gpus else _WORDS[how].replace(" on {gpus}", "")
                named.setdefault(f"{way.flag}{words.format(gpus=', '.join(way.gpus))}", "")
    ways = list(named)[:_BACKENDS]
    return f"SGLang: {'; '.join(ways)}" if ways else ""


_WORDS = {
    "some_models": " (chosen for this model on {gpus})",
    "default": " (default)",
    "some_gpus": " (default on {gpus})",
    "flag": "",
}


def _shown(depth: Depth) -> str:
    asked = depth.reach and any(way.flag for way in depth.reach)
    return (
        "" if depth.call_site or not asked else "SGLang uses it; that this model does was not seen"
    )


def _served(depth: Depth) -> str:
    everywhere = {p.function or p.name for p in depth.served_by if not p.gpus}
    names = dict.fromkeys(
        (p.function or p.name)
        + ("" if (p.function or p.name) in everywhere else f" on {', '.join(p.gpus)}")
        for p in depth.served_by
    )
    return f"otherwise served by {', '.join(list(names)[:_BACKENDS])}" if names else ""


def _pinned(release: Release | None) -> str:
    if release is None:
        return ""
    if release.in_pinned is False:
        return f"not in FlashInfer {release.pinned}, which SGLang asks for"
    return "in no FlashInfer release yet" if release.unreleased else ""
