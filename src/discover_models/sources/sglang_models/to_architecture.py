"""A model as SGLang's source builds it, as the domain's `Architecture`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Literal

from discover_models.domain.architecture import (
    Architecture,
    LayerGroup,
    Linear,
    Mamba1Mixer,
    Mixer,
    Moe,
    Norm,
    OtherFfn,
    OtherMixer,
    ShortConvMixer,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.evidence import Evidence
from discover_models.sources.sglang_models.config_value import ConfigValue
from discover_models.sources.sglang_models.ffns import LISTED_EXPERT, ffn_of
from discover_models.sources.sglang_models.kinds import TOWER
from discover_models.sources.sglang_models.layer_view import (
    LayerView,
    adds_one,
    arguments_of,
    is_gated,
    is_multiplied,
    norm_size,
    parent_of,
    short,
    size_of,
)
from discover_models.sources.sglang_models.merged import merged_after_loading
from discover_models.sources.sglang_models.mixers import is_decay, mixers_of
from discover_models.sources.sglang_models.model_source import LayerSource, ModelSource, Record
from discover_models.sources.sglang_models.routing import Routing
from discover_models.sources.sglang_models.usage import is_called
from discover_models.sources.sglang_models.values import (
    ABSENT,
    ClassValue,
    Instance,
    Value,
    to_dim,
)

NormKind = Literal["rmsnorm", "fused_add_rmsnorm", "layernorm", "gated_rmsnorm"]
_SIGNED = frozenset({"linear", "norm", "attention", "linear_attention", "topk", "experts", "rope"})


def to_architecture(model: ModelSource) -> Architecture:
    """Groups of equal layers with explicit linears and norms, and what could not be mapped."""
    text = model.config.text or model.config
    hidden = to_dim(_found(text, "hidden_size"))
    groups: list[LayerGroup] = []
    unmapped: list[Unmapped] = [
        _problem(model, p.what, p.reason, p.site.path, p.site.line) for p in model.unmapped
    ]
    for layers in _equal(model):
        view = LayerView(model, layers[0])
        group, open_parts = _group(view, tuple(layer.index for layer in layers), hidden)
        groups.append(group)
        unmapped.extend(part for part in open_parts if part not in unmapped)
    final = _final_norm(model, hidden)
    if final is not None and final[1].kind == "gated_rmsnorm":
        unmapped.append(_gated(model, final[0]))
    return Architecture(
        name=model.entry.architecture,
        model_type=str(_found(model.config, "model_type") or ""),
        text_path=text.path.rstrip(".") if text is not model.config else "",
        hidden_size=hidden,
        vocab_size=to_dim(_found(text, "vocab_size")),
        num_layers=_layer_count(model, text),
        groups=tuple(groups),
        gemma_norm=any(
            adds_one(r) for layer in model.layers for r in layer.records if r.kind == "norm"
        ),
        final_norm=final[1] if final is not None else None,
        outside=tuple(_outside(model)),
        unmapped=tuple(unmapped),
    )


def _outside(model: ModelSource) -> Iterator[Linear]:
    """The decoder's linear layers right beside its list, of which every test is decided."""
    place = parent_of(model.decoder_path)
    for record in model.outside:
        home = parent_of(record.name)
        listed = parent_of(home) if short(record.name).isdigit() else home
        beside = bool(place) and listed == place and not TOWER.search(short(record.name).lower())
        if record.kind == "linear" and beside and not record.conditions:
            n, k = size_of(record)
            yield Linear(name=record.name, n=n, k=k, evidence=(model.evidence(record),))


def _final_norm(model: ModelSource, hidden: Dim) -> tuple[Record, Norm] | None:
    """The one normalisation beside the list of layers, as wide as the hidden state."""
    place = parent_of(model.decoder_path)
    found = [
        r
        for r in model.outside
        if r.kind == "norm" and parent_of(r.name) == place and norm_size(r).value == hidden.value
    ]
    holder = next((r.instance for r in model.outside if r.name == place), None)
    if len(found) != 1 or not isinstance(holder, Instance):
        return None
    kind = _norm_kind(found[0])
    if kind == "rmsnorm" and _adds_residual(holder, found[0]):
        kind = "fused_add_rmsnorm"
    evidence = (model.evidence(found[0]),)
    size = norm_size(found[0])
    return found[0], Norm(name="final norm", kind=kind, size=size, evidence=evidence)


def _found(config: ConfigValue, name: str) -> Value:
    value = config.find(name)
    return None if value is ABSENT else value


def _layer_count(model: ModelSource, text: ConfigValue) -> Dim:
    declared = to_dim(_found(text, "num_hidden_layers"))
    built = len(model.layers)
    return declared if declared.value == built else Dim(value=built, expression="layers built")


