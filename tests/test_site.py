"""The page in a real browser: what a person sees and does there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from get_axe import AXE
from site_folders import HOSTILE, few, many, page_of

WIDE = {"width": 1366, "height": 768}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def _or_skip(there: object, reason: str) -> None:
    if not there:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    _or_skip(found, "there is no Chromium: run scripts/get_chromium.sh")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page_of(few(), tmp_path_factory.mktemp("few")).as_uri()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A laptop's window; whatever the page complains about or asks for fails the test."""
    context = browser.new_context(viewport=cast("Any", WIDE))
    page = context.new_page()
    page.set_default_timeout(10_000)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda r: None if r.url.startswith("file:") else said.append(r.url))
    yield page
    context.close()
    assert said == []


def names(page: Page) -> Locator:
    return page.locator(".grid tbody th")


def test_all_models_with_their_families_fit_a_laptop(page: Page, site: str) -> None:
    page.goto(site)
    expect(names(page)).to_have_text(["alpha", "beta", "hostile", "sample-moe"])
    expect(page.locator("#status")).to_have_text("4 of 4 models")
    cell = page.get_by_role("gridcell", name="moe 0/1: 1 FlashInfer missing").first
    expect(cell).to_have_class("fi_missing")
    expect(cell).to_have_text("✕0/1")
    wider = "document.getElementById('main').scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(wider)


def test_what_is_typed_and_chosen_filters_and_stands_in_the_address(page: Page, site: str) -> None:
    page.goto(site)
    page.keyboard.press("/")
    page.keyboard.type("SAMPLE-org al")
    expect(names(page)).to_have_text(["alpha"])
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("FlashInfer missing")).click()
    expect(names(page)).to_have_text(["beta", "sample-moe"])
    page.get_by_label("Kernel family").select_option("rmsnorm")
    page.get_by_role("button", name=re.compile("in the dataset")).click()
    page.get_by_label("Filter").fill("beta")
    expect(page).to_have_url(site + "#/?q=beta&family=rmsnorm&state=existing")
    again = page.url
    page.goto("about:blank")
    page.goto(again)
    expect(names(page)).to_have_text(["beta"])
    page.get_by_role("button", name="Clear").click()
    expect(names(page)).to_have_count(4)


def test_a_filter_that_nothing_passes_says_so(page: Page, site: str) -> None:
    page.goto(f"{site}#/?q=nosuch")
    expect(page.locator("#main")).to_contain_text("Nothing matches")
    expect(page.locator("#status")).to_have_text("0 of 4 models")


