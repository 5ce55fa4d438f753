from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_repos import Remote

from discover_models.discovery import discover
from discover_models.domain.candidate import Discovery
from discover_models.sources.novelties import Novelties, read_novelties
from discover_models.sources.source_spec import SourceSpec
from discover_models.sources.workspace import RepoState, Workspace

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
BEFORE = "2026-02-01T00:00:00Z"
AFTER = "2026-03-02T00:00:00Z"
MODELS = "python/sglang/srt/models"
PAGES = "docs_new/cookbook/autoregressive"
GENERATED = "data/models/generated"


def model(*names: str, body: str = "...") -> str:
    classes = "".join(f"class {name}:\n    {body}\n" for name in names)
    return f"{classes}EntryClass = [{', '.join(names)}]\n"


def entry(*paths: str, kind: str = "llm") -> str:
    lines = [
        f"  - {{name: {p.split('/')[1]}, model_path: {p}, attributes: {{{kind}: {{}}}}}}"
        for p in paths
    ]
    return "\n".join(["families:", "- name: f", "  models:", *lines, ""])


@pytest.fixture
def remotes(tmp_path: Path) -> tuple[Remote, Remote]:
    sglang, cookbook = Remote(tmp_path / "r1"), Remote(tmp_path / "r2")
    sglang.commit(
        BEFORE,
        {
            f"{MODELS}/old.py": model("OldForCausalLM", "MovedForCausalLM"),
            f"{MODELS}/kept.py": model("KeptForCausalLM"),
            f"{MODELS}/broken.py": model("BrokenForCausalLM"),
            f"{PAGES}/V/Old.mdx": "```bash\nsglang serve --model v/Old --tp 2\n```\n",
        },
    )
    cookbook.commit(BEFORE, {f"{GENERATED}/v1/a.yaml": entry("v/Old", "v/Same")})
    return sglang, cookbook


Look = Callable[[], Novelties]


@pytest.fixture(params=["partial", "full"])
def look(request: pytest.FixtureRequest, tmp_path: Path, remotes: tuple[Remote, Remote]) -> Look:
    """Compare in the clones the program makes, and in somebody's full ones."""

    def run() -> Novelties:
        workspace = Workspace(tmp_path / "ws")
        if request.param == "full":
            workspace = Workspace(tmp_path, offline=True)
            for name, remote in zip(("sglang", "sgl-cookbook"), remotes, strict=True):
                if not (tmp_path / name).exists():
                    (tmp_path / name).symlink_to(remote.folder)
        specs = [
            SourceSpec(name="sglang", url=remotes[0].url),
            SourceSpec(name="sgl-cookbook", url=remotes[1].url),
        ]
        return read_novelties(workspace, workspace.prepare(specs, SINCE))

    return run


def names(found: Novelties) -> list[str]:
    return [c.name for c in found.registrations.classes]


def test_nothing_new(look: Look) -> None:
    found = look()
    assert found.errors == {}
    assert names(found) == []
    assert found.models.models == ()
    assert found.pages == ()
    assert found.compared["sglang"].base == found.compared["sglang"].head


def test_new_classes_in_new_and_old_files(look: Look, remotes: tuple[Remote, Remote]) -> None:
    remotes[0].commit(
        AFTER,
        {
            f"{MODELS}/old.py": model("OldForCausalLM", "AddedForCausalLM"),
            f"{MODELS}/new.py": model("NewForCausalLM", "MovedForCausalLM"),
            f"{MODELS}/again.py": model("KeptForCausalLM"),
        },
    )
    assert names(look()) == ["NewForCausalLM", "AddedForCausalLM"]


def test_a_byte_order_mark_does_no_harm(look: Look, remotes: tuple[Remote, Remote]) -> None:
    remotes[0].commit(AFTER, {f"{MODELS}/new.py": "\ufeff" + model("NewForCausalLM")})
    found = look()
    assert names(found) == ["NewForCausalLM"]
    assert found.registrations.errors == {}


def test_a_renamed_file_registers_nothing_new(look: Look, remotes: tuple[Remote, Remote]) -> None:
    remotes[0].commit(
        AFTER, {f"{MODELS}/kept.py": None, f"{MODELS}/named.py": model("KeptForCausalLM")}
    )
    assert names(look()) == []


def test_helpers_and_folders_the_registry_does_not_load(
    look: Look, remotes: tuple[Remote, Remote]
) -> None:
    remotes[0].commit(
        AFTER,
        {
            f"{MODELS}/helper.py": "# EntryClass = Nothing\n",
            f"{MODELS}/common/part.py": "class Part: ...\n",
            f"{MODELS}/common/deep.py": model("DeepForCausalLM"),
            f"{MODELS}/notes.md": "EntryClass = [X]",
        },
    )
    found = look().registrations
    assert found.classes == ()
    assert found.helpers == (f"{MODELS}/common/part.py", f"{MODELS}/helper.py")
    assert found.not_loaded == (f"{MODELS}/common/deep.py",)


