"""What a change claims, and what it links."""

import pytest

from audit.miniature import row, section
from discover_models.onboarding.change import (
    COVERAGE_PATH,
    Change,
    ChangedFile,
    Claim,
    claims,
    definition_place,
    pulls_linked,
    requests_linked,
    touches_onboarding,
)

DOC = ChangedFile(path=COVERAGE_PATH, status="modified")


def claimed(before: str, after: str, *paths: str, status: str = "added") -> list[Claim]:
    files = (DOC, *(ChangedFile(path=path, status=status) for path in paths))
    return list(claims(Change(number=1, body="", files=files, before=before, after=after)))


def told(found: list[Claim]) -> list[tuple[str, list[tuple[str | None, str]], str]]:
    return [(c.name, [(r.before, r.row.sign) for r in c.rows], c.file) for c in found]


def test_a_new_row_and_another_status_are_claims_and_nothing_else_is() -> None:
    before = section([row("a_h1", "❌"), row("b_h1", "🟡"), row("c_h1", "✅")], "2 / 3")
    after = section(
        [
            row("a_h1", "🟡"),
            row("b_h1", "🟡", "gemm"),
            row("d_h1", "❌"),
            ("MoE experts", "moe", "—"),
        ],
        "3 / 4",
    )
    assert told(claimed(before, after)) == [
        ("a_h1", [("❌", "🟡")], ""),
        ("d_h1", [(None, "❌")], ""),
    ]


def test_rows_of_several_models_are_one_claim() -> None:
    before = section([row("a_h1", "❌")]) + section([row("a_h1", "❌")], title="Mix 2B")
    after = section([row("a_h1", "✅")]) + section([row("a_h1", "✅")], title="Mix 2B")
    (claim,) = claimed(before, after)
    assert [r.block.title for r in claim.rows] == ["Plain 1B", "Mix 2B"]


def test_the_same_row_twice_is_counted() -> None:
    before = section([row("a_h1", "❌")])
    after = section([row("a_h1", "❌"), row("a_h1", "❌")])
    assert told(claimed(before, after)) == [("a_h1", [(None, "❌")], "")]


def test_a_definition_file_is_a_claim_with_all_rows_of_its_name() -> None:
    text = section([row("a_h1", "❌")])
    path = "flashinfer_trace/definitions/rmsnorm/a_h1.json"
    assert told(claimed(text, text, path)) == [("a_h1", [("❌", "❌")], path)]
    assert told(claimed(text, text, path, status="removed")) == []


def test_text_that_is_no_such_document_claims_nothing() -> None:
    assert claimed("", "no table here") == []
    assert claimed("| a | b |\n", "## x\n| `a_h1` | rmsnorm | ✅ |\n") == []


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("definitions/gemm/gemm_n1_k1.json", ("gemm", "gemm_n1_k1")),
        ("flashinfer_trace/definitions/gemm/gemm_n1_k1.json", ("gemm", "gemm_n1_k1")),
        ("definitions/gemm_n1_k1.json", None),
        ("definitions/gemm/deeper/gemm_n1_k1.json", None),
        ("a/../definitions/gemm/gemm_n1_k1.json", None),
        ("definitions/gemm/gemm n1.json", None),
        ("definitions/gemm/gemm_n1\n.json", None),
        ("mydefinitions/gemm/gemm_n1_k1.json", None),
        ("définitions/definitions/gemm/gemm_n1_k1.json", None),
        ("definitions/gemm/gemm_n1_k1.json/x", None),
    ],
)
def test_where_a_definition_file_is(path: str, place: tuple[str, str] | None) -> None:
    assert definition_place(path) == place


def test_what_is_looked_at() -> None:
    assert touches_onboarding([DOC])
    assert touches_onboarding(
        [ChangedFile(path="x.md", status="renamed", previous_path=COVERAGE_PATH)]
    )
    assert touches_onboarding([ChangedFile(path="definitions/a/b.json", status="removed")])
    assert not touches_onboarding([ChangedFile(path="docs/index.mdx", status="modified")])


DATASET = "flashinfer-ai/flashinfer-trace"


def test_pull_requests_of_the_dataset_are_found_by_their_address() -> None:
    body = (
        "[flashinfer-ai/flashinfer-trace#259](https://huggingface.co/datasets/flashinfer-ai/"
        "flashinfer-trace/discussions/259) https://huggingface.co/datasets/other/set/discussions/3"
        " https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace/discussions/7#a"
        " https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace/discussions/259"
        " https://evil.example/huggingface.co/datasets/flashinfer-ai/flashinfer-trace/discussions/8"
    )
    assert pulls_linked(body, DATASET) == (259, 7)
    assert pulls_linked("discussions/1234567890123", DATASET) == ()


@pytest.mark.parametrize(
    ("body", "numbers"),
    [
        ("tracking issue: flashinfer-ai/flashinfer#12", (12,)),
        ("see https://github.com/flashinfer-ai/flashinfer/issues/12.", (12,)),
        ("https://redirect.github.com/flashinfer-ai/flashinfer/pull/3", (3,)),
        ("flashinfer-ai/flashinfer-bench#12 xflashinfer-ai/flashinfer#1", ()),
        ("a/flashinfer-ai/flashinfer#12", ()),
    ],
)
def test_kernel_requests_are_found(body: str, numbers: tuple[int, ...]) -> None:
    assert requests_linked(body) == numbers
