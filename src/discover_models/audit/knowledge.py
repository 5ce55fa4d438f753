"""What is known of a title's model: the names that any serving configuration yields. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from discover_models.domain.architecture import Architecture, Moe, Unmapped
from discover_models.domain.kernel import Parallelism, RequiredKernel
from discover_models.ops import SPECS
from discover_models.requirements import requirements, split_dims

LARGEST_SIZE = 64
"""GPUs; the largest serving size that is tried besides those the document speaks of."""
_POWERS = frozenset({1, 2, 4, 8, 16, 32, 64})
_QUANTIZATIONS = ("fp8_block", "nvfp4", "fp8_per_tensor")
_AXES = re.compile(r"(_[a-z]+(\d+|\?+|\{\w*\}|<\w*>)?)+")
"""What follows a kernel's key in a name; numbers may still be placeholders."""
_OP_TYPES = frozenset(spec.op_type for spec in SPECS.values())
_LEFT_OPEN = {
    "q/k norm": frozenset({"rmsnorm"}),
    "rope": frozenset({"rope"}),
    "gated delta rule": frozenset({"gdn"}),
    "moe": frozenset({"moe"}),
    "indexer k_norm": frozenset[str](),
}
"""The op types that an `Unmapped` of a family leaves open, by what it is."""
_KEYS = sorted(SPECS, key=len, reverse=True)


@dataclass(frozen=True)
class Model:
    """One configuration that a title means."""

    repo_id: str
    architecture: Architecture


@dataclass(frozen=True)
class Names:
    """The definitions that a title's models need, however they are served or quantised."""

    models: tuple[Model, ...]
    kernels: Mapping[str, RequiredKernel]
    aliases: frozenset[str]
    """How dumps call the same kernels."""
    undecided: frozenset[str]
    """Op types of which the configuration does not say everything."""

    @property
    def repo_ids(self) -> tuple[str, ...]:
        return tuple(model.repo_id for model in self.models)

    def at(self, stated: Mapping[str, int]) -> Mapping[str, RequiredKernel]:
        """The names at the stated sizes (``TP``, ``EP``); empty when SGLang refuses them."""
        found: dict[str, RequiredKernel] = {}
        for model in self.models:
            served = _at(stated, sorted(_sizes(model.architecture)))
            for variant in _variants(model.architecture):
                found |= _by_name(requirements(variant, served).kernels)
        return found


def spec_of(name: str) -> str | None:
    """The key of the kernel that a name is built for; None for names of no known family."""
    for key in _KEYS:
        if name.startswith(key + "_") and _AXES.fullmatch(name[len(key) :]):
            return key
    return None


def names_of(models: Iterable[Model], stated: frozenset[int]) -> Names:
    """All names over powers of two, divisors of heads and experts, and the `stated` sizes.

    Heads depend on tp alone and experts on ep alone, so that each is tried without the other: tp
    with one GPU per expert group, ep with attention data parallel over all GPUs.
    """
    found: dict[str, RequiredKernel] = {}
    undecided: set[str] = set()
    models = tuple(models)
    for model in models:
        sizes = sorted(stated | _sizes(model.architecture))
        experts = [_spread(size) for size in sizes]
        served = [*(Parallelism(tp=size, source="any tp") for size in sizes), *experts]
        for number, variant in enumerate(_variants(model.architecture)):
            needed = requirements(variant, experts if number else served)
            found = _by_name(needed.kernels) | found
            if number == 0:
                undecided |= {op for item in needed.unmapped for op in _left_open(item)}
    aliases = frozenset(alias for kernel in found.values() for alias in _aliases(kernel))
    return Names(models, found, aliases, frozenset(undecided))


def _by_name(kernels: Iterable[RequiredKernel]) -> dict[str, RequiredKernel]:
    return {kernel.definition_name: kernel for kernel in kernels}


def _sizes(architecture: Architecture) -> frozenset[int]:
    counts = {dim.value for group in architecture.groups for _, dim, _ in split_dims(group)}
    divisors = (n for n in range(1, LARGEST_SIZE + 1) for c in counts if c and c % n == 0)
    return _POWERS | frozenset(divisors)


def _at(stated: Mapping[str, int], sizes: Sequence[int]) -> list[Parallelism]:
    """All servings that agree with what is stated."""
    tps = [stated["TP"]] if stated.get("TP") else sizes
    eps = [stated["EP"]] if stated.get("EP") else sizes
    served = [Parallelism(tp=tp, ep=ep) for tp in tps for ep in eps if tp % ep == 0]
    return served if "TP" in stated else [*served, *(_spread(ep) for ep in eps)]


def _spread(size: int) -> Parallelism:
    """Experts over all GPUs, attention whole on each."""
    return Parallelism(tp=size, ep=size, dp=size, dp_attention=True, source="any ep")


def _variants(architecture: Architecture) -> Iterator[Architecture]:
    """The model as published, then with its experts stored in the other ways."""
    yield architecture
    if any(isinstance(group.ffn, Moe) for group in architecture.groups):
        yield from (_stored_as(architecture, kind) for kind in _QUANTIZATIONS)


def _stored_as(architecture: Architecture, quantization: str) -> Architecture:
    groups = tuple(
        group.model_copy(
            update={"ffn": group.ffn.model_copy(update={"quantization": quantization})}
        )
        if isinstance(group.ffn, Moe)
        else group
        for group in architecture.groups
    )
    return architecture.model_copy(update={"groups": groups})


def _aliases(kernel: RequiredKernel) -> Iterator[str]:
    values = {name: axis.value for name, axis in kernel.axes.items()}
    for dump in SPECS[kernel.spec].dumps:
        yield dump.name.format(**values)


def _left_open(item: Unmapped) -> frozenset[str]:
    """The op types of which something unmapped may need other definitions than those found."""
    key = item.what.partition(" (")[0]
    if key in _LEFT_OPEN:
        return _LEFT_OPEN[key]
    if key in SPECS:
        return frozenset({SPECS[key].op_type})
    if item.reason.startswith("no definition names it"):
        return frozenset()
    return _OP_TYPES - {"sampling"}
