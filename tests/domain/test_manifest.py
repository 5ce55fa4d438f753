"""The manifest follows the contract and says what the inventory says."""

import json
import runpy
from datetime import date
from pathlib import Path
from typing import Any

from builders import depth, evidence, existing, inventory, missing, sample, supported, undecided
from discover_models.domain.depth import Depth
from discover_models.domain.kernel import ClassifiedKernel
from discover_models.domain.manifest import from_inventory
from discover_models.manifests import dump, parse
from discover_models.render.from_manifest import inventory_of

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 4, 27)


def entries(*kernels: ClassifiedKernel) -> dict[str, dict[str, Any]]:
    found = json.loads(dump(from_inventory(inventory(*kernels), TODAY)))["kernels"]
    return {k["definition_name"]: k for k in found}


def verdicts(entry: dict[str, Any]) -> dict[str, Any]:
    names = ("phase1_status", "fi_status", "fi_trace_template", "sgl_status")
    return {name: entry[name] for name in names if name in entry}


def test_top_level_starts_with_the_contract() -> None:
    found = json.loads(dump(from_inventory(sample(), TODAY)))
    assert list(found)[:5] == ["model_slug", "hf_repo_id", "date", "repo_shas", "kernels"]
    assert found["date"] == "2026-04-27"
    assert found["repo_shas"]["sgl_cookbook"] == "c" * 12


def test_an_existing_definition_has_no_further_verdict() -> None:
    entry = entries(existing("rmsnorm_h4096"))["rmsnorm_h4096"]
    assert verdicts(entry) == {"phase1_status": "existing"}
    assert entry["dataset_name"] == "rmsnorm_h4096"


def test_an_existing_definition_has_no_verdict_even_where_one_was_reached() -> None:
    looked_at = existing("x", fi_status="fi_supported", sgl_status="sgl_integrated")
    assert verdicts(entries(looked_at)["x"]) == {"phase1_status": "existing"}


def test_an_existing_definition_says_under_which_name_it_is_there() -> None:
    assert entries(existing("x", matched_name="y"))["x"]["dataset_name"] == "y"
    assert entries(existing("x", matched_name=""))["x"]["dataset_name"] == "x"


def test_repositories_are_named_in_the_manifest_s_way() -> None:
    found = json.loads(dump(from_inventory(inventory(repo_shas={"sgl-cookbook": "c" * 40}), TODAY)))
    assert found["repo_shas"] == {"sgl_cookbook": "c" * 12}


def test_variants_and_implementation_are_written() -> None:
    implementation = evidence("sglang", "python/sglang/srt/models/sample.py", 12)
    sampled = inventory(variants=("org/Sample-FP8",), implementation=implementation)
    found = json.loads(dump(from_inventory(sampled, TODAY)))
    assert found["variants"] == [{"hf_repo_id": "org/Sample-FP8"}]
    assert found["implementation"]["path"] == "python/sglang/srt/models/sample.py"
    assert found["implementation"]["line"] == 12


def test_one_note_may_stand_without_a_list() -> None:
    written = json.loads(dump(from_inventory(inventory(supported("x")), TODAY)))
    written["kernels"][0]["notes"] = "looked at by hand"
    (kernel,) = parse(json.dumps(written).encode(), "x.json").kernels
    assert kernel.notes == ("looked at by hand",)


def test_a_supported_definition_has_all_verdicts() -> None:
    assert verdicts(entries(supported("x"))["x"]) == {
        "phase1_status": "new",
        "fi_status": "fi_supported",
        "fi_trace_template": True,
        "sgl_status": "sgl_integrated",
    }


def test_a_false_trace_flag_is_written() -> None:
    assert entries(supported("x", fi_trace_template=False))["x"]["fi_trace_template"] is False


def test_a_missing_definition_has_no_trace_flag() -> None:
    entry = entries(missing("x", fi_trace_template=False))["x"]
    assert verdicts(entry) == {
        "phase1_status": "new",
        "fi_status": "fi_missing",
        "sgl_status": "n/a",
    }


def test_undecided_is_left_out_and_explained() -> None:
    entry = entries(undecided("x"))["x"]
    assert verdicts(entry) == {"phase1_status": "new"}
    assert entry["notes"] == ["FlashInfer: its package could not be parsed"]


def test_depth_goes_into_the_manifest_and_comes_back() -> None:
    manifest = from_inventory(inventory(supported("x", depth=depth())), TODAY)
    (kernel,) = inventory_of(parse(dump(manifest), "x.json")).kernels
    assert kernel.depth == depth()


def test_depth_that_says_nothing_is_left_out() -> None:
    assert "depth" not in entries(supported("x", depth=Depth()))["x"]
    assert entries(supported("x", depth=depth(vetoes=())))["x"]["depth"]["paths"][0] == {
        "name": "CUDA cores",
        "verdict": "refuses",
        "reason": "group size 5",
    }


def test_entries_are_in_one_order_whatever_the_inventory_s() -> None:
    kernels = sample().kernels
    forward = from_inventory(inventory(*kernels), TODAY)
    backward = from_inventory(inventory(*reversed(kernels)), TODAY)
    assert dump(forward) == dump(backward)


def test_a_failed_source_is_noted() -> None:
    found = from_inventory(inventory(source_errors={"flashinfer": "no package root"}), TODAY)
    assert "flashinfer could not be read: no package root" in found.notes


def test_published_schema_is_in_step() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_schema.py"))
    published = (ROOT / "docs" / "manifest.schema.json").read_text(encoding="utf-8")
    assert published == script["render"](), "run: uv run python scripts/write_schema.py"
