"""Rotary embeddings and sampling."""

import pytest

from discover_models.domain.evidence import Evidence
from layers import gqa, group, layer, mla, model, needed, reasons, rope


def test_style_and_rotated_part_stand_in_the_name() -> None:
    partial = rope(128, rotary_dim=rope(64).rotary_dim, style="gptj")
    assert layer(gqa(rope=partial), None, "rope") == {
        "rope_with_cos_sin_cache_gptj_style_d128_rd64"
    }


def test_layers_without_positions_need_none() -> None:
    assert not layer(gqa(), None, "rope")
    assert not layer(mla(), None, "rope")


def test_an_undecided_style_is_said() -> None:
    found = needed(model(group(gqa(rope=rope(style=None)))))
    assert "neox or gptj" in reasons(found)["rope"]
    found = needed(model(group(gqa(rope_undecided="two embeddings"))))
    assert reasons(found)["rope"] == "two embeddings"


def test_three_position_components_are_a_kernel_beside_the_plain_one() -> None:
    assert layer(gqa(rope=rope(64, multimodal=True)), None, "rope") == {
        "rope_with_cos_sin_cache_neox_style_d64_rd64",
        "mrope_with_cos_sin_cache_neox_style_d64_rd64",
    }


@pytest.mark.parametrize("multimodal", [True, False])
def test_a_kernel_of_positions_says_where_its_style_was_read(multimodal: bool) -> None:
    line = Evidence(repository="sglang", path="models/some.py", line=7, looked_for="is_neox_style")
    read = rope(64, multimodal=multimodal, evidence=(line,))
    found = [k for k in needed(model(group(gqa(rope=read)))).kernels if k.op_type == "rope"]
    assert [k.evidence for k in found] == [(line,)] * (2 if multimodal else 1)
    assert any("three components" in note for k in found for note in k.notes) == multimodal


def test_sampling_by_the_vocabulary() -> None:
    assert layer(gqa(), None, "sampling") == {
        f"{kind}_sampling_from_probs_v1000" for kind in ("top_k", "top_p", "top_k_top_p")
    }