def _equal(model: ModelSource) -> list[list[LayerSource]]:
    groups: dict[object, list[LayerSource]] = {}
    for layer in model.layers:
        groups.setdefault(signature(layer), []).append(layer)
    return list(groups.values())


def signature(layer: LayerSource) -> object:
    """What tells a layer from others: its records with their sizes, without its index."""
    return tuple(
        (r.name, r.kind, r.cls, tuple(str(c) for c in r.conditions), _arguments(r))
        for r in layer.records
    )


def _arguments(record: Record) -> object:
    if record.kind not in _SIGNED and record.kind not in ("conv1d", "parameter", "activation"):
        return ()
    return arguments_of(record)


def _group(
    view: LayerView, indexes: tuple[int, ...], hidden: Dim
) -> tuple[LayerGroup, list[Unmapped]]:
    ffn, routing = ffn_of(view, hidden)
    evidence = (view.model.evidence(view.layer.records[0]),)
    mixers: list[Mixer | None] = [
        m.mixer.model_copy(update={"evidence": evidence})
        if isinstance(m.mixer, OtherMixer)
        else m.mixer
        for m in mixers_of(view)
    ]
    mixer, beside = (*mixers, None, None)[:2]
    if isinstance(ffn, OtherFfn):
        ffn = ffn.model_copy(update={"evidence": evidence})
    unmapped: list[Unmapped] = []
    if routing is not None and routing.reason:
        unmapped.append(_routing(view, routing, evidence))
    if isinstance(ffn, Moe) and ffn.choices is not None:
        empty, choices = ffn.choices - ffn.experts, ffn.choices
        why = f"{empty.value} of {choices.value} choices of the router have no weights;"
        why += " no family maps what stands in for them"
        unmapped.append(Unmapped(what="experts without weights", reason=why, evidence=evidence))
    unmapped.extend(
        Unmapped(
            what=f"experts {record.name}",
            reason="a second set of experts in the layer; the definition is of the first",
            evidence=(view.model.evidence(record),),
        )
        for record in view.of_kind("experts")[1:]
    )
    for record in view.of_kind("parameter"):
        if isinstance(mixer, ShortConvMixer) and "conv" in record.name.rpartition(".")[2]:
            continue  # the filters of the convolution
        if isinstance(mixer, Mamba1Mixer) and is_decay(record, mixer.channels):
            continue
        if _is_matrix(record) and not is_multiplied(view, record):
            unmapped.append(
                Unmapped(
                    what=f"parameter {record.name}",
                    reason="a matrix that no known layer multiplies by",
                    evidence=(view.model.evidence(record),),
                )
            )
    unmapped.extend(
        _gated(view.model, record)
        for record in view.of_kind("norm")
        if is_gated(record)
        and is_called(view.holder(record), short(record.name))
        and not any(placed.runs_gated(record) for placed in mixers_of(view))
    )
    unmapped.extend(merged_after_loading(view))
    group = LayerGroup(
        layers=indexes,
        mixer=mixer,
        beside=beside,
        ffn=ffn,
        linears=_linears(view),
        norms=_norms(view, indexes),
    )
    return group, unmapped


def _routing(view: LayerView, routing: Routing, evidence: tuple[Evidence, ...]) -> Unmapped:
    """What is not known of a routing, where its function is defined, else where the layer is."""
    if routing.site is not None:
        site = routing.site
        evidence = (view.model.source.evidence(site.path, site.line, "the routing function"),)
    return Unmapped(what="choice of experts", reason=routing.reason, evidence=evidence)


def _is_matrix(record: Record) -> bool:
    """Whether a parameter has two dimensions; a bias is often stored with one row."""
    shape = record.args["shape"]
    return len(shape) == 2 and all(to_dim(size).value != 1 for size in shape)


def _gated(model: ModelSource, record: Record) -> Unmapped:
    """A norm with a gate that belongs to no known mixer."""
    reason = f"no family maps {record.cls}, which multiplies what it normalises by a gate"
    cls = record.instance.cls if isinstance(record.instance, Instance) else None
    built = cls.members.get("__init__") if cls is not None else None
    for node in ast.walk(built) if built is not None else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Linear"):
            reason += "; its own linear layers are not listed either"
            break
    return Unmapped(
        what=f"gated norm {record.name}", reason=reason, evidence=(model.evidence(record),)
    )


def _problem(model: ModelSource, what: str, reason: str, path: str, line: int) -> Unmapped:
    return Unmapped(what=what, reason=reason, evidence=(model.source.evidence(path, line, what),))


