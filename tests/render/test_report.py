"""What people see: groups, counts, columns, links and the chain of one verdict."""

import json
import re

import pytest

from builders import (
    ORIGINS,
    deferred,
    evidence,
    existing,
    gqa,
    inventory,
    missing,
    moe,
    sample,
    supported,
    undecided,
)
from discover_models.domain.kernel import ClassifiedKernel, Deferred, Inventory
from discover_models.errors import UsageError
from discover_models.render import render_explain, render_json, render_markdown, render_text
from discover_models.render.groups import group_of
from discover_models.render.links import permalink, public_origin


def sections(text: str) -> dict[str, list[str]]:
    """Rows by section heading, without the line of column names."""
    found: dict[str, list[str]] = {}
    for block in text.split("\n\n"):
        head, *rows = block.strip("\n").split("\n")
        found[head] = [r for r in rows if not r.startswith("  definition ") and r != "  none"]
    return found


def test_the_table_starts_as_its_users_know_it() -> None:
    lines = render_text([sample()]).splitlines()
    assert lines[:3] == [
        "Model: sample-moe",
        "HF repo: sample-org/Sample-MoE",
        "Architecture: 94 layers, GQA + MoE",
    ]


def test_the_groups_are_in_order_and_counts_equal_rows() -> None:
    found = sections(render_text([sample()], [deferred()]))
    counted = {h: int(n[1]) for h in found if (n := re.search(r"\((\d+)\)$", h))}
    assert list(counted.values()) == [2, 2, 1, 1, 1, 1, 1]
    assert {h: len(found[h]) for h in counted} == counted
    assert [h.rsplit(" (", 1)[0] for h in counted][:4] == [
        "EXISTING (skip) ✅",
        "NEW — FlashInfer supported, SGLang integrated → ready for workload collection 🆕",
        "NEW — FlashInfer supported, SGLang missing → submit SGLang PR first 🆕",
        "NEW — FlashInfer MISSING → file kernel-request issue, skip workload collection ❓",
    ]
    assert [h.split(" ")[0] for h in counted][4:] == ["UNDECIDED", "UNMAPPED", "DEFERRED"]


def test_empty_groups_say_none_and_count_nothing() -> None:
    text = render_text([inventory()])
    assert text.count("(0)\n  none") == 4
    assert "UNDECIDED" not in text


def test_columns_are_aligned() -> None:
    rows = sections(render_text([sample()]))
    ready = next(rows[h] for h in rows if "integrated" in h)
    assert len({row.index("tp=8") for row in ready}) == 1


@pytest.mark.parametrize(
    ("kernel", "key"),
    [
        (existing("x"), "existing"),
        (supported("x"), "ready"),
        (supported("x", sgl_status="sgl_missing"), "sgl_missing"),
        (missing("x"), "fi_missing"),
        (missing("x", sgl_status=None), "fi_missing"),
        (undecided("x"), "undecided"),
        (supported("x", sgl_status=None), "undecided"),
    ],
)
def test_undecided_is_never_shown_as_decided(kernel: ClassifiedKernel, key: str) -> None:
    assert group_of(kernel) == key


def test_a_row_shows_only_the_sizes_that_its_axes_depend_on() -> None:
    text = render_text([inventory(missing("", required=moe()), supported("", required=gqa()))])
    assert re.search(r"moe_\S+ +ep=4 ", text)
    assert re.search(r"gqa_\S+ +tp=8, tp=8/dp=4 ", text)


def test_notes_say_what_the_group_does_not() -> None:
    text = render_text([sample()])
    assert re.search(r"fused_add_rmsnorm_h4096 .*no workloads yet", text)
    assert re.search(r"_ps1 .*no trace template", text)
    renamed = existing("rmsnorm_h4096", matched_name="rmsnorm_N4096")
    assert "in the dataset as rmsnorm_N4096" in render_text([inventory(renamed)])


def test_a_source_that_failed_is_shown() -> None:
    text = render_text([inventory(source_errors={"flashinfer": "no package root"})])
    assert "NOT READ (1)\n  flashinfer  no package root" in text


def test_several_models_and_deferred_ones_follow_each_other() -> None:
    text = render_text([sample(), inventory(model_slug="two")], [deferred()])
    assert [text.index(w) for w in ("sample-moe", "Model: two", "DEFERRED")] == sorted(
        text.index(w) for w in ("sample-moe", "Model: two", "DEFERRED")
    )
    assert "\n\n\n" not in text


