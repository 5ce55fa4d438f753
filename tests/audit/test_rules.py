"""Every rule on a miniature document, in the case that it is for and in the one beside it."""

from typing import Any

import pytest

from audit.miniature import (
    MOE,
    check,
    corrected,
    findings,
    names_from,
    row,
    section,
    summary,
    told,
)


def test_a_right_section_is_left_in_peace() -> None:
    text = summary("Plain 1B", "GQA + Dense", "🟡 Partial") + section(
        [
            row("rmsnorm_h512", "✅"),
            row("gemm_n768_k512", "🟡"),
            row("gqa_paged_decode_h4_kv1_d64_ps1", "✅", "gqa_paged TP=2"),
            row("top_k_sampling_from_probs_v1000", "❌"),
            ("MLP / other", "gemm", "—"),
        ],
        "3 / 4",
    )
    report, edits, _ = check(text)
    assert report.findings == ()
    assert edits == ()
    assert report.not_checked == ()
    assert report.models["Plain 1B"] == ("acme/Plain-1B",)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("gemm_n3073_k512", "gemm_n3072_k512"),
        ("gemm_n512_k1563", "gemm_n512_k1536"),
        ("rmsnorm_h5120", "rmsnorm_h512"),
        ("top_p_sampling_from_probs_v10000", "top_p_sampling_from_probs_v1000"),
        ("gqa_paged_decode_h8_kv2_d128_ps64", "gqa_paged_decode_h8_kv2_d64_ps64"),
    ],
)
def test_a_name_that_nothing_yields_is_wrong_and_the_nearest_is_named(
    wrong: str, right: str
) -> None:
    found = findings(section([row(wrong, "❌")]))
    assert [(f.rule, f.line, f.level) for f in found][:1] == [("name", 5, "mistake")]
    assert found[0].right == right
    assert "acme/Plain-1B" in found[0].message
    assert right in found[0].message


def test_the_message_says_where_the_right_number_comes_from() -> None:
    (found,) = findings(section([row("gemm_n3073_k512", "❌")]))
    assert "N = 2 · intermediate_size = 3072" in found.message


@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_any_tp_that_sglang_takes_gives_right_names(tp: int) -> None:
    name = f"gqa_ragged_prefill_causal_h{8 // tp}_kv{max(1, 2 // tp)}_d64"
    assert told(section([row(name, "❌", "gqa_ragged")])) == []


def test_a_tp_that_sglang_refuses_gives_no_name() -> None:
    assert told(section([row("gqa_ragged_prefill_causal_h3_kv1_d64", "❌", "gqa_ragged")]))


@pytest.mark.parametrize(
    "name",
    [
        "moe_fp8_block_scale_renorm_topk2_e16_h256_i128",
        "trtllm_fp4_block_scale_moe_topk2_e8_h256_i128",
        "trtllm_fp8_per_tensor_scale_moe_topk2_e2_h256_i128",
    ],
)
def test_experts_may_be_quantised_in_any_way_and_split_over_any_ep(name: str) -> None:
    assert told(section([row(name, "❌", "moe")], title="Mix 2B")) == []
    assert told(section([row(name + "1", "❌", "moe")], title="Mix 2B"))


def test_what_the_dataset_gives_to_the_model_is_right_though_nothing_yields_it() -> None:
    assert told(section([row("gemm_n1536_k512", "🟡")])) == []
    elsewhere = section([row("gemm_n1536_k512", "🟡")], title="Mix 2B")
    assert [rule for rule, _, _ in told(elsewhere)] == ["name"]


def test_names_of_no_known_family_are_not_judged() -> None:
    report, _, _ = check(section([row("conv1d_update_h512_w4", "❌", "conv")]))
    assert report.findings == ()
    assert [item.subject for item in report.not_checked] == ["conv1d_update_h512_w4"]


def test_without_a_configuration_names_are_not_checked_but_statuses_are() -> None:
    rows = [row("gemm_n1_k1", "❌"), row("rmsnorm_h512", "❌")]
    report, _, _ = check(section(rows, title="Unknown 3B"))
    assert [(f.rule, f.subject) for f in report.findings] == [("status", "rmsnorm_h512")]
    assert {item.reason for item in report.not_checked} == {"name: no configuration"}


