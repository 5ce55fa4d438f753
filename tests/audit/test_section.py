"""The section to paste: in the document's style, and accepted by the audit."""

import re
from datetime import date

import pytest

import builders
from audit.miniature import CONFIGS, DATASET, check, dataset
from discover_models.classify import Sources
from discover_models.domain.architecture import Unmapped
from discover_models.domain.kernel import Inventory, Parallelism
from discover_models.domain.manifest import from_inventory
from discover_models.domain.model_name import tracked_title
from discover_models.errors import SourceError
from discover_models.inventory import build_inventory
from discover_models.one_model import architecture_of
from discover_models.render.bodies import Page, tracking_body
from discover_models.render.coverage import CoverageSection, coverage_section
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import ConfigFile

HEAD = "## Summary\n\n| Model | Architecture | Coverage |\n|---|---|:---:|\n"
SIZES = (Parallelism(tp=1), Parallelism(tp=2), Parallelism(tp=4, ep=4))


def inventory_of(title: str) -> Inventory:
    repo_id, config = CONFIGS[title]
    file = ConfigFile(hf_repo_id=repo_id, revision=None, origin="local folder", config=config)
    unread = SourceError("not needed here")
    return build_inventory(
        slug=title.lower().replace(" ", "-"),
        repo_id=repo_id,
        revision=None,
        architecture=architecture_of(file, (ConfigDefaults.load(),)),
        parallelism=SIZES,
        sources=Sources(dataset=dataset(), flashinfer=unread, sglang=unread),
        repo_shas={},
        notes=(),
    )


def pasted(made: CoverageSection) -> str:
    return f"{HEAD}{made.summary_row}\n\n---\n\n{made.section}"


@pytest.mark.parametrize("title", list(CONFIGS))
def test_the_audit_accepts_it_as_it_is(title: str) -> None:
    made = coverage_section(inventory_of(title))
    report, edits, document = check(pasted(made), complete=True)
    assert made.title == title
    assert report.findings == ()
    assert report.not_checked == ()
    assert edits == ()
    (block,) = (block for block in document.blocks if block.rows)
    names = {row.name.text for row in block.rows if row.name}
    assert len(names) > 15
    assert {row.sign for row in block.rows} >= {"🟡", "❌"}
    assert document.summary[0].architecture.text in ("GQA + Dense", "GQA + MoE")


def test_it_says_at_which_size_a_name_is_needed() -> None:
    dense = coverage_section(inventory_of("Plain 1B")).section
    assert "| `gqa_paged_decode_h4_kv1_d64_ps1` | gqa_paged TP=2 | ✅ |" in dense
    assert "| `rmsnorm_h512` | rmsnorm | ✅ |" in dense
    mix = coverage_section(inventory_of("Mix 2B")).section
    assert "| `moe_fp8_block_scale_renorm_topk2_e4_h256_i128` | moe EP=4 | 🟡 |" in mix
    assert "Standard serving configuration: **TP=1** or **TP=2** or **TP=4, EP=4**." in mix


def test_every_definition_of_the_inventory_is_in_it_once() -> None:
    inventory = inventory_of("Plain 1B")
    made = coverage_section(inventory)
    for kernel in inventory.kernels:
        assert made.section.count(f"| `{kernel.required.definition_name}` |") == 1
    assert "gemm_n1536_k512" in made.section
    assert "gemm_n1536_k512" in DATASET


@pytest.mark.parametrize(
    "repo_id", ["acme/Plain-1B", "acme/Big-235B-A22B-Instruct-2507", "acme/v_3.1-Nano-8x7B-FP8"]
)
def test_its_title_means_its_repository(repo_id: str) -> None:
    made = coverage_section(builders.inventory(hf_repo_id=repo_id))
    assert tracked_title(repo_id, (made.title, "Other 1B")) == made.title


def test_strange_words_of_a_configuration_stay_in_their_cell() -> None:
    what = "a|b `c` {d} <e>\n\n```\n## f"
    strange = builders.inventory(
        builders.existing("rmsnorm_h4096"),
        summary=f"3 layers, {what} (2) and GQA (1) + MoE",
        unmapped=(Unmapped(what=what, reason="unknown"),),
    )
    made = coverage_section(strange)
    assert not set("`{}<>") & set(made.section.replace("`rmsnorm_h4096`", ""))
    _, _, document = check(pasted(made))
    assert [(row.what, row.sign) for block in document.blocks for row in block.rows] == [
        ("rmsnorm_h4096", "✅"),
        ("a/b 'c' (d) (e) ''' ## f", "—"),
    ]
    assert [len(row.architecture.text) > 0 for row in document.summary] == [True]


@pytest.mark.parametrize("title", list(CONFIGS))
def test_the_tracking_issue_holds_it_and_the_audit_accepts_it(title: str) -> None:
    inventory = inventory_of(title)
    manifest = from_inventory(inventory, date(2026, 5, 1))
    page = Page(origins={}, today="2026-05-01")
    body = tracking_body([manifest], page, 60_000)
    (found,) = re.findall(r"^```mdx\n(.*?)\n```$", body, re.DOTALL | re.MULTILINE)
    summary_row, _, section = found.partition("\n\n")
    made = coverage_section(inventory)
    assert summary_row == made.summary_row
    names = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert sorted(names) == sorted(re.findall(r"^\| `(\w+)`", made.section, re.MULTILINE))
    assert names[0].startswith("fused_add_rmsnorm")
    report, edits, _ = check(f"{HEAD}{summary_row}\n\n---\n\n{section}\n", complete=True)
    assert (report.findings, report.not_checked, edits) == ((), (), ())


def test_a_body_that_is_too_long_leaves_it_out_before_any_kernel() -> None:
    manifest = from_inventory(inventory_of("Plain 1B"), date(2026, 5, 1))
    page = Page(origins={}, today="2026-05-01")
    whole = tracking_body([manifest], page, 60_000)
    short = tracking_body([manifest], page, len(whole.split("```mdx")[0]) - 200)
    assert "```mdx" not in short
    assert all(k.definition_name in short for k in manifest.kernels)