def test_markdown_shows_axes_trace_tests_and_permalinks() -> None:
    body = render_markdown([sample()], [deferred()], origins=ORIGINS)
    assert "num_qo_heads=8, num_kv_heads=1, head_dim=128, page_size=64" in body
    assert (
        f"(https://github.com/flashinfer-ai/flashinfer/blob/{'b' * 40}/flashinfer/decode.py#L700)"
        in body
    )
    assert "test: flashinfer: [<code>tests/attention/test_decode.py:12</code>]" in body
    assert "not found: <code>flashinfer.fused_moe.moe</code>" in body
    assert "/datasets/flashinfer-ai/flashinfer-trace/blob/" in body


def test_definitions_with_the_same_evidence_share_it() -> None:
    body = render_markdown([sample()], origins=ORIGINS)
    both = "- <code>gqa_paged_decode_h8_kv1_d128_ps64</code>, <code>gqa_paged_decode_h8_kv1_d128_ps1</code>\n"  # noqa: E501 - one line
    assert both in body
    assert body.count("flashinfer/decode.py#L700") == 1


def test_markdown_counts_equal_rows() -> None:
    body = render_markdown([sample()], [deferred()], origins={})
    for heading, rest in re.findall(r"^##+ .*\((\d+)\)\n\n((?:\|.*\n)+)", body, re.MULTILINE):
        assert len(rest.splitlines()) - 2 == int(heading)


@pytest.mark.parametrize(
    "origin",
    [
        "file:///srv/mirror/flashinfer",
        "/srv/mirror/flashinfer",
        "https://token@github.com/o/r",
        "https://user:secret@github.com/o/r",
        "https://git.example.corp/o/r",
        "https://github.com:8443/o/r",
        "https://github.com/o/r?token=x",
        "https://github.com/o/r)[x](https://evil.example",
        "http://github.com/o/r",
        "git@github.com:o/r.git",
        "https://[github.com/o/r",
        "",
    ],
)
def test_an_origin_that_not_everyone_may_see_is_never_printed(origin: str) -> None:
    assert public_origin(origin) is None
    body = render_markdown([sample()], origins={"flashinfer": origin, "sglang": origin})
    assert "flashinfer/decode.py:700" in body
    assert "srv" not in body
    assert "secret" not in body
    assert "](https://github.com" not in body


@pytest.mark.parametrize("commit", [None, "main", "abc1234", "B" * 40])
def test_without_a_full_commit_id_there_is_no_link(commit: str | None) -> None:
    proof = evidence("flashinfer", "flashinfer/decode.py", 7, commit=commit)
    assert permalink(proof, ORIGINS) is None


def test_a_link_can_t_leave_its_commit_and_quotes_its_path() -> None:
    assert permalink(evidence("flashinfer", "a/../../x"), ORIGINS) is None
    link = permalink(evidence("flashinfer", "a b/(c).py", None), ORIGINS) or ""
    assert link.endswith(f"/blob/{'b' * 40}/a%20b/%28c%29.py")


def test_explain_shows_the_whole_chain_in_order() -> None:
    text = render_explain(sample(), "gqa_paged_decode_h8_kv1_d128_ps64")
    chain = [
        "num_attention_heads  64   config.json",
        "num_qo_heads = num_attention_heads / tp = 8",
        "3. Name\n     gqa_paged_decode_h8_kv1_d128_ps64",
        "4. Dataset: new",
        "5. FlashInfer: fi_supported",
        "flashinfer@bbbbbbbbbbbb flashinfer/decode.py:700",
        "6. SGLang: sgl_integrated",
        "sglang@aaaaaaaaaaaa python/sglang/srt/layers/backend.py:77",
    ]
    assert [text.find(step) for step in chain] == sorted(text.find(step) for step in chain)
    assert all(step in text for step in chain)


def test_explain_says_undecided_and_not_asked() -> None:
    text = render_explain(sample(), "rope_with_cos_sin_cache_neox_style_d128_rd128")
    assert "5. FlashInfer: undecided" in text
    assert "FlashInfer: its package could not be parsed" in text
    assert "not asked, the definition exists" in render_explain(sample(), "rmsnorm_h4096")


def test_explain_of_another_name_is_a_usage_error_with_the_closest() -> None:
    with pytest.raises(UsageError, match="rmsnorm_h4096"):
        render_explain(sample(), "rmsnorm_h4097")


def test_json_is_the_inventory_or_a_list() -> None:
    assert Inventory.model_validate_json(render_json([sample()])) == sample()
    first, second, last = json.loads(render_json([sample(), sample()], [deferred()]))
    assert first == second
    assert Deferred.model_validate(last) == deferred()
    assert json.loads(render_json([])) == []
