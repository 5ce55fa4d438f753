"""Which repository a name means, and what is said when that can't be told."""

import json
from pathlib import Path

import pytest

from discover_models.errors import DiscoverError, UsageError
from discover_models.resolve import KnownModels, manifest_paths, resolve
from discover_models.settings import ModelRequest, RunOptions
from discover_models.sources.cookbook import Cookbook, read_cookbook
from discover_models.sources.hub import HubClient
from hub_server import Fault, HubServer, Repository, running

MODEL = Repository({"config.json": b'{"model_type": "llama", "num_hidden_layers": 2}'})
ADAPTER = Repository({"adapter_config.json": b"{}"})
PIPELINE = Repository({"model_index.json": b"{}"})
NOTHING = KnownModels(Cookbook(), None, None)


def find(slug: str, known: KnownModels, options: RunOptions | None = None) -> str:
    return resolve(ModelRequest(slug=slug), known, options or RunOptions()).hf_repo_id


def cookbook(tmp_path: Path, *paths: str) -> Cookbook:
    folder = tmp_path / "cookbook" / "data" / "models" / "generated" / "v0"
    folder.mkdir(parents=True)
    families = "".join(
        f"  - name: m{n}\n    model_path: {path}\n    attributes: {{}}\n    hardware: {{}}\n"
        for n, path in enumerate(paths)
    )
    text = f"vendor: v\nfamilies:\n- name: f\n  models:\n{families}"
    (folder / "v.yaml").write_text(text)
    return read_cookbook(tmp_path / "cookbook")


def configs(tmp_path: Path, *ids: str) -> Path:
    for repo_id in ids:
        (tmp_path / "configs" / repo_id).mkdir(parents=True)
    return tmp_path / "configs"


def test_a_given_id_is_taken_as_it_is() -> None:
    request = ModelRequest(slug="mine", hf_repo_id="Org/Model")
    assert resolve(request, NOTHING, RunOptions()) == request


@pytest.mark.parametrize("repo_id", ["Model", "a/b/c", "../b", "a/..", "a b/c", "a/b--c"])
def test_ids_that_are_none(repo_id: str) -> None:
    with pytest.raises(UsageError, match="ORG/MODEL"):
        resolve(ModelRequest(hf_repo_id=repo_id), NOTHING, RunOptions())


def test_offline_a_mistyped_name_is_told_what_is_near(tmp_path: Path) -> None:
    known = KnownModels(cookbook(tmp_path, "book/Near-8B"), configs(tmp_path, "c/Far"), None)
    with pytest.raises(UsageError, match=r"'near-8' \(the nearest are near-8b\); say which"):
        find("near-8", known)


def test_the_manifest_comes_first_then_folders_then_the_cookbook(tmp_path: Path) -> None:
    book = cookbook(tmp_path, "book/X", "book/Y", "book/Z")
    known = KnownModels(book, configs(tmp_path, "folder/X", "folder/Y"), None)
    manifest = {
        "model_slug": "x",
        "hf_repo_id": "manifest/X",
        "date": "2026-01-01",
        "repo_shas": {},
        "kernels": [],
    }
    (tmp_path / "x.json").write_text(json.dumps(manifest))
    options = RunOptions(manifest_dir=tmp_path)
    assert find("x", known, options) == "manifest/X"
    assert find("y", known, options) == "folder/Y"
    assert find("z", known, options) == "book/Z"


def test_several_of_one_name_are_listed(tmp_path: Path) -> None:
    known = KnownModels(Cookbook(), configs(tmp_path, "b/X", "a/x"), None)
    with pytest.raises(UsageError, match=r"in --configs: a/x, b/X; choose one with --hf-repo-id"):
        find("x", known)


def test_offline_an_unknown_name_asks_for_the_id() -> None:
    with pytest.raises(UsageError, match="--hf-repo-id"):
        find("x", NOTHING)


def on_the_hub(tmp_path: Path, slug: str, *faults: Fault, **repositories: Repository) -> str:
    with running() as server:
        fill(server, repositories)
        server.faults += faults
        client = HubClient(
            cache_dir=tmp_path / "cache", endpoint=server.url, sleep=lambda seconds: None
        )
        return find(slug, KnownModels(Cookbook(), None, client))


def fill(server: HubServer, repositories: dict[str, Repository]) -> None:
    """Keys spell ids: ``org__Model_8B`` is ``org/Model-8B``."""
    for key, repository in repositories.items():
        server.repositories[key.replace("__", "/").replace("_", "-")] = repository


def test_the_hub_s_one_repository_of_that_name(tmp_path: Path) -> None:
    found = on_the_hub(tmp_path, "model-8b", a__Model_8B=MODEL, b__Model_8B_Instruct=MODEL)
    assert found == "a/Model-8B"


def test_hits_that_are_no_language_model_do_not_count(tmp_path: Path) -> None:
    found = on_the_hub(
        tmp_path, "model-8b", a__Model_8B=ADAPTER, b__Model_8B=MODEL, c__Model_8B=PIPELINE
    )
    assert found == "b/Model-8B"


def test_a_gated_repository_may_be_the_one(tmp_path: Path) -> None:
    gated = Repository(MODEL.files, gated=True)
    assert on_the_hub(tmp_path, "model-8b", a__Model_8B=gated) == "a/Model-8B"
    with pytest.raises(UsageError, match=r"several models on the Hub: a/Model-8B, b/Model-8B;"):
        on_the_hub(tmp_path, "model-8b", a__Model_8B=gated, b__Model_8B=MODEL)


def test_a_name_without_tuning_and_date(tmp_path: Path) -> None:
    found = on_the_hub(tmp_path, "model-8b", a__Model_8B_Instruct_2507=MODEL, a__Model_8B_FP8=MODEL)
    assert found == "a/Model-8B-Instruct-2507"


def test_other_names_are_only_suggested(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no language model named 'model' \(.*a/Model-8B\)"):
        on_the_hub(tmp_path, "model", a__Model_8B=MODEL)
    with pytest.raises(UsageError, match="no language model named 'model'; choose"):
        on_the_hub(tmp_path, "model")


def test_a_hub_that_fails_is_no_mistake_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(DiscoverError, match="can't be looked up") as caught:
        on_the_hub(tmp_path, "x", Fault("/api/models", 503, times=99))
    assert not isinstance(caught.value, UsageError)


def test_where_manifests_go() -> None:
    options = RunOptions(manifest="a/{model_slug}_{date}.json", manifest_dir=Path("b"))
    assert list(manifest_paths("x", options, date="20260427")) == [
        Path("a/x_20260427.json"),
        Path("b/x.json"),
    ]
    assert list(manifest_paths("x", options, date="")) == [Path("b/x.json")]
