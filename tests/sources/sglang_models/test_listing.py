"""What registered classes can do, from a hand-written SGLang and no configuration."""

from pathlib import Path

import pytest

from discover_models.domain.listing import ListedArchitecture
from discover_models.errors import SourceError
from discover_models.sources.architectures import listed_architectures
from discover_models.sources.cache import DiskCache
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.listing import list_architectures
from sglang_miniature import write_sglang

HEAD = """
import torch
from torch import nn
from sglang.srt.layers.layernorm import RMSNorm
from sglang.srt.layers.linear import ReplicatedLinear, QKVParallelLinear
from sglang.srt.layers.radix_attention import RadixAttention
"""
ATTENTION = """
class SomeAttention(nn.Module):
    def __init__(self, config, layer_id):
        super().__init__()
        self.qkv_proj = QKVParallelLinear(config.hidden_size, 8, 4, 2)
        self.attn = RadixAttention(4, 8, 1.0, 2, layer_id{extra})

class SomeModel(nn.Module):
    def __init__(self, config, quant_config=None):
        super().__init__()
        self.layers = nn.ModuleList([SomeAttention(config, i) for i in range(config.n)])

EntryClass = SomeModel
"""


def listed(root: Path, **models: str) -> dict[str, ListedArchitecture]:
    listing = list_architectures(SglangSource(write_sglang(root, **models), commit="c" * 40))
    return {a.architecture: a for a in listing.architectures}


def one(root: Path, source: str) -> ListedArchitecture:
    return listed(root, some=HEAD + source)["SomeModel"]


def test_every_class_is_there_with_file_line_and_role(tmp_path: Path) -> None:
    found = listed(tmp_path)

    roles = {name: item.role for name, item in found.items()}
    assert roles == {
        "ToyForCausalLM": "text_llm",
        "ToyMoeForCausalLM": "text_llm",
        "ToyMoeForCausalLMNextN": "draft",
    }
    toy = found["ToyMoeForCausalLM"]
    line = (tmp_path / toy.file).read_text(encoding="utf-8").splitlines()[toy.line - 1]
    assert line.startswith("class ToyMoeForCausalLM(")


def test_a_restriction_stands_beside_its_base_with_the_condition(tmp_path: Path) -> None:
    extra = ", sliding_window_size=config.window if layer_id % 2 else -1"
    found = one(tmp_path, ATTENTION.format(extra=extra))

    assert found.attention == ("gqa", "sliding_window")
    assert set(found.conditions) == {"sliding_window"}


def test_an_indexer_behind_a_field_is_conditional(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        """
class Indexer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.wq_b = ReplicatedLinear(8, 8)

class SomeAttention(nn.Module):
    def __init__(self, config, layer_id):
        super().__init__()
        self.kv_lora_rank = config.kv_lora_rank
        self.sparse = getattr(config, "index_topk", None) is not None
        if self.sparse:
            self.indexer = Indexer(config)
        self.attn = RadixAttention(4, 8, 1.0, 1, layer_id)

class SomeModel(nn.Module):
    def __init__(self, config, quant_config=None):
        super().__init__()
        self.layers = nn.ModuleList([SomeAttention(config, i) for i in range(2)])

EntryClass = [SomeModel]
""",
    )

    assert found.attention == ("mla", "dsa")
    assert "index_topk" in found.conditions["dsa"]
    assert "mla" not in found.conditions


def test_alternatives_at_the_same_place_are_told_apart(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        """
class SomeLightningAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attn = RadixAttention(4, 8, 1.0, 2, 0)

class SomeAttention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.attn = RadixAttention(4, 8, 1.0, 2, 0)

class SomeModel(nn.Module):
    def __init__(self, config, quant_config=None):
        super().__init__()
        match config.kind:
            case "linear" | "lightning":
                self.mixer = SomeLightningAttention(config)
            case _:
                self.mixer = SomeAttention(config)

EntryClass = SomeModel
""",
    )

    assert set(found.attention) == {"lightning", "gqa"}
    assert set(found.conditions) == {"lightning", "gqa"}