def test_a_placeholder_is_filled_in_where_the_configuration_can() -> None:
    name = "moe_fp8_block_scale_ds_routing_topk2_ng?_kg?_e4_h256_i128"
    right = "moe_fp8_block_scale_renorm_topk2_e4_h256_i128"
    rows = section([row(name, "❌", "moe EP=4")], "0 / 1", title="Mix 2B")
    assert told(rows) == [("placeholder", name, right)]
    assert f"| `{right}` | moe EP=4 | 🟡 |" in corrected(rows)
    assert "**Coverage**: 1 / 1" in corrected(rows)


def test_a_placeholder_is_a_mistake_without_a_configuration_too() -> None:
    rows = section([row("rmsnorm_h{hidden}", "❌")], title="Unknown 3B")
    assert told(rows) == [("placeholder", "rmsnorm_h{hidden}", "")]
    assert corrected(rows) == rows


def test_two_wrong_names_are_not_given_the_same_right_one() -> None:
    rows = section([row("gemm_n3070_k512", "❌"), row("gemm_n760_k512", "❌")])
    assert [right for _, _, right in told(rows)] == ["gemm_n3072_k512", "gemm_n768_k512"]


def test_a_name_that_the_section_has_already_is_no_right_one() -> None:
    rows = section([row("rmsnorm_h512", "✅"), row("rmsnorm_h513", "❌")])
    assert told(rows) == [("name", "rmsnorm_h513", "")]


def test_a_size_that_does_not_give_its_name_is_wrong() -> None:
    name = "moe_fp8_block_scale_renorm_topk2_e4_h256_i128"
    wrong = section([row(name, "🟡", "moe EP=1 (FP8)")], title="Mix 2B")
    assert told(wrong) == [("size", name, "EP=4")]
    assert "| moe EP=4 (FP8) |" in corrected(wrong)
    assert told(section([row(name, "🟡", "moe EP=4")], title="Mix 2B")) == []


def test_stated_tp_decides_which_name_was_meant() -> None:
    name = "gqa_paged_decode_h5_kv1_d64_ps1"
    for tp, heads in ((2, 4), (4, 2)):
        ((_, _, right),) = told(section([row(name, "❌", f"gqa_paged TP={tp}")]))
        assert right == f"gqa_paged_decode_h{heads}_kv1_d64_ps1"


def test_op_types_follow_the_kernel() -> None:
    assert told(section([row("gemm_n768_k512", "🟡", "gemm (qkv)")])) == []
    wrong = section([row("gemm_n768_k512", "🟡", "matmul (qkv)")])
    assert told(wrong) == [("op_type", "gemm_n768_k512", "gemm")]
    assert "| gemm (qkv) |" in corrected(wrong)


@pytest.mark.parametrize(
    ("name", "said", "right"),
    [
        ("gemm_n768_k512", "❌", "🟡"),
        ("gqa_paged_decode_h4_kv1_d64_ps1", "❌", "✅"),
        ("gqa_paged_decode_h4_kv1_d64_ps1", "🟡", "✅"),
        ("gemm_n3072_k512", "🟡", "❌"),
        ("gemm_n3072_k512", "✅", "❌"),
    ],
)
def test_statuses_follow_the_dataset(name: str, said: str, right: str) -> None:
    wrong = section([row(name, said)])
    assert told(wrong) == [("status", name, right)]
    assert corrected(wrong) == section([row(name, right)])
    assert told(corrected(wrong)) == []


def test_a_missing_workload_counts_only_against_a_complete_dataset() -> None:
    rows = section([row("gemm_n768_k512", "✅")])
    report, edits, _ = check(rows)
    assert report.findings == ()
    assert edits == ()
    assert [i.reason for i in report.not_checked] == [
        "workload: the dataset at hand is not complete"
    ]
    assert told(rows, complete=True) == [("status", "gemm_n768_k512", "🟡")]
    assert check(rows, complete=True)[0].not_checked == ()


def test_a_note_behind_the_status_stays() -> None:
    assert "| 🟡 (soon) |" in corrected(section([row("gemm_n768_k512", "❌ (soon)")]))


@pytest.mark.parametrize("count", ["1 / 2", "? / 2", "1 / ?", "? / ?"])
def test_count_lines_that_agree_with_the_rows(count: str) -> None:
    rows = [row("rmsnorm_h512", "✅"), row("gemm_n3072_k512", "❌"), ("gate", "gemm", "—")]
    assert told(section(rows, count)) == []


