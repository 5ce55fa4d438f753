"""Which kinds of attention, feed-forward and normalisation a class's records are.

A restriction of a kind stands beside it and has conditions of its own. Where only the attention
backend knows (recurrences that SGLang runs through its softmax attention's layer), the name that
SGLang gives the holder decides; `configs/hybrid_arch.py` sorts by configuration classes, which are
not known here.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from discover_models.sources.sglang_models.layer_view import short
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.routing import CUSTOM, custom_function, routing_of
from discover_models.sources.sglang_models.symbols import ClassSymbol
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Choice,
    ClassValue,
    Condition,
    Instance,
    Opaque,
    Site,
    Tensor,
    Unknown,
    Value,
    describe,
    raw,
    to_dim,
)

TOWER = re.compile(
    r"(^|[._])(vision|visual|audio|speech|sound|image|vit|vpm|apm|talker|token2wav|tts|projector"
    r"|resampler|aligner|connector|adapter)"
)
"""In the paths of what encodes other media or leads from it to the decoder."""
_LIGHTNING = re.compile(r"Lightning|Linear_?Att(n|ention)")
_MAMBA = re.compile(r"^(\w*Mamba2?Mixer|MambaMixer\d?)$")
_SHORT_CONV = re.compile(r"ShortConv")
_MIXER = re.compile(r"(Attention|Attn|Mixer)$")
_MLP = re.compile(r"MLP|Mlp|FeedForward|FFN|Intermediate")
_WIDENS = re.compile(r"gate_up|up_proj|^(w1|w13|fc1|fc_in|c_fc|linear_fc1|dense_h_to_4h|wi)")
_INDEX = re.compile(r"^(index|idx)_")
Under = tuple[Condition, ...]


@dataclass
class Kinds:
    """Kinds in order of appearance, each with the ways in which it comes to be there."""

    found: dict[str, list[Under]] = field(default_factory=dict[str, list[Under]])

    def add(self, kind: str, under: Under) -> None:
        self.found.setdefault(kind, []).append(under)

    def names(self) -> tuple[str, ...]:
        return tuple(self.found)

    def conditions(self) -> dict[str, str]:
        """By kind, for those that are not always there."""
        return {kind: _either(ways) for kind, ways in self.found.items() if all(ways)}


def _either(ways: list[Under]) -> str:
    texts = dict.fromkeys(" and ".join(dict.fromkeys(str(c) for c in way)) for way in ways)
    shown = list(texts)[:4]
    return " or ".join(shown) + (" or …" if len(texts) > len(shown) else "")


def of_the_decoder(records: Iterable[Record]) -> tuple[Record, ...]:
    """The records of the language model, without towers of other media; all where none is left."""
    everything = tuple(records)
    own = tuple(r for r in everything if not TOWER.search(r.name.lower()))
    mixes = any(r.kind in ("attention", "linear_attention") or _MIXER.search(r.cls) for r in own)
    return own if mixes else everything


class Tree:
    """Records with what holds them.

    Alternatives stand at the same path, so a path does not tell what holds a record; the order of
    the records does.
    """

    def __init__(self, records: tuple[Record, ...]) -> None:
        self.records = records
        self._parents: list[int | None] = []
        self._ends: dict[int, int] = {}
        stack: list[int] = []
        for index, record in enumerate(records):
            while stack and not _below(record.name, records[stack[-1]].name):
                self._ends[stack.pop()] = index
            self._parents.append(stack[-1] if stack else None)
            if record.kind == "module":
                stack.append(index)

    def modules(self) -> Iterator[int]:
        """The objects that were entered."""
        return (i for i, record in enumerate(self.records) if record.kind == "module")

    def parent(self, index: int) -> int | None:
        """What holds a record."""
        return self._parents[index]

    def inside(self, index: int | None) -> tuple[Record, ...]:
        """Everything that an object holds, also indirectly."""
        if index is None:
            return ()
        return self.records[index + 1 : self._ends.get(index, len(self.records))]

    def own(self, index: int | None) -> tuple[Record, ...]:
        """What an object holds itself."""
        return tuple(r for i, r in enumerate(self.records) if self._parents[i] == index)

    def above(self, index: int) -> set[int]:
        """A record and all that hold it."""
        found: set[int] = set()
        place: int | None = index
        while place is not None:
            found.add(place)
            place = self._parents[place]
        return found


def _below(name: str, place: str) -> bool:
    return not place or name.startswith(f"{place}.")


# --- attention --------------------------------------------------------------------------------


def attention_kinds(tree: Tree) -> Kinds:
    """The token mixers."""
    kinds = Kinds()
    taken: set[int] = set()
    for index, record in enumerate(tree.records):
        if record.kind in ("attention", "vision") and record.cls.endswith("Attention"):
            _softmax(tree, index, kinds)
        elif record.kind == "linear_attention":
            kinds.add(_linear(record), record.conditions)
        elif record.kind == "module" and (kind := _recurrence(tree, index)):
            kinds.add(kind, record.conditions)
        else:
            continue
        taken.add(index)
    for index, record in _unknown_mixers(tree, taken):
        if not any(index in tree.above(place) for place in taken):
            plain = any(_may_build(record, name) for name in ("RadixAttention", "VisionAttention"))
            kinds.add("gqa" if plain else f"other:{record.cls}", record.conditions)
    return kinds


def _unknown_mixers(tree: Tree, taken: set[int]) -> Iterator[tuple[int, Record]]:
    """What is called a mixer, in the stacks of layers that known mixers are in, if there are."""
    stacks = {_stack(tree.records[i].name) for i in taken}
    for index in tree.modules():
        record = tree.records[index]
        within = tree.above(index) & taken
        if (
            _MIXER.search(record.cls)
            and not within
            and (_stack(record.name) in stacks or not stacks)
        ):
            yield index, record


def _stack(name: str) -> str:
    """The path of the list of layers that a record is in."""
    parts = name.split(".")
    return ".".join(itertools.takewhile(lambda part: not part.isdigit(), parts))


def _softmax(tree: Tree, index: int, kinds: Kinds) -> None:
    record = tree.records[index]
    place = tree.parent(index)
    holder = tree.records[place] if place is not None else None
    inside = tree.inside(place)
    under = record.conditions
    crossing = _ways(record.args.get("is_cross_attention", False))
    for way in crossing or ():
        kinds.add("cross_attention", (*under, *way))
    if crossing is not None and not all(crossing):
        return
    if holder is not None and _may_build(holder, "Compressor"):
        # A layer may do without, and is still read by the backend of those that have one.
        kinds.add("dsv4", under)
    elif holder is not None and any(_LIGHTNING.search(name) for name in holder.bases):
        kinds.add("lightning", under)
    else:
        base = "mla" if _is_latent(holder) else "gqa"
        kinds.add(base, under)
        _restrict(record, base, inside, kinds)


def _may_build(holder: Record, name: str) -> bool:
    """Whether a class's code makes an object of a class of that name, on whatever condition."""
    cls = holder.instance.cls if isinstance(holder.instance, Instance) else None
    bases = [base for base in cls.mro if isinstance(base, ClassValue)] if cls else []
    nodes = [node for base in bases for node in ast.walk(base.node)]
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    return any(name in call.id for call in calls if isinstance(call, ast.Name))


