"""Numbers and words about a model outside its table of definitions. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from discover_models.audit.document import Block
from discover_models.audit.knowledge import Model
from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    GdnAttention,
    GqaAttention,
    MambaMixer,
    Mixer,
    MlaAttention,
    Moe,
)
from discover_models.domain.dimension import Dim

_SENTENCE = re.compile(r"(?:[^.]|\.(?!\s))+\.?")
_MIXERS = {"mla": "MLA", "dsa": "DSA", "gqa": "GQA", "mha": "GQA", "mqa": "GQA", "gdn": "GDN",
           "mamba2": "Mamba2", "mamba": "Mamba2"}  # fmt: skip
_FFNS = {"dense": "Dense", "moe": "MoE"}


class WrongNumber(NamedTuple):
    """A number in a sentence that no configuration has."""

    line: int
    found: str
    right: str
    field: str


def wrong_numbers(
    block: Block, models: tuple[Model, ...], titles: Iterable[str]
) -> Iterator[WrongNumber]:
    """Layer counts and ``field=number`` that contradict the configurations.

    A sentence that names another tracked model may speak of that one, and is passed over.
    """
    others = [
        re.compile(_mention(title), re.IGNORECASE) for title in titles if title != block.title
    ]
    for cell in block.lines[1:]:
        for sentence in _SENTENCE.findall(cell.text):
            if any(other.search(sentence) for other in others):
                continue
            for pattern, name, dims in _STATEMENTS:
                right = {dim.value for model in models for dim in dims(model.architecture)}
                for found in pattern.finditer(sentence):
                    if right and None not in right and int(found[1]) not in right:
                        numbers = " or ".join(
                            str(number) for number in sorted(map(int, filter(None, right)))
                        )
                        yield WrongNumber(cell.line, found[0], numbers, name)


def _mention(title: str) -> str:
    """A title with any of the blanks, dashes and slashes that people put between its words."""
    words = [re.escape(word) for word in re.split(r"[\s/-]+", title) if word]
    return r"\b" + r"[\s/-]*".join(words) + r"\b"


def _gqa(architecture: Architecture) -> list[GqaAttention]:
    return [m for g in architecture.groups for m in g.mixers if isinstance(m, GqaAttention)]


def _layers(architecture: Architecture) -> list[Dim]:
    return [architecture.num_layers]


def _hidden(architecture: Architecture) -> list[Dim]:
    return [architecture.hidden_size]


def _vocabulary(architecture: Architecture) -> list[Dim]:
    return [architecture.vocab_size]


def _head_dims(architecture: Architecture) -> list[Dim]:
    return [mixer.head_dim for mixer in _gqa(architecture)]


def _intermediates(architecture: Architecture) -> list[Dim]:
    """All widths that a configuration may call so."""
    found: list[Dim] = []
    for group in architecture.groups:
        if isinstance(group.ffn, DenseMlp):
            found.append(group.ffn.intermediate)
        elif isinstance(group.ffn, Moe):
            other = (group.ffn.shared_intermediate, group.ffn.dense_beside)
            found += [group.ffn.intermediate, *(dim for dim in other if dim is not None)]
    return found


_STATEMENTS: tuple[tuple[re.Pattern[str], str, Callable[[Architecture], list[Dim]]], ...] = (
    (re.compile(r"(?<![\w.,])(\d{1,6}) decoder layers"), "number of layers", _layers),
    (re.compile(r"\bhidden(?:_size)?=(\d{1,9})\b"), "hidden size", _hidden),
    (re.compile(r"\bhead_dim=(\d{1,9})\b"), "head dimension", _head_dims),
    (re.compile(r"\bintermediate(?:_size)?=(\d{1,9})\b"), "intermediate size", _intermediates),
    (re.compile(r"\bvocab(?:_size)?=(\d{1,9})\b"), "vocabulary", _vocabulary),
)


def right_architecture(text: str, models: Iterable[Model]) -> str:
    """What should stand in place of ``GQA + Dense``; empty when it is right or can't be judged.

    The kinds of attention and of feed-forward that most layers have must be named, and none that
    no layer has.
    """
    words = re.findall(r"[a-z0-9]+", text.casefold())
    rights = [_right(words, model.architecture) for model in models]
    return rights[0] if rights and all(rights) and len(set(rights)) == 1 else ""


def _right(words: list[str], architecture: Architecture) -> str:
    mixers, ffns = _counts(architecture)
    known = all(word in _MIXERS or word in _FFNS for word in words)
    if not known or "" in mixers or "" in ffns or not mixers or not ffns:
        return ""
    named = {_MIXERS[word] for word in words if word in _MIXERS}
    named_ffns = {_FFNS[word] for word in words if word in _FFNS}
    if _fits(named, mixers) and _fits(named_ffns, ffns):
        return ""
    feed_forward = "/".join(sorted(ffns))
    return " + ".join([*(name for name, _ in mixers.most_common()), feed_forward])


def _fits(named: set[str], counts: Counter[str]) -> bool:
    most = max(counts.values())
    return named <= set(counts) and any(counts[name] == most for name in named)


def _counts(architecture: Architecture) -> tuple[Counter[str], Counter[str]]:
    """Layers by kind of mixer and of feed-forward; the empty name for what no word is known."""
    mixers, ffns = Counter[str](), Counter[str]()
    for group in architecture.groups:
        for mixer in group.mixers:
            mixers[_mixer_word(mixer)] += group.count
        if group.ffn is not None:
            kind = {"dense": "Dense", "moe": "MoE"}.get(group.ffn.kind, "")
            ffns[kind] += group.count
    return mixers, ffns


def _mixer_word(mixer: Mixer) -> str:
    match mixer:
        case GqaAttention():
            return "GQA"
        case MlaAttention():
            return "MLA" if mixer.indexer is None else "DSA"
        case GdnAttention():
            return "GDN"
        case MambaMixer():
            return "Mamba2"
        case _:
            return ""
