"""Slugs are names of files, so nothing may lead elsewhere and no two models may share one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.errors import UsageError
from discover_models.slugs import check_slug, distinct_slugs, slug_of


def test_a_slug_is_the_name_in_lower_case_with_its_dots() -> None:
    assert slug_of("Qwen/Qwen2.5-7B_Instruct") == "qwen2.5-7b_instruct"


@pytest.mark.parametrize("slug", ["a", "qwen3-235b-a22b", "gemma-3.1", "x_y", "org--model"])
def test_good_slugs(slug: str) -> None:
    assert check_slug(slug) == slug


@pytest.mark.parametrize(
    "slug",
    ["", ".", "..", "a..b", "a/b", "/a", "../a", "a\\b", ".hidden", "-x", "A", "a b", "a\n", "ä",
     "a" * 192, "a\0"],
)  # fmt: skip
def test_what_could_not_be_a_file_of_its_own(slug: str) -> None:
    with pytest.raises(UsageError):
        check_slug(slug)


@given(st.text(max_size=30))
def test_whatever_is_accepted_stays_in_its_folder(text: str) -> None:
    try:
        slug = check_slug(text)
    except UsageError:
        return
    assert "/" not in slug
    assert "\\" not in slug
    assert slug not in (".", "..")
    assert slug == slug.strip().lower()


def test_equal_names_all_carry_the_owner() -> None:
    ids = ["Org/Model", "other/MODEL", "org/other"]
    assert distinct_slugs(ids, ["", "", ""]) == ("org--model", "other--model", "other")
    assert distinct_slugs(["a/x", "b/y"], ["same", "same"]) == ("a--x", "b--y")
    assert distinct_slugs(["a/x", "b/x"], ["mine", ""]) == ("mine", "x")


@pytest.mark.parametrize(
    ("ids", "given_slugs"),
    [(["a/x", "b/x", "c/y"], ["", "", "a--x"]), (["a/x", "a/x"], ["", ""])],
)
def test_slugs_that_would_still_be_equal_are_refused(
    ids: list[str], given_slugs: list[str]
) -> None:
    with pytest.raises(UsageError, match="'a--x' would be the name of two models"):
        distinct_slugs(ids, given_slugs)
