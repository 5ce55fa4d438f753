"""A sweep over many runners: every model in one share, and the same manifests for any number."""

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discover_models import demo
from discover_models.commands.merge import merge_folders, united
from discover_models.domain.manifest import Manifest, RepoShas
from discover_models.errors import UsageError
from discover_models.settings import ModelRequest, RunOptions
from discover_models.sharding import Shard, parse_shard
from sweep import sweep

VARIANTS = ("demo-org/Demo-8B-Instruct", "demo-org/Demo-8B-FP8", "other/Demo-8B-Chat",
            "other/Demo-MoE-16B-Base", "third/Demo-8B")  # fmt: skip


@given(st.text(), st.integers(1, 300))
def test_every_repository_is_in_one_share(repo_id: str, count: int) -> None:
    taken = [n for n in range(1, count + 1) if Shard(n, count).takes(repo_id)]
    assert len(taken) == 1


def test_shares_are_the_same_on_every_machine() -> None:
    """The id's sha256sum in lower case begins with 5c522d3a1b09bda3, which is 3 modulo 8."""
    assert [n for n in range(1, 9) if Shard(n, 8).takes("Qwen/Qwen3-235B-A22B")] == [4]


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1/0", "1", "a/b", "-1/4", "1/4/5", "\uff11/4"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard"):
        parse_shard(text)


@pytest.fixture(name="options")
def _options(tmp_path: Path) -> RunOptions:
    """The demonstration's models, and others that have the same kernels or can't be read."""
    configs = tmp_path / "configs"
    shutil.copytree(demo.CONFIGS, configs)
    for repo_id in VARIANTS:
        like = demo.MODELS["MoE" in repo_id]
        shutil.copytree(configs / like, configs / repo_id)
    models = [ModelRequest(hf_repo_id=r) for r in (*demo.MODELS, *VARIANTS, "other/Not-There")]
    random.Random(7).shuffle(models)
    workspace = demo.prepare(tmp_path / "workspace")
    return RunOptions(models=tuple(models), workspace=workspace, configs=configs, offline=True)


@pytest.mark.parametrize("count", [2, 3, 5, 16])
def test_any_number_of_shares_gives_the_same_manifests(
    options: RunOptions, tmp_path: Path, count: int
) -> None:
    whole = sweep(options, tmp_path / "whole", 1)
    assert len(whole) == len(options.models) - 1
    assert sweep(options, tmp_path / "shared", count) == whole


# Merging -------------------------------------------------------------------------------------


def _manifest(slug: str, day: int, note: str) -> Manifest:
    return Manifest(model_slug=slug, hf_repo_id=f"org/{slug}", date=f"2026-01-{day:02}",
                    repo_shas=RepoShas(), kernels=(), notes=(note,))  # fmt: skip


manifests = st.builds(
    _manifest, st.sampled_from("abc"), st.integers(1, 3), st.sampled_from(["one", "two", "three"])
)
folders = st.lists(manifests, max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(folders, folders, folders)
def test_merging_is_associative_and_knows_no_order(
    a: list[Manifest], b: list[Manifest], c: list[Manifest]
) -> None:
    whole = united([*a, *b, *c])
    assert united([*united([*a, *b]), *c]) == whole
    assert united([*a, *united([*b, *c])]) == whole
    assert united([*c, *b, *a]) == whole
    assert united([*whole, *whole]) == whole


@given(folders)
def test_of_one_model_the_newest_stays(found: list[Manifest]) -> None:
    for manifest in united(found):
        days = [m.date for m in found if m.model_slug == manifest.model_slug]
        assert manifest in found
        assert manifest.date == max(days)


def test_two_repositories_with_one_slug_are_refused() -> None:
    one = Manifest(model_slug="a", hf_repo_id="x/a", date="2026-01-01", repo_shas=RepoShas(),
                   kernels=())  # fmt: skip
    with pytest.raises(UsageError, match="a is the slug of x/a and y/a"):
        united([one, one.model_copy(update={"hf_repo_id": "y/a"})])


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        merge_folders([tmp_path / "absent"], tmp_path / "out")