@pytest.mark.parametrize(
    ("count", "right"), [("2 / 2", "1 / 2"), ("1 / 3", "1 / 2"), ("0 / ?", "1 / ?")]
)
def test_count_lines_that_do_not(count: str, right: str) -> None:
    rows = [row("rmsnorm_h512", "✅"), row("gemm_n3072_k512", "❌"), ("gate", "gemm", "—")]
    assert told(section(rows, count)) == [("count", count, right)]
    assert corrected(section(rows, count)) == section(rows, right)


def test_a_count_line_follows_its_rows_without_being_a_mistake_itself() -> None:
    text = section([row("gemm_n768_k512", "❌")], "0 / 1")
    report, _, _ = check(text)
    assert [f.rule for f in report.findings] == ["status"]
    assert [(f.line, f.found, f.right) for f in report.follow_ups] == [(7, "0 / 1", "1 / 1")]
    assert "1 / 1" in corrected(text)


def test_a_count_line_that_was_right_all_along_is_left_alone() -> None:
    assert [f.rule for f in findings(section([row("gemm_n768_k512", "❌")], "1 / 1"))] == ["status"]


def test_subsections_count_for_themselves() -> None:
    text = section([row("rmsnorm_h512", "✅")], "1 / 1").removesuffix("---\n")
    text += section([row("gemm_n3072_k512", "❌")], "1 / 1").replace("## Plain 1B", "### At TP=2")
    assert told(text) == [("count", "1 / 1", "0 / 1")]


@pytest.mark.parametrize(
    ("said", "statuses", "right"),
    [
        ("🟡 Partial", "✅", "✅ Fully covered"),
        ("✅ Fully covered", "✅❌", "🟡 Partial"),
        ("✅ Fully covered", "🟡", "🟡 Partial"),
        ("🟡 Partial", "❌", "❌ Not covered"),
        ("❌ Not covered", "🟡❌", "🟡 Partial"),
        ("✅ Fully covered", "✅—", ""),
        ("🟡 Partial", "✅—", ""),
        ("🟡 Partial", "✅🟡", ""),
        ("❌ Not covered", "❌—", ""),
    ],
)
def test_the_summary_follows_the_rows(said: str, statuses: str, right: str) -> None:
    names = {"✅": "rmsnorm_h512", "🟡": "gemm_n768_k512", "❌": "gemm_n3072_k512"}
    rows = [row(names[s], s) if s in names else ("gate", "gemm", s) for s in statuses]
    text = summary("Plain 1B", "GQA + Dense", said) + section(rows)
    assert told(text) == ([("summary", "Plain 1B", right)] if right else [])
    assert (right or said) in corrected(text).splitlines()[4]


@pytest.mark.parametrize(
    ("said", "right"),
    [
        ("GQA + Dense", "GQA + MoE"),
        ("MLA + MoE", "GQA + MoE"),
        ("GQA + MoE", ""),
        ("Lightning Attn + Dense", ""),
    ],
)
def test_the_summary_s_architecture_follows_the_configuration(said: str, right: str) -> None:
    text = summary("Mix 2B", said, "❌ Not covered")
    text += section([row("gemm_n256_k256", "❌")], title="Mix 2B")
    assert told(text) == ([("summary", "Mix 2B", right)] if right else [])


def test_sections_and_summary_name_the_same_models() -> None:
    text = summary("Other 5B", "GQA + Dense", "🟡 Partial") + section([row("rmsnorm_h512", "✅")])
    assert [(f.rule, f.line) for f in findings(text)] == [("summary", 5), ("summary", 9)]
    spelt = summary("Plain/Mix 1B", "GQA", "✅ Fully covered")
    spelt += section([row("rmsnorm_h512", "✅")], title="Plain / Mix 1B")
    assert told(spelt) == []


def test_one_definition_with_two_statuses_is_told_where_fewer_say_so() -> None:
    some = section([row("gemm_n768_k512", "🟡")], title="Unknown 3B")
    text = some + some + section([row("gemm_n768_k512", "✅")])
    assert [(f.rule, f.level, f.line) for f in findings(text)] == [("contradiction", "doubt", 19)]
    assert "line 5, 12" in findings(text)[0].message
    assert corrected(text) == text
    assert told(some + section([row("gemm_n768_k512", "🟡")])) == []