def test_an_unknown_class_in_a_dispatch_table_is_reported_with_its_line(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        """
class NovelMixer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.size = config.hidden_size

TABLE = {"novel": NovelMixer}

class SomeModel(nn.Module):
    def __init__(self, config, quant_config=None):
        super().__init__()
        self.norm = RMSNorm(8)
        self.mixer = TABLE[config.kind](config)

EntryClass = SomeModel
""",
    )

    assert [u.name for u in found.unmapped if u.name != "SomeModel"] == ["NovelMixer"]
    place = found.unmapped[0]
    line = (tmp_path / place.file).read_text(encoding="utf-8").splitlines()[place.line - 1]
    assert "NovelMixer" in line


def test_a_class_that_cannot_be_followed_keeps_its_place(tmp_path: Path) -> None:
    found = one(
        tmp_path,
        """
class SomeModel(nn.Module):
    def __init__(self, config, quant_config=None):
        raise NotImplementedError

EntryClass = SomeModel
""",
    )

    assert found.role == "text_llm"
    assert [u.name for u in found.unmapped] == ["SomeModel"]


def test_a_helper_that_recurses_on_an_open_test_costs_no_layer(tmp_path: Path) -> None:
    helper = """
def stages(norm, config):
    if config.previous:
        return stages(norm, config)
    return norm

"""
    source = helper + ATTENTION.format(extra="").replace(
        "        self.attn =",
        "        self.norm = RMSNorm(8)\n        self.stage = stages(self.norm, config)\n"
        "        self.attn =",
    )
    found = one(tmp_path, source)

    assert (found.attention, found.norms, found.note) == (("gqa",), ("rmsnorm",), "")


def test_a_helper_that_tries_everything_costs_no_layer(tmp_path: Path) -> None:
    helper = """
def compiled(config):
    for one in range(100):
        for two in range(100):
            for three in range(100):
                one + two + three + config.size
    return one

"""
    source = helper + ATTENTION.format(extra="").replace(
        "        self.attn =", "        self.compiled = compiled(config)\n        self.attn ="
    )
    found = one(tmp_path, source)

    assert (found.attention, found.note) == (("gqa",), "")


def test_a_helper_may_construct_any_number_of_layers(tmp_path: Path) -> None:
    helper = """
def build(config):
    found = nn.ModuleList()
    for layer in range(300):
        found.append(SomeAttention(config, layer))
    return found

"""
    source = ATTENTION.format(extra="").replace(
        "nn.ModuleList([SomeAttention(config, i) for i in range(config.n)])", "build(config)"
    )
    found = one(tmp_path, helper + source)

    assert (found.attention, found.unmapped, found.note) == (("gqa",), (), "")


@pytest.mark.parametrize("broken", ["EntryClass = [nowhere]", "EntryClass = ["])
def test_a_file_that_cannot_be_read_costs_only_itself(tmp_path: Path, broken: str) -> None:
    root = write_sglang(tmp_path, broken=broken)
    listing = list_architectures(SglangSource(root))

    assert "ToyForCausalLM" in {a.architecture for a in listing.architectures}
    assert any("broken" in warning for warning in listing.warnings)


def test_a_module_outside_the_checkout_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "some.py").write_text(HEAD + ATTENTION.format(extra=""))
    root = write_sglang(tmp_path / "checkout")
    (root / "python/sglang/srt/models/linked").symlink_to(folder)
    with pytest.raises(SourceError, match="leads out of the repository"):
        SglangSource(root).module("sglang.srt.models.linked.some")


def test_what_was_read_once_is_not_read_again(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache")
    root = write_sglang(tmp_path / "sglang")
    first = listed_architectures(root, "a" * 40, cache)
    again = listed_architectures(root, "b" * 40, cache)

    assert again.architectures == first.architectures
    assert again.commit == "b" * 40
    write_sglang(root, some=HEAD + ATTENTION.format(extra=""))
    assert len(listed_architectures(root, None, cache).architectures) == 4