def test_a_file_that_can_not_be_parsed_is_an_error_not_an_absence(
    look: Look, remotes: tuple[Remote, Remote]
) -> None:
    remotes[0].commit(
        AFTER,
        {
            f"{MODELS}/broken.py": "EntryClass = [",
            f"{MODELS}/computed.py": "EntryClass = make()\n",
            f"{MODELS}/fine.py": model("FineForCausalLM"),
        },
    )
    found = look().registrations
    assert [c.name for c in found.classes] == ["FineForCausalLM"]
    assert sorted(found.errors) == [f"{MODELS}/broken.py", f"{MODELS}/computed.py"]


def test_a_link_is_not_followed(look: Look, remotes: tuple[Remote, Remote], tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(model("OutsideForCausalLM"))
    (remotes[0].folder / MODELS / "link.py").symlink_to(tmp_path / "outside.py")
    remotes[0].commit(AFTER, {})
    assert names(look()) == []


def test_where_a_class_stands_and_what_its_file_links_to(
    look: Look, remotes: tuple[Remote, Remote]
) -> None:
    text = f'"""See https://huggingface.co/v/New-7B."""\n{model("NewForCausalLM")}'
    remotes[0].commit(AFTER, {f"{MODELS}/new.py": text})
    (new,) = look().registrations.classes
    assert (new.file, new.line, new.links) == (f"{MODELS}/new.py", 2, ("v/New-7B",))


def test_models_the_cookbook_did_not_list_before(
    look: Look, remotes: tuple[Remote, Remote]
) -> None:
    remotes[1].commit(
        AFTER,
        {
            f"{GENERATED}/v1/a.yaml": entry("v/Old", "v/Same", "v/Grown"),
            f"{GENERATED}/v2/b.yaml": entry("v/New", "V/same"),
            f"{GENERATED}/v2/c.yaml": "families: [",
            f"{GENERATED}/top.yaml": entry("v/Top"),
            f"{GENERATED}/v2/deep/d.yaml": entry("v/Deep"),
        },
    )
    found = look().models
    assert [m.model_path for m in found.models] == ["v/Grown", "v/New"]
    assert [m.model_path for m in found.listed_before] == ["V/same"]
    assert list(found.errors) == [f"{GENERATED}/v2/c.yaml"]


def test_new_pages(look: Look, remotes: tuple[Remote, Remote]) -> None:
    remotes[0].commit(
        AFTER,
        {
            f"{PAGES}/V/Old.mdx": "changed",
            f"{PAGES}/V/New.mdx": "```bash\nsglang serve --model v/New --tp 2\n```\n",
            f"{PAGES}/intro.mdx": "no model",
        },
    )
    assert [p.served for p in look().pages] == [("v/New",)]


def test_first_commit_in_the_window(tmp_path: Path) -> None:
    remote = Remote(tmp_path / "r")
    first = remote.commit(AFTER, {f"{MODELS}/a.py": model("AForCausalLM")})
    remote.commit("2026-03-03T00:00:00Z", {f"{MODELS}/b.py": model("BForCausalLM")})
    workspace = Workspace(tmp_path / "ws")
    states = workspace.prepare([SourceSpec(name="sglang", url=remote.url)], SINCE)
    found = read_novelties(workspace, states)
    assert names(found) == ["BForCausalLM"]
    assert found.compared["sglang"].base == first
    assert "first commit" in found.compared["sglang"].note
    assert "sgl-cookbook" in found.errors


def test_a_source_that_failed_is_an_error(tmp_path: Path) -> None:
    state = RepoState(name="sglang", path=tmp_path, error="no network")
    found = read_novelties(Workspace(tmp_path), {"sglang": state})
    assert found.errors["sglang"] == "no network"


def test_everything_together(look: Look, remotes: tuple[Remote, Remote]) -> None:
    remotes[0].commit(
        AFTER,
        {
            f"{MODELS}/new.py": model("NewForCausalLM", "NewForCausalLMNextN"),
            f"{PAGES}/V/New.mdx": "```bash\nsglang serve --model v/New-7B --tp 2\n```\n",
        },
    )
    remotes[1].commit(
        AFTER,
        {
            f"{GENERATED}/v1/n.yaml": entry("v/New-7B", "v/Tracked-8B-FP8"),
            f"{GENERATED}/v1/d.yaml": entry("v/Draw", kind="diffusion"),
        },
    )
    found = look()
    result: Discovery = discover(
        registrations=found.registrations,
        models=found.models,
        pages=found.pages,
        titles=["Tracked 8B"],
        compared=found.compared,
        errors=found.errors,
    )
    assert [(c.origin, c.name, c.hf_repo_id, len(c.evidence)) for c in result.candidates] == [
        ("day0", "NewForCausalLM", None, 1),
        ("cookbook", "New-7B", "v/New-7B", 2),
    ]
    assert [(s.name, s.reason) for s in result.skipped] == [
        ("NewForCausalLMNextN", "draft"),
        ("v/Draw", "diffusion"),
    ]
    assert [(t.name, t.title) for t in result.tracked] == [("v/Tracked-8B-FP8", "Tracked 8B")]
    assert result.candidates[0].evidence[0].commit == found.compared["sglang"].head