def _is_latent(holder: Record | None) -> bool:
    attrs = holder.instance.attrs if holder and isinstance(holder.instance, Instance) else {}
    return attrs.get("kv_lora_rank") is not None


def _restrict(record: Record, base: str, inside: tuple[Record, ...], kinds: Kinds) -> None:
    under = record.conditions
    for kind, argument in (("sliding_window", "sliding_window_size"), ("chunked", "use_irope")):
        for way in _ways(record.args.get(argument)) or ():
            kinds.add(kind, (*under, *way))
    for part in inside:
        if part.kind == "module" and "Indexer" in part.cls:
            kinds.add("dsa" if base == "mla" else f"other:{part.cls}", part.conditions)
        elif base == "gqa" and part.kind == "linear" and _INDEX.search(short(part.name)):
            kinds.add("msa", part.conditions)


def _ways(value: Value) -> list[Under] | None:
    """Under which conditions a restriction holds that a value asks for; None where it never does.

    A value that is not decided is a condition of its own.
    """
    if isinstance(value, Choice):
        ways = [
            (condition, *way)
            for condition, option in value.options
            for way in (_ways(option) or ())
        ]
        return ways or None
    if value is ABSENT or value is None or isinstance(value, bool):
        return [()] if value is True else None
    if isinstance(value, (Unknown, Opaque)) or to_dim(value).value is None:
        return [(_when(value),)]
    return [()] if raw(value) > 0 else None