def _linears(view: LayerView) -> tuple[Linear, ...]:
    """Every GEMM of the layer, the router's bare weight included."""
    found: dict[str, Linear] = {}
    for record in view.of_kind("linear", "parameter"):
        if LISTED_EXPERT.search(record.name):
            continue
        if record.kind == "linear" or is_multiplied(view, record):
            n, k = size_of(record)
            name = record.name.removesuffix(".weight")
            evidence = (view.model.evidence(record),)
            found.setdefault(name, Linear(name=name, n=n, k=k, evidence=evidence))
    return tuple(found.values())


def _norms(view: LayerView, indexes: tuple[int, ...]) -> tuple[Norm, ...]:
    """Every normalisation of a group of layers.

    One that takes the residual is fused with the addition, except for the model's very first one:
    no residual is there yet, so layer 0 runs the plain kernel of the same size.
    """
    norms: list[Norm] = []
    first = _first_with_residual(view) if 0 in indexes else None
    for record in view.of_kind("norm"):
        if not is_called(view.holder(record), short(record.name)):
            continue
        kind = _norm_kind(record)
        fused = kind == "rmsnorm" and _takes_residual(view, record)
        if fused and record is first:
            norms.append(_norm(view, record, "rmsnorm", (0,)))
        rest = tuple(index for index in indexes if index) if record is first else None
        if fused and rest != ():
            norms.append(_norm(view, record, "fused_add_rmsnorm", rest))
        elif not fused:
            norms.append(_norm(view, record, kind, None))
    return tuple(norms)


def _norm(view: LayerView, record: Record, kind: NormKind, layers: tuple[int, ...] | None) -> Norm:
    evidence = (view.model.evidence(record),)
    size = norm_size(record)
    return Norm(name=record.name, kind=kind, size=size, layers=layers, evidence=evidence)


def _first_with_residual(view: LayerView) -> Record | None:
    """The norm that layer 0 runs without a residual.

    Its holder's code calls it both ways; where a stage boundary runs the norms, the first counts.
    """
    taking = [r for r in view.of_kind("norm") if _takes_residual(view, r)]
    both = [r for r in taking if short(r.name) in _called_plain(view.holder(r))]
    return next(iter(both or taking), None)


def _norm_kind(record: Record) -> NormKind:
    if is_gated(record):
        return "gated_rmsnorm"
    return "layernorm" if re.search(r"(?<!RMS)LayerNorm|GroupNorm", record.cls) else "rmsnorm"


def _takes_residual(view: LayerView, record: Record) -> bool:
    """Whether a stage boundary or the holder's own code runs a norm with the residual."""
    return _adds_residual(view.holder(record), record)


def _adds_residual(holder: Instance | None, record: Record) -> bool:
    if holder is not None and holder.cls and short(record.name) in _with_residual(holder.cls):
        return True
    return isinstance(record.instance, Instance) and "takes_residual" in record.instance.attrs


def _with_residual(cls: ClassValue) -> frozenset[str]:
    """The members that a class's methods call with a second positional argument or a residual."""
    return _called(cls)[0]


def _called_plain(holder: Instance | None) -> frozenset[str]:
    """The members that a class's methods call with one argument only."""
    return _called(holder.cls)[1] if holder is not None and holder.cls else frozenset()


def _called(cls: ClassValue) -> tuple[frozenset[str], frozenset[str]]:
    """The members that a class's methods call with a residual, and those called without one."""
    if "called" not in cls.cache:
        found: dict[bool, set[str]] = {True: set(), False: set()}
        for node in _running(cls):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and (name := _member(call.func)):
                    found[_passes_residual(call)].add(name)
                elif isinstance(call, ast.Call) and "residual" in ast.unparse(call.func):
                    found[True] |= {_member(argument) for argument in call.args}
        cls.cache["called"] = (frozenset(found[True]), frozenset(found[False]))
    return cls.cache["called"]


def _running(cls: ClassValue) -> Iterator[ast.stmt]:
    """The members of a class and its bases; an overridden one where `super` still calls it."""
    hidden: dict[str, bool] = {}
    for base in cls.mro:
        for name, node in base.members.items() if isinstance(base, ClassValue) else ():
            if not hidden.get(name):
                yield node
                hidden[name] = f"super().{name}(" not in ast.unparse(node)


def _member(node: ast.expr) -> str:
    """The name in ``self.name``; empty for anything else."""
    match node:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return ""


def _passes_residual(call: ast.Call) -> bool:
    keyword = any(k.arg == "residual" for k in call.keywords)
    return keyword or (len(call.args) > 1 and "residual" in ast.unparse(call.args[1]))
