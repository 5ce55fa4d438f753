"""What a registered class is for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from discover_models.domain.listing import Role
from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.values import raw

_DRAFT = re.compile(r"Eagle|MTP|NextN|Draft|DSpark|DFlash|Medusa|Assistant", re.IGNORECASE)
_DRAFT_FILE = re.compile(r"(^|_)(eagle\d*|mtp|nextn|draft|dspark|dflash\d*|medusa)(_|$)")
_DIFFUSION = re.compile(r"Diffusion|LLaDA|SDAR|Dream")
_AUDIO = re.compile(r"A(SR|sr)(?![a-z])|Whisper|TTS")
_JUDGES = re.compile(r"Embedding|Reward|Classif|Rerank")
_ENCODER = re.compile(
    r"(Vision|Visual|Audio|Siglip|CLIP)\w*(Model|Tower|Encoder|Transformer)$|^CLIP"
)
_TOWERS = frozenset({"tower", "vision"})
_CONFIG = "sglang.srt.configs.model_config"


@dataclass(frozen=True)
class Named:
    """The architectures that SGLang's own code names for a purpose."""

    pooled: frozenset[str] = frozenset()
    multimodal: frozenset[str] = frozenset()
    audio: frozenset[str] = frozenset()
    diffusion: frozenset[str] = frozenset()


def named(source: SglangSource) -> Named:
    """Read SGLang's lists; what a release does not have, or says otherwise, names nothing."""
    return Named(
        pooled=_strings(source, _CONFIG, "is_generation_model"),
        multimodal=_strings(source, _CONFIG, "multimodal_model_archs"),
        audio=_strings(source, _CONFIG, "is_audio_model"),
        diffusion=_strings(source, "sglang.srt.dllm.config", "DLLM_PARAMS"),
    )


def role_of(
    architecture: str, path: str, records: tuple[Record, ...], lists: Named, members: frozenset[str]
) -> Role:
    """The role of a class; `records` is what it constructs, `members` the names it defines.

    A draft comes first: it is one whatever it is made of. An encoder has no causal attention.
    Beside the classes that SGLang lists, one takes other media that always has an encoder for them.
    """
    if _DRAFT.search(architecture) or _DRAFT_FILE.search(PurePosixPath(path).stem):
        return "draft"
    if architecture in lists.diffusion or _DIFFUSION.search(architecture):
        return "diffusion"
    if architecture in lists.audio or _AUDIO.search(architecture):
        return "audio_or_other"
    if _ENCODER.search(architecture) or _encodes(records):
        return "encoder_only"
    if architecture in lists.pooled or _JUDGES.search(architecture) or _pools(records):
        return "embedding_or_reward"
    if architecture in lists.multimodal or _takes_media(
        architecture, records, members, bool(lists.multimodal)
    ):
        return "multimodal_llm"
    return "text_llm"


def _encodes(records: tuple[Record, ...]) -> bool:
    """Whether all attention sees the whole sequence."""
    types = [r.args.get("attn_type") for r in records if r.kind == "attention"]
    return bool(types) and all(_name(t) == "ENCODER_ONLY" for t in types)


def _name(value: object) -> object:
    attrs = getattr(value, "attrs", None)
    return raw(attrs["name"]) if isinstance(attrs, dict) and "name" in attrs else None


def _pools(records: tuple[Record, ...]) -> bool:
    """Whether it pools and gives no logits."""
    logits = {r.cls for r in records if r.kind == "logits" and not r.name.count(".") > 2}
    return bool(logits) and all(cls.endswith("Pooler") for cls in logits)


def _takes_media(
    architecture: str, records: tuple[Record, ...], members: frozenset[str], listed: bool
) -> bool:
    gives = any(re.fullmatch(r"get_(image|video|audio)_features?", name) for name in members)
    if "MultiModal" in architecture:
        return True
    always = any(r.kind in _TOWERS and not r.conditions for r in records)
    return gives and (always or not listed)


def _strings(source: SglangSource, module: str, name: str) -> frozenset[str]:
    try:
        file = source.module(module)
    except SourceError:
        file = None
    nodes = _defining(file.tree, name) if file else ()
    return frozenset(
        part.value
        for node in nodes
        for part in ast.walk(node)
        if isinstance(part, ast.Constant)
        and isinstance(part.value, str)
        and part.value[:1].isupper()
    )


def _defining(tree: ast.Module, name: str) -> Iterator[ast.AST]:
    """The functions and assignments of a name, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            yield node
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == name for t in targets) and node.value:
                yield node.value