def _when(value: Value, holds: bool = True) -> Condition:
    return Condition(describe(value) or "the configuration", holds, Site("", 0))


def _linear(record: Record) -> str:
    """Gated DeltaNet decays per head, Kimi's delta attention per channel."""
    decay = record.args.get("dt_bias")
    heads = to_dim(record.args.get("num_v_heads")).expression
    if not isinstance(decay, Tensor) or not decay.shape:
        return f"other:{record.cls}"
    width = to_dim(decay.shape[0]).expression
    return "gdn" if width == heads else "kda"


def _recurrence(tree: Tree, index: int) -> str:
    record = tree.records[index]
    own = tree.own(index)
    if any(_MAMBA.search(name) for name in record.bases):
        return "mamba1" if any(short(r.name) == "x_proj" for r in own) else "mamba2"
    if _is_conv(record):
        above = tree.above(index) - {index}
        part = any(_has_decay(tree.own(place)) for place in above)
        return "" if part or any(_is_conv(tree.records[place]) for place in above) else "short_conv"
    if not _has_decay(own) or any(r.kind == "linear_attention" for r in own):
        return ""
    return "gdn"


def _is_conv(record: Record) -> bool:
    return any(_SHORT_CONV.search(name) for name in record.bases)


def _has_decay(own: tuple[Record, ...]) -> bool:
    """Whether these are the parameters of a gated recurrence: a decay and its bias."""
    names = {short(r.name) for r in own if r.kind == "parameter"}
    return {"A_log", "dt_bias"} <= names and "D" not in names


def by_class(holders: Iterable[tuple[str, ClassSymbol]]) -> Kinds:
    """The token mixers by the classes that hold them, where no constructor could be followed."""
    kinds = Kinds()
    under = (Condition("what decides for its class could not be followed", True, Site("", 0)),)
    for kind, cls in holders:
        if not TOWER.search(cls.space.file.path.rpartition("/")[2]) and "Vision" not in cls.name:
            kinds.add(_by_class(kind, cls), under)
    return kinds


def _by_class(kind: str, cls: ClassSymbol) -> str:
    if kind == "linear_attention":
        return "kda" if re.search(r"KDA|Kimi", cls.name) else "gdn"
    if _LIGHTNING.search(cls.name):
        return "lightning"
    latent = any(
        isinstance(n, ast.Attribute) and n.attr == "kv_lora_rank" for n in ast.walk(cls.node)
    )
    return "mla" if latent else "gqa"


# --- feed-forward and norms -------------------------------------------------------------------


def ffn_kinds(tree: Tree) -> Kinds:
    """Dense MLPs and mixtures of experts; shared experts belong to the latter."""
    kinds = Kinds()
    experts = [i for i, r in enumerate(tree.records) if r.kind == "experts"]
    homes = {tree.parent(i) for i in experts}
    for index in tree.modules():
        record = tree.records[index]
        if _is_mlp(record, tree.own(index)) and not tree.above(index) & homes:
            kinds.add("dense", record.conditions)
    for index in (*experts, *_without_layer(tree, homes)):
        for routing, under in _routings(tree, index):
            kinds.add(f"moe:{routing}", (*tree.records[index].conditions, *under))
    return kinds


def _without_layer(tree: Tree, homes: set[int | None]) -> Iterator[int]:
    """Routings whose experts are bare weights that a function multiplies by."""
    for index, record in enumerate(tree.records):
        if record.kind == "topk" and not tree.above(index) & homes:
            yield index


