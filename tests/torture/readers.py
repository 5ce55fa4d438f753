"""Everything of the program that reads what strangers wrote, each as a reader of one file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from action.recorded import RECORDED
from discover_models import demo, manifests
from discover_models.action_inputs import ActionSettings, Runner
from discover_models.action_job import choose_job
from discover_models.audit.document import parse as parse_document
from discover_models.audit.run import read_document
from discover_models.bot_config import parse_config
from discover_models.domain.kernel import Parallelism
from discover_models.errors import DiscoverError
from discover_models.onboarding.command import parse_command
from discover_models.ops import FAMILIES
from discover_models.pipeline import architecture_of
from discover_models.publish import markers
from discover_models.publish.issues import PublishError
from discover_models.publish.state_value import STATE_FILE, from_files
from discover_models.requirements import requirements
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import read_local
from discover_models.sources.cookbook import read_cookbook
from discover_models.sources.coverage_doc import read_tracked
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.entry_class import registered_classes
from discover_models.sources.files import read_text
from discover_models.sources.flashinfer import FlashInferIndex
from discover_models.sources.pages import read_pages
from discover_models.sources.sglang import SglangIndex
from discover_models.sources.sglang_configs import SglangConfigs
from discover_models.sources.source_architecture import SourceArchitectures

EXPECTED = (DiscoverError, PublishError)
"""What a reader may raise: one sentence for a person."""
_CONFIGS = Path(__file__).parents[1] / "configs"
_MODELS = "sglang/python/sglang/srt/models"
_SIZES = [Parallelism(tp=1), Parallelism(tp=2, ep=2)]
_PAGE = b"""---
title: "Tiny 1"
---
import { config } from "/src/snippets/configs/tiny.jsx";
[Tiny-1](https://huggingface.co/tiny/Tiny-1-8B)
```bash
python3 -m sglang.launch_server --model-path tiny/Tiny-1-8B --tp 8 \\
  --enable-dp-attention --json '{"a": 1}' && echo
docker run image bash -c "sglang serve --model tiny/Tiny-1-FP8 --tp 2"
```
"""
_SNIPPET = b"""export const config = {
  modelNames: { "big|fp8": "tiny/Tiny-1-FP8" }, list: [null, true, 1.5,],
  cells: [{ match: { hw: "b200", variant: "big", quant: "fp8" }, flags: ["--tp 4"] }],
};
"""
_DOCUMENT = b"""# Model Coverage
## Summary
| Model | Architecture | Coverage |
|---|---|---|
| [Tiny 1](#tiny-1) | GQA | 1 / 2 |
## Tiny 1
**Architecture**: 2 layers. **TP=1**
| Definition | Op Type | Status |
|---|---|---|
| `rmsnorm_h3840` | rmsnorm | \xe2\x9c\x85 |
| `gqa_paged_decode_h30_kv6_d128_ps1` | gqa_paged | \xe2\x9d\x8c |
**Coverage**: 1 / 2 definitions present
"""
_BOT_CONFIG = b"""models:
  tiny: tiny/Tiny-1-8B
  big: {repository: tiny/Big, tp: [1, 8], ep: 2}
ignore:
  - {pattern: "*/Old-*", reason: "no longer served"}
tracked: {"Tiny 1": tiny/Tiny-1-8B}
"""


@dataclass(frozen=True)
class Reader:
    """One kind of file from outside."""

    file: str
    """Where it stands in the folder that `prepare` lays out."""
    seeds: tuple[bytes, ...]
    """Good ones."""
    read: Callable[[Path], object]
    """Read it and whatever rests on it; may raise `EXPECTED`."""
    prepare: Callable[[Path], object] = lambda _: None
    is_json: bool = False

    def write(self, root: Path, data: bytes) -> None:
        path = root / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _demo_file(path: str) -> bytes:
    return (demo.ROOT / "workspace" / path).read_bytes()


def _lay_out(root: Path) -> None:
    for name in demo.REPOSITORIES:
        shutil.copytree(demo.ROOT / "workspace" / name, root / name)


def _lay_out_config(root: Path) -> None:
    shutil.copytree(demo.CONFIGS / "demo-org/Demo-8B", root / "org/model")


def _model(root: Path) -> None:
    file = read_local(root, "org/model")
    if file is not None:
        requirements(architecture_of(file, (ConfigDefaults.load(),)), _SIZES)


def _sglang(root: Path) -> None:
    checkout = root / "sglang"
    registered_classes(read_text(root, f"{_MODELS}/demo_moe.py"))
    index = SglangIndex.open(checkout, None)
    for api in _apis():
        _try(lambda api=api: index.calls(api))
    _try(index.linear_layer)
    config = json.loads((demo.CONFIGS / "demo-org/Demo-MoE-16B/config.json").read_bytes())
    SourceArchitectures(checkout, None, (ConfigDefaults.load(),)).read(config)


def _sglang_configs(root: Path) -> None:
    libraries = SglangConfigs(root / "sglang", "sglang", ConfigDefaults.load())
    for name in libraries.class_names():
        libraries.for_class(name)


def _flashinfer(root: Path) -> None:
    index = FlashInferIndex.open(root / "flashinfer", None)
    for api in _apis():
        _try(lambda api=api: index.find(api, template_hint="renorm"))


def _apis() -> list[str]:
    specs = (spec for family in FAMILIES for spec in family.specs)
    return sorted({api for spec in specs for api in spec.apis})


def _try(act: Callable[[], object]) -> None:
    """What one question can't answer does not end the others."""
    try:
        act()
    except EXPECTED:
        return


def _dataset(root: Path) -> None:
    index = DatasetIndex.open(root / "flashinfer-trace", None)
    for definition in index.definitions.values():
        index.evidence(definition)
    index.tagged(frozenset({"demo-8b"}))


def _document(root: Path) -> None:
    parse_document(read_document(root / "coverage.mdx"))
    read_tracked(root / "coverage.mdx")


def _body(root: Path) -> None:
    text = (root / "body.md").read_bytes()[:300_000].decode("utf-8", "replace")
    markers.outside(text)
    section = markers.parse(text)
    if not isinstance(section, markers.Damaged):
        markers.replace(text, "<!-- discover-models:begin v1 dashboard all -->\nx")


def _events() -> tuple[bytes, ...]:
    return tuple(json.dumps(event).encode() for event in RECORDED.values())


def _event(root: Path) -> None:
    payload = Runner(event_path=root / "event.json").event()
    for name in ("pull_request_target", "issue_comment", "schedule", "push"):
        choose_job(ActionSettings(), name, payload)


def _comment(root: Path) -> None:
    parse_command((root / "comment.md").read_bytes().decode("utf-8", "replace"))


def _issue_body() -> bytes:
    return (
        b"Written by people.\n\n<!-- discover-models:begin v1 tracking org/model -->\n"
        b"- [x] done <!-- discover-models:box a -->\n| a | b |\n"
        b'<!-- discover-models:facts {"facts": {"a": [1]}, '
        b'"written": "2026-01-01T00:00:00+00:00"} -->\n'
        b"<!-- discover-models:end -->\nBelow.\n"
    )


def _manifest() -> bytes:
    value = {
        "model_slug": "demo-8b",
        "hf_repo_id": "demo-org/Demo-8B",
        "date": "2026-01-01",
        "repo_shas": {"sglang": "abc1234"},
        "kernels": [
            {
                "definition_name": "rmsnorm_h3840",
                "op_type": "rmsnorm",
                "phase1_status": "new",
                "fi_status": "fi_supported",
                "sgl_status": "sgl_integrated",
                "fi_trace_template": True,
                "phase2_status": "done",
            }
        ],
    }
    return json.dumps(value).encode()


def _configs() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted(_CONFIGS.glob("*/*/config.json")))


_PARAMS = json.dumps(
    {"dim": 4096, "n_layers": 2, "head_dim": 128, "hidden_dim": 14336, "n_heads": 32,
     "n_kv_heads": 8, "vocab_size": 32768, "moe": {"num_experts": 8, "num_experts_per_tok": 2}}
).encode()  # fmt: skip
_QUANT = json.dumps(
    {"quantization": {"quant_algo": "NVFP4", "group_size": 16, "exclude_modules": ["lm_head"]}}
).encode()

READERS: dict[str, Reader] = {
    "config.json": Reader("org/model/config.json", _configs(), _model, is_json=True),
    "params.json": Reader("org/model/params.json", (_PARAMS,), _model, is_json=True),
    "hf_quant_config.json": Reader(
        "org/model/hf_quant_config.json", (_QUANT,), _model, _lay_out_config, is_json=True
    ),
    "cookbook YAML": Reader(
        "data/models/generated/v1/demo.yaml",
        (_demo_file("sgl-cookbook/data/models/generated/v0.0.1/demo.yaml"),),
        read_cookbook,
    ),
    "page": Reader("docs_new/cookbook/autoregressive/Tiny/Tiny-1.mdx", (_PAGE,), read_pages),
    "snippet": Reader(
        "docs_new/src/snippets/configs/tiny.jsx",
        (_SNIPPET,),
        read_pages,
        lambda root: READERS["page"].write(root, _PAGE),
    ),
    "definition": Reader(
        "flashinfer-trace/definitions/rmsnorm/rmsnorm_h3840.json",
        (_demo_file("flashinfer-trace/definitions/rmsnorm/rmsnorm_h3840.json"),),
        _dataset,
        _lay_out,
        is_json=True,
    ),
    "coverage document": Reader("coverage.mdx", (_DOCUMENT,), _document),
    "SGLang model file": Reader(
        f"{_MODELS}/demo_moe.py", (_demo_file(f"{_MODELS}/demo_moe.py"),), _sglang, _lay_out
    ),
    "SGLang configuration class": Reader(
        "sglang/python/sglang/srt/configs/tiny.py",
        (
            b"from transformers import PretrainedConfig\n\n\n"
            b"class TinyConfig(PretrainedConfig):\n"
            b'    model_type = "tiny"\n\n'
            b"    def __init__(self, hidden_size=64, heads=None, **kw):\n"
            b"        self.hidden_size = hidden_size\n"
            b"        self.head_dim = hidden_size // (heads or 4)\n"
            b"        super().__init__(**kw)\n",
        ),
        _sglang_configs,
        _lay_out,
    ),
    "FlashInfer module": Reader(
        "flashinfer/flashinfer/norm/__init__.py",
        (_demo_file("flashinfer/flashinfer/norm/__init__.py"),),
        _flashinfer,
        _lay_out,
    ),
    "FlashInfer package": Reader(
        "flashinfer/flashinfer/__init__.py",
        (_demo_file("flashinfer/flashinfer/__init__.py"),),
        _flashinfer,
        _lay_out,
    ),
    "event payload": Reader("event.json", _events(), _event, is_json=True),
    "comment": Reader("comment.md", (b"/discover-models demo-8b demo-org/Demo-8B\nx",), _comment),
    "issue body": Reader("body.md", (_issue_body(),), _body),
    "configuration file": Reader(
        "bot.yml", (_BOT_CONFIG,), lambda root: parse_config((root / "bot.yml").read_bytes(), "f")
    ),
    "manifest": Reader(
        "demo-8b.json",
        (_manifest(),),
        lambda root: manifests.load(root / "demo-8b.json"),
        is_json=True,
    ),
    "state file": Reader(
        STATE_FILE,
        (b'{"format": 1, "issues": {}, "slugs": {"demo-8b": "demo-org/Demo-8B"}}',),
        lambda root: from_files({STATE_FILE: (root / STATE_FILE).read_bytes()}),
        is_json=True,
    ),
}