@pytest.mark.parametrize(
    ("cells", "rules"),
    [
        (("attention layers", "gqa_paged", "❌ (op type not supported)"), ["legend"]),
        (("attention layers", "gqa_paged", "—"), []),
        (row("rmsnorm_h512", "—"), ["legend"]),
        (row("rmsnorm_h512", "TODO"), ["legend"]),
        (row("rmsnorm_h512", ""), ["legend"]),
    ],
)
def test_statuses_mean_what_the_legend_says(cells: tuple[str, str, str], rules: list[str]) -> None:
    text = section([cells])
    assert [f.rule for f in findings(text)] == rules
    assert all(f.level == "doubt" for f in findings(text))
    assert corrected(text) == text


def test_a_definition_twice_in_one_table_is_doubtful() -> None:
    text = section([row("rmsnorm_h512", "✅"), row("rmsnorm_h512", "✅")])
    assert told(text) == [("duplicate", "rmsnorm_h512", "")]


@pytest.mark.parametrize(
    ("sentence", "right"),
    [
        ("6 decoder layers, GQA attention", "4"),
        ("4 decoder layers, GQA attention", ""),
        ("Uses hidden=1024.", "512"),
        ("Uses hidden_size=512, head_dim=64, intermediate=1536, vocab=1000.", ""),
        ("Uses head_dim=128.", "64"),
        ("Unlike Mix 2B (hidden=256).", ""),
        ("Same as Mix 2B. But hidden=99 here.", "512"),
    ],
)
def test_numbers_in_sentences_are_held_against_the_configuration(sentence: str, right: str) -> None:
    text = section([row("rmsnorm_h512", "✅")]).replace("---\n", f"{sentence}\n\n")
    text = text.replace("|\n|---|---|:\n", "|\n") + section([("gate", "gemm", "—")], title="Mix 2B")
    assert [(f.rule, f.level, f.right) for f in findings(text)] == (
        [("prose", "doubt", right)] if right else []
    )


def test_a_renamed_row_is_renamed_in_its_section_s_sentences() -> None:
    text = section([row("gemm_n3073_k512", "❌")], "0 / 1") + "Missing: `gemm_n3073_k512`.\n"
    assert "Missing: `gemm_n3072_k512`." in corrected(text)
    assert [f.found for f in check(text)[0].follow_ups] == ["gemm_n3073_k512"]


@pytest.mark.parametrize("before", ["```\n", "~~~~\n", "{/*\n", "<!--\n"])
def test_what_no_reader_sees_is_not_judged(before: str) -> None:
    hidden = before + section([row("gemm_n1_k1", "✅")], "5 / 5")
    assert told(section([row("rmsnorm_h512", "✅")]) + hidden) == []


def test_a_table_in_a_closed_comment_does_not_hide_the_next_one() -> None:
    text = "```\n## Old\n```\n{/* one */}\n<!--\n-->\n" + section([row("rmsnorm_h512", "❌")])
    assert [f.line for f in findings(text)] == [11]


LINEAR = {
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "linear_num_key_heads": 4,
    "linear_num_value_heads": 8,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
    "full_attention_interval": 4,
    "shared_expert_intermediate_size": 128,
}
SPARSE = {
    "architectures": ["DeepseekV32ForCausalLM"],
    "model_type": "deepseek_v32",
    "q_lora_rank": 64,
    "kv_lora_rank": 128,
    "qk_nope_head_dim": 32,
    "qk_rope_head_dim": 64,
    "v_head_dim": 32,
    "index_n_heads": 4,
    "index_head_dim": 128,
    "index_topk": 64,
    "n_routed_experts": 16,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "n_group": 2,
    "topk_group": 1,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (LINEAR, "gdn_decode_qk4_v8_d128_k_last"),
        (SPARSE, "dsa_sparse_attention_h4_ckv128_kpe64_topk64_ps1"),
    ],
)
def test_kernels_that_no_definition_names_leave_the_other_names_decided(
    config: dict[str, Any], name: str
) -> None:
    found = names_from("acme/Other-2B", {**MOE, **config})
    assert name in found.kernels
    assert found.undecided == frozenset()