def test_headings_sort(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("button", name="In dataset").click()
    expect(names(page).first).to_have_text("alpha")
    page.get_by_role("button", name="moe", exact=True).click()
    expect(names(page).first).to_have_text("beta")
    expect(names(page).nth(1)).to_have_text("sample-moe")
    expect(page.locator("th[aria-sort]")).to_have_text("moe")
    page.get_by_label("Sort", exact=True).select_option("name")
    expect(names(page)).to_have_text(["alpha", "beta", "hostile", "sample-moe"])


def test_a_model_leads_to_its_kernels_and_they_to_who_needs_them(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("link", name="sample-moe").click()
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    expect(page.locator("article")).to_contain_text("94 layers, GQA + MoE")
    expect(page.locator("article")).to_contain_text("short convolution: no family maps it yet")
    page.get_by_role("link", name="rmsnorm_h4096", exact=True).click()
    expect(page).to_have_url(site + "#/kernel/rmsnorm_h4096")
    expect(page.locator("article")).to_contain_text("since 2026-10-30")
    expect(page.locator("caption")).to_have_text("Needed by 4 models")
    page.go_back()
    page.go_back()
    expect(names(page)).to_have_count(4)


def test_a_kernel_says_where_it_stands_and_where_that_was_read(page: Page, site: str) -> None:
    page.goto(f"{site}#/kernel/gqa_paged_decode_h8_kv1_d128_ps64")
    article = page.locator("article")
    expect(article).to_contain_text("Collect workloads")
    expect(article).to_contain_text("num_kv_heads = 1")
    expect(article).to_contain_text("group size 8: the tensor-core path takes it")
    link = article.get_by_role("link", name="flashinfer/decode.py:700")
    commit = "b" * 40
    expect(link).to_have_attribute(
        "href",
        f"https://github.com/flashinfer-ai/flashinfer/blob/{commit}/flashinfer/decode.py#L700",
    )


def test_kernels_are_listed_with_the_most_needed_first(page: Page, site: str) -> None:
    page.goto(f"{site}#/kernels")
    first = page.locator(".list tbody tr").first
    expect(first).to_contain_text("rmsnorm_h4096")
    page.get_by_role("button", name=re.compile("FlashInfer missing")).click()
    expect(page.locator(".list tbody tr")).to_have_count(2)


def test_what_is_missing_is_listed_by_how_many_models_it_holds_up(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("link", name="Demand").click()
    expect(page).to_have_url(site + "#/demand")
    rows = page.locator(".list tbody tr")
    expect(rows.first).to_contain_text("kernel")
    expect(page.locator("#status")).to_have_text(re.compile(r"^(\d+) of \1 missing$"))
    page.get_by_label("Filter").fill("beta")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(site + "#/demand?q=beta")
    rows.locator("summary").click()
    rows.get_by_role("link", name="beta").click()
    expect(page).to_have_url(site + "#/model/beta")
    page.go_back()
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Sort", exact=True).select_option("name")
    names = [text.strip() for text in rows.locator("summary").all_inner_texts()]
    assert names == sorted(names)
    assert len(names) > 1


@pytest.mark.parametrize("where", ["#/", "#/kernels", "#/demand", "#/model/sample-moe"])
def test_a_telephone_shows_what_counts_without_scrolling_sideways(
    page: Page, site: str, where: str
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site + where)
    wider = "document.documentElement.scrollWidth > innerWidth"
    assert not page.evaluate(wider)
    if where != "#/":  # the grid has a column for each family
        table = page.locator(".list").bounding_box()
        assert table
        assert table["x"] + table["width"] <= 390


@pytest.mark.parametrize("where", ["#/model/nosuch", "#/kernel/%E0%A4%A", "#/nosuch", "#/model/"])
def test_an_address_of_nothing_says_so(page: Page, site: str, where: str) -> None:
    page.goto(site + where)
    expect(page.get_by_role("heading", level=2)).to_contain_text("There is no")


def test_the_grid_is_walked_with_the_keyboard(page: Page, site: str) -> None:
    page.goto(site)
    page.locator(".grid tbody [tabindex='0']").focus()
    for key in ("ArrowDown", "End", "Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert focused == "rmsnorm 1: 1 in the dataset"
    expect(page.locator(".grid tbody [tabindex='0']")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(site + "#/model/beta?family=rmsnorm")
    expect(page.locator(".list tbody tr")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(names(page)).to_have_count(4)


def test_text_from_manifests_is_only_text(page: Page, site: str) -> None:
    page.goto(f"{site}#/model/hostile")
    expect(page.locator("article")).to_contain_text(HOSTILE)
    assert page.title() == "hostile · Kernel inventory"
    expect(page.locator("img")).to_have_count(0)
    expect(page.locator("script")).to_have_count(2)
    page.locator("article .list a").first.click()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"gqa{HOSTILE}")
    expect(page.locator("article")).not_to_contain_text("\u202e")


def test_the_page_allows_no_other_script_and_no_request(browser: Browser, site: str) -> None:
    page = browser.new_page()
    page.goto(site)
    refused = """() => new Promise((done) => {
      document.addEventListener("securitypolicyviolation", (e) => done(e.effectiveDirective));
      const script = document.createElement("script");
      script.textContent = "document.title = 'owned'";
      document.body.append(script);
    })"""
    assert page.evaluate(refused) == "script-src-elem"
    fetched = "fetch('https://example.invalid/').then(() => 'sent', () => 'refused')"
    assert page.evaluate(fetched) == "refused"
    assert page.title() == "Kernel inventory"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "where",
    ["#/", "#/?q=nosuch", "#/kernels", "#/demand", "#/model/sample-moe", "#/kernel/rmsnorm_h4096"],
)
def test_nothing_stands_in_anybodys_way(
    browser: Browser, site: str, where: str, scheme: Any
) -> None:
    _or_skip(AXE.is_there(), "axe is not there: run `python scripts/get_axe.py`")
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(site + where)
    page.add_script_tag(path=AXE.folder() / AXE.sign)
    found: dict[str, Any] = page.evaluate("axe.run()")
    context.close()
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []
    assert found["passes"]


def test_print_leaves_out_what_paper_can_not_do(page: Page, site: str) -> None:
    page.goto(site)
    page.emulate_media(media="print")
    expect(page.locator("#controls")).to_be_hidden()
    expect(page.locator(".grid")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.getElementById('main')).overflowY") == "visible"


def test_five_hundred_models(page: Page, tmp_path: Path) -> None:
    page.goto(page_of(many(500), tmp_path).as_uri())
    expect(page.locator(".grid tbody tr")).to_have_count(500)
    page.get_by_label("Filter").fill("model-49")
    expect(page.locator("#status")).to_have_text("10 of 500 models")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("Sort", exact=True).select_option("left")
    expect(page.locator(".grid tbody tr")).to_have_count(500)
