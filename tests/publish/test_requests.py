"""What is asked for, of which models, and what may not be asked for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

import builders
from discover_models.domain.kernel import ClassifiedKernel, Inventory, Lack
from discover_models.domain.manifest import Manifest, from_inventory
from discover_models.publish.requests import (
    Looked,
    Request,
    kernel_requests,
    known_request,
    trace_request,
    why_not,
    with_url,
)

DAY = date(2026, 11, 23)
URL = "https://github.com/flashinfer-ai/flashinfer/issues/7"


def model(name: str, *kernels: ClassifiedKernel, **fields: Any) -> Inventory:
    return builders.inventory(*kernels, model_slug=name, hf_repo_id=f"sample-org/{name}", **fields)


def lacking(name: str, request: str, **fields: Any) -> ClassifiedKernel:
    lack = Lack(
        request=request,
        kernel=f"Kernel {request}",
        data_type="bf16",
        apis=(f"flashinfer.{request}",),
    )
    return builders.missing(name, fi_lack=lack, **fields)


def manifests(*inventories: Inventory) -> dict[str, Manifest]:
    return {i.model_slug: from_inventory(i, DAY) for i in inventories}


def looked(*inventories: Inventory, **fields: Any) -> Looked:
    return Looked(inventories={i.hf_repo_id.casefold(): i for i in inventories}, **fields)


def asked(*inventories: Inventory, **fields: Any) -> dict[str, Request]:
    seen = looked(*inventories, **fields)
    found = kernel_requests(manifests(*inventories).values(), seen, {})
    return {request.key: request for request in found}


def test_a_family_is_asked_for_once_whatever_number_of_models_needs_it():
    alpha = model("alpha", lacking("moe_a", "moe"), lacking("gdn_a", "gdn.head-size"))
    beta = model("beta", lacking("moe_a", "moe"), lacking("moe_b", "moe"))
    found = asked(alpha, beta)
    assert sorted(found) == ["gdn.head-size", "moe"]
    rows = {row.definition: row.models for row in found["moe"].rows}
    assert rows == {
        "moe_a": ("sample-org/alpha", "sample-org/beta"),
        "moe_b": ("sample-org/beta",),
    }
    assert found["moe"].barred == ""


def test_a_groups_own_model_gives_the_name():
    variant = model("aaa-fp8", lacking("moe_a", "moe"), group="sample-org/base")
    base = model("base", lacking("moe_a", "moe"), group="sample-org/base")
    assert asked(variant, base)["moe"].models[0] == "sample-org/base"


ALPHA = model("alpha", lacking("moe_a", "moe"))
(ENTRY,) = manifests(ALPHA)["alpha"].kernels


@pytest.mark.parametrize("source", ["flashinfer", "flashinfer-trace", "sglang", "sgl-cookbook"])
def test_nothing_is_asked_for_in_a_run_in_which_a_source_failed(source: str):
    seen = looked(ALPHA, failed={source: "no network"})
    assert source in why_not(ENTRY, manifests(ALPHA)["alpha"], seen)


def test_nothing_is_asked_for_from_memory():
    assert "not looked at" in why_not(ENTRY, manifests(ALPHA)["alpha"], looked())


def test_nothing_is_asked_for_of_an_unresolved_model():
    seen = looked(ALPHA, unsettled=frozenset({"sample-org/alpha"}))
    assert "not settled" in why_not(ENTRY, manifests(ALPHA)["alpha"], seen)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"fi_status": None, "fi_lack": None}, "not decided"),
        ({"fi_status": "fi_supported", "fi_lack": None}, "not decided"),
        ({"fi_lack": None}, "not decided"),
        ({"notes": ("its limit was not checked",)}, "not checked"),
        ({"notes": ("sgl_status undecided: no network",)}, "not checked"),
        ({"evidence": ()}, "evidence"),
        (
            {
                "required": builders.required(
                    "moe_a", "moe", notes=("the checkpoint itself is BF16",)
                )
            },
            "not checked",
        ),
    ],
)
def test_nothing_is_asked_for_that_this_run_is_not_certain_of(changed: dict[str, Any], why: str):
    """The manifest may still say otherwise: it remembers an earlier run."""
    kernel = lacking("moe_a", "moe").model_copy(update=changed)
    assert why in why_not(ENTRY, manifests(ALPHA)["alpha"], looked(model("alpha", kernel)))
    assert why_not(ENTRY, manifests(ALPHA)["alpha"], looked(ALPHA)) == ""


def test_what_is_no_longer_required_is_not_asked_for():
    (entry,) = manifests(ALPHA)["alpha"].kernels
    gone = type(entry).of({**entry.known(), "required": False}, {})
    old = manifests(ALPHA)["alpha"]
    changed = Manifest.of({**old.known(), "kernels": (gone,)}, {})
    assert kernel_requests([changed], looked(ALPHA), {}) == ()


def test_the_address_goes_into_every_entry_of_the_family_and_replaces_none():
    alpha = model("alpha", lacking("moe_a", "moe"), lacking("gdn_a", "gdn"))
    beta = model("beta", lacking("moe_b", "moe"))
    before = manifests(alpha, beta)
    mine = before["beta"].kernels[0]
    other = type(mine).of(mine.known(), {"fi_issue_url": "https://example.org/1", "by": "hand"})
    before["beta"] = Manifest.of({**before["beta"].known(), "kernels": (other,)}, {})
    after = with_url(before, asked(alpha, beta)["moe"], URL)
    urls = {
        k.definition_name: k.foreign().get("fi_issue_url")
        for m in after.values()
        for k in m.kernels
    }
    assert urls == {"gdn_a": None, "moe_a": URL, "moe_b": "https://example.org/1"}
    assert after["beta"] is before["beta"]


def test_what_is_asked_for_stays_in_its_request_when_something_else_is_missing_of_it():
    noted = with_url(manifests(ALPHA), asked(ALPHA)["moe"], URL)["alpha"]
    (entry,) = noted.kernels
    lack = entry.fi_lack
    assert lack is not None
    other = type(lack).of({**lack.known(), "request": "moe.width"}, {})
    kernel = type(entry).of({**entry.known(), "fi_lack": other}, entry.foreign())
    now = Manifest.of({**noted.known(), "kernels": (kernel,)}, {})
    (own,) = kernel_requests([now], looked(ALPHA), {URL: "moe"})
    assert own.key == "moe"
    (persons,) = kernel_requests([now], looked(ALPHA), {})
    assert (persons.key, persons.urls) == ("moe.width", (URL,))


@pytest.mark.parametrize("name", ["moe.width", "MoE", "moe", "Kernel moe.width"])
def test_the_configuration_names_a_request_by_key_title_or_family(name: str):
    request = asked(model("alpha", lacking("moe_a", "moe.width")))["moe.width"]
    assert known_request(request, {name: URL}) == URL
    assert known_request(request, {"gdn": URL}) == ""


def test_trace_templates_are_asked_for_in_one_request():
    alpha = model(
        "alpha",
        builders.supported("gqa_a", fi_trace_template=False),
        builders.supported("gqa_b", fi_trace_template=True),
        builders.supported("gqa_c", fi_trace_template=None),
        lacking("moe_a", "moe"),
    )
    request = trace_request(manifests(alpha).values(), looked(alpha))
    assert request is not None
    assert [row.definition for row in request.rows] == ["gqa_a"]
    assert request.barred == ""
    assert trace_request(manifests(ALPHA).values(), looked(ALPHA)) is None
    noted = with_url(manifests(alpha), request, URL)["alpha"]
    marked = [k.definition_name for k in noted.kernels if k.foreign()]
    assert marked == ["gqa_a"]
    assert noted.kernels[0].foreign() == {"fi_trace_template_request_url": URL}


def test_a_checkpoint_that_is_not_served_so_is_no_part_of_a_request():
    bf16 = lacking(
        "moe_b",
        "moe",
        required=builders.required("moe_b", "moe", notes=("the checkpoint itself is BF16",)),
    )
    found = asked(model("alpha", lacking("moe_a", "moe")), model("beta", bf16))
    assert [row.definition for row in found["moe"].rows] == ["moe_a"]


def test_what_another_kernel_does_as_well_is_no_part_of_a_request():
    """FlashInfer lacks it and is not asked for it, also where a request of ours has it noted."""
    lack, served = lacking("moe_a", "moe"), builders.missing("moe_b", fi_lack=None)
    both = manifests(model("alpha", lack, served))
    (request,) = kernel_requests(both.values(), looked(), {})
    assert [row.definition for row in request.rows] == ["moe_a"]
    (_, kernel) = both["alpha"].kernels
    noted = type(kernel).of(kernel.known(), {"fi_issue_url": URL})
    alone = Manifest.of({**both["alpha"].known(), "kernels": (noted,)}, {})
    assert kernel_requests([alone], looked(), {URL: "moe"}) == ()