def _is_mlp(record: Record, own: tuple[Record, ...]) -> bool:
    if any(r.kind in ("attention", "linear_attention", "experts") for r in own):
        widens = [r for r in own if r.kind == "linear" and _WIDENS.search(short(r.name))]
        return bool(widens) and not any(r.kind == "experts" for r in own)
    linears = [short(r.name) for r in own if r.kind == "linear"]
    widens = any(_WIDENS.search(name) for name in linears)
    return (len(linears) >= 2 and widens) or (bool(linears) and bool(_MLP.search(record.cls)))


def _routings(tree: Tree, experts: int) -> Iterator[tuple[str, Under]]:
    """The routings of one block of experts, each with what decides for it."""
    home = tree.parent(experts)
    near = [r for r in tree.own(home) if r.kind == "topk"]
    near = near or [r for r in tree.inside(home) if r.kind == "topk" or r.cls.endswith("TopK")]
    for topk in near or [None]:
        yield from _routing(topk, tree.records[experts])


def _routing(topk: Record | None, experts: Record) -> Iterator[tuple[str, Under]]:
    if topk is None:
        yield routing_of(None, experts.args).name or "undecided", ()
        return
    if topk.cls != "TopK":
        yield f"other:{topk.cls}", ()
        return
    custom = custom_function(topk.args.get("custom_routing_function"))
    ways = list(_alternatives(topk, experts))
    names = {name for name, _ in ways}
    if names <= {"undecided", CUSTOM} and custom is not None:
        yield f"other:{custom.name}", ()
    elif len(names) == 1:
        yield next(iter(names)), ()
    else:
        yield from ways


_DECIDE = ("correction_bias", "use_grouped_topk", "renormalize", "scoring_func")


def _alternatives(topk: Record, experts: Record) -> Iterator[tuple[str, Under]]:
    """The routing for each value that an open argument may take.

    The scores are named by the configuration where they are open; the routing is then decided only
    where all scores give the same one.
    """
    options = [[(name, *way) for way in _values(name, topk.args.get(name))] for name in _DECIDE[:3]]
    scores = _values("scoring_func", topk.args.get("scoring_func", "softmax"))
    for chosen in itertools.product(*options):
        under = tuple(c for _, _, conditions in chosen for c in conditions)
        fixed = {name: value for name, value, _ in chosen if name in topk.args}
        open_scores = [value for value, _ in scores]
        found = {
            routing_of(
                replace(topk, args={**topk.args, **fixed, "scoring_func": s}), experts.args
            ).name
            for s in open_scores
        }
        name = found.pop() if len(found) == 1 else None
        yield name or "undecided", under


def _values(name: str, value: Value) -> list[tuple[Value, Under]]:
    if isinstance(value, Choice):
        found = [(v, (c, *u)) for c, option in value.options for v, u in _values(name, option)]
        return found[:8]
    if isinstance(value, Unknown) and name == "scoring_func":
        return [("softmax", ()), ("sigmoid", ())]
    if isinstance(value, (Unknown, Opaque)) and name in ("renormalize", "use_grouped_topk"):
        return [(True, (_when(value),)), (False, (_when(value, False),))]
    return [(value, ())]


_NORMS = (
    (re.compile(r"Gate"), "gated_rmsnorm"),
    (re.compile(r"Gemma"), "gemma_rmsnorm"),
    (re.compile(r"RMS"), "rmsnorm"),
    (re.compile(r"LayerNorm|^LN"), "layernorm"),
    (re.compile(r"GroupNorm"), "groupnorm"),
)


def norm_kinds(tree: Tree) -> Kinds:
    """The normalisations by what their classes are called."""
    kinds = Kinds()
    for record in tree.records:
        if record.kind == "norm":
            name = record.cls.rpartition(".")[2]
            kind = next((k for pattern, k in _NORMS if pattern.search(name)), f"other:{name}")
            kinds.add(kind, record.conditions)
    return kinds
