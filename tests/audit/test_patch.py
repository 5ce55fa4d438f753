"""The patch is taken by real git, touches only what is wrong, and leaves nothing to be patched."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.miniature import check, corrected, row, section, summary
from discover_models.audit.edits import apply, patch

DOCUMENT = summary("Plain 1B", "GQA + MoE", "✅ Fully covered") + section(
    [
        row("rmsnorm_h512", "❌"),
        row("gemm_n3073_k512", "🟡 (pending)"),
        row("gqa_paged_decode_h4_kv1_d64_ps1", "✅", "gqa_paged TP=4"),
        ("MLP", "gemm", "—"),
    ],
    "9 / 9",
)


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "core.autocrlf=false", *arguments]
    return subprocess.run(
        command, cwd=folder, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def patched(folder: Path, path: str, text: str) -> str:
    """The document after `git apply` of its own patch."""
    _, edits, document = check(text)
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode())
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    diff = patch(path, document.lines, apply(document.lines, edits))
    (folder / "fix.patch").write_bytes(diff.encode())
    git(folder, "apply", "--whitespace=error-all", "fix.patch")
    changed = git(folder, "-c", "core.quotePath=false", "diff", "--name-only", "-z")
    assert changed.split("\0")[0] == path
    return file.read_bytes().decode()


@pytest.mark.parametrize(
    "path",
    [
        "doc.mdx",
        "docs/model coverage.mdx",
        'docs/a"b\\c.mdx',
        "docs/modèle ✅.mdx",
        "docs/a\tb.mdx",
    ],
)
def test_git_takes_the_patch_whatever_the_file_is_called(tmp_path: Path, path: str) -> None:
    assert patched(tmp_path, path, DOCUMENT) == corrected(DOCUMENT)


def test_only_the_wrong_cells_change(tmp_path: Path) -> None:
    result = patched(tmp_path, "doc.mdx", DOCUMENT)
    changed = {
        (before, after)
        for before, after in zip(DOCUMENT.splitlines(), result.splitlines(), strict=True)
        if before != after
    }
    assert changed == {
        (
            "| Plain 1B | GQA + MoE | ✅ Fully covered |",
            "| Plain 1B | GQA + Dense | 🟡 Partial |",
        ),
        ("| `rmsnorm_h512` | rmsnorm | ❌ |", "| `rmsnorm_h512` | rmsnorm | ✅ |"),
        ("| `gemm_n3073_k512` | gemm | 🟡 (pending) |", "| `gemm_n3072_k512` | gemm | ❌ |"),
        (
            "| `gqa_paged_decode_h4_kv1_d64_ps1` | gqa_paged TP=4 | ✅ |",
            "| `gqa_paged_decode_h4_kv1_d64_ps1` | gqa_paged TP=2 | ✅ |",
        ),
        ("**Coverage**: 9 / 9 definitions present.", "**Coverage**: 2 / 3 definitions present."),
    }


def test_odd_line_ends_survive(tmp_path: Path) -> None:
    odd = DOCUMENT.replace("## Plain", "one\x0btwo\x85three\u2028four\n\n## Plain").rstrip("-\n")
    assert patched(tmp_path / "unended", "doc.mdx", odd) == corrected(odd)
    # The last line itself changes here.
    assert corrected(odd).endswith("2 / 3 definitions present.")


def test_windows_line_ends_survive(tmp_path: Path) -> None:
    text = DOCUMENT.replace("\n", "\r\n")
    _, edits, document = check(text)
    (tmp_path / "doc.mdx").write_bytes(text.encode())
    diff = patch("doc.mdx", document.lines, apply(document.lines, edits))
    (tmp_path / "fix.patch").write_bytes(diff.encode())
    git(tmp_path, "init", "-q")
    git(tmp_path, "apply", "fix.patch")
    assert (tmp_path / "doc.mdx").read_bytes().decode() == corrected(DOCUMENT).replace("\n", "\r\n")


def test_nothing_to_change_is_no_patch() -> None:
    _, edits, document = check(section([row("rmsnorm_h512", "✅")], "1 / 1"))
    assert patch("doc.mdx", document.lines, apply(document.lines, edits)) == ""


NAMES = st.sampled_from(
    [
        "rmsnorm_h512", "rmsnorm_h{hidden}", "rmsnorm_h5120", "gemm_n768_k512", "gemm_n7_k512",
        "gemm_n3073_k512", "gqa_paged_decode_h4_kv1_d64_ps1", "gqa_paged_decode_h?_kv1_d64_ps1",
        "moe_fp8_block_scale_renorm_topk2_e4_h256_i128", "gemm_n1536_k512", "foo", "a_b",
        "moe_fp8_block_scale_ds_routing_topk2_ng?_kg?_e4_h256_i128", "top_k_sampling_from_probs_v9",
    ]
)  # fmt: skip
OPS = st.sampled_from(
    ["gemm", "moe EP=4", "moe EP=1", "gqa_paged TP=2", "gqa_paged TP=0", "rmsnorm", "moe TP=8 EP=2",
     "", "sampling (TP=3)"]
)  # fmt: skip
STATUSES = st.sampled_from(["✅", "🟡", "❌", "—", "❌ (if)", "", "?", "✅\ufe0f"])
ROWS = st.lists(
    st.tuples(st.one_of(NAMES.map("`{}`".format), NAMES, st.just("MLP")), OPS, STATUSES), max_size=6
)
COUNTS = st.sampled_from(["", "0 / 1", "3 / 3", "? / ?", "0 / ?", "1/2"])
TITLES = st.sampled_from(["Plain 1B", "Mix 2B", "Unknown 3B", "Plain / Mix 1B"])
SECTIONS = st.builds(section, ROWS, COUNTS, TITLES)
SUMMARIES = st.builds(
    summary,
    TITLES,
    st.sampled_from(["GQA + Dense", "GQA + MoE", "MLA", "odd"]),
    st.sampled_from(["✅ Fully covered", "🟡 Partial", "❌ Not covered", "", "—"]),
)
DOCUMENTS = st.lists(st.one_of(SECTIONS, SUMMARIES), max_size=4).map("\n".join)


@given(text=DOCUMENTS, complete=st.booleans())
@settings(max_examples=150, deadline=None)
def test_after_the_patch_there_is_nothing_left_to_patch(text: str, complete: bool) -> None:
    once = corrected(text, complete=complete)
    assert corrected(once, complete=complete) == once
    assert once.count("\n") == text.count("\n")


PIECES = st.sampled_from(
    ["|", "`", "\n", "## ", "### ", "Summary", "Definition", "Op Type", "Status", "---",
     "✅", "❌", "**Coverage**: 1 / 2", "| Definition | Op Type | Status |\n", "Model",
     "Architecture", "Coverage",
     "```\n", "{/*", "*/}", "<!--", "-->", "TP=", "99999", "\r\n", "\\|", "rmsnorm_h512", "\x00"]
)  # fmt: skip


@given(text=st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
@settings(max_examples=300, deadline=None)
def test_no_text_is_too_strange(text: str) -> None:
    report, edits, document = check(text)
    assert "".join(document.lines) == text
    assert all(1 <= finding.line <= len(document.lines) for finding in report.findings)
    assert all(
        document.lines[e.cell.line - 1][e.cell.start : e.cell.end] == e.cell.text for e in edits
    )
