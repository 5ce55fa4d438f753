"""Which kernels are wanted most."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from builders import axis, existing, inventory, missing, required, supported, undecided
from discover_models import manifests
from discover_models.catalogue import catalogue
from discover_models.demand import Demand, Downloads, Ranking, model_family, rank
from discover_models.domain.architecture import Unmapped
from discover_models.domain.depth import Depth, Provider
from discover_models.domain.kernel import ClassifiedKernel, Inventory
from discover_models.domain.manifest import from_inventory
from hub_server import HubServer, Repository, running

Command = Callable[..., int]
TODAY = date(2026, 10, 30)


def experts(count: int, **fields: Any) -> ClassifiedKernel:
    need = required(
        f"moe_fp8_new_routing_topk8_e{count}",
        "moe",
        axes={"top_k": axis(8, "top_k"), "num_experts": axis(count, "num_experts")},
    )
    return missing("", required=need, **fields)


def model(repo_id: str, *kernels: ClassifiedKernel, **fields: Any) -> Inventory:
    slug = repo_id.rpartition("/")[2].lower()
    return inventory(*kernels, model_slug=slug, hf_repo_id=repo_id, **fields)


def ranking(*models: Inventory, downloads: Downloads | None = None) -> Ranking:
    return rank(catalogue(from_inventory(m, TODAY) for m in models), downloads)


def what(found: Ranking) -> list[tuple[str, str]]:
    return [(row.missing, row.kernel) for row in found.rows]


def test_one_kernel_at_several_sizes_is_one_row() -> None:
    found = ranking(model("Qwen/Qwen3-A", experts(64)), model("zai-org/GLM-5", experts(160)))
    (row,) = found.rows
    assert row.kernel == "moe_fp8_new_routing_topk*_e*"
    assert row.definitions == ("moe_fp8_new_routing_topk8_e160", "moe_fp8_new_routing_topk8_e64")
    assert row.models == ("glm-5", "qwen3-a")
    assert row.families == ("glm", "qwen")


def test_a_number_in_the_familys_own_name_is_no_size() -> None:
    axes = {"c": axis(4, "4"), "d": axis(512, "512")}
    need = required("dsv4_kv_compress_c4_d512", "dsv4_compress", axes=axes)
    (row,) = ranking(model("a/b", missing("", required=need))).rows
    assert row.kernel == "dsv4_kv_compress_c*_d*"


def test_what_is_in_the_dataset_ready_or_undecided_is_not_ranked() -> None:
    found = ranking(model("a/b", existing("rmsnorm_h1"), supported("gqa_x"), undecided("rope_x")))
    assert found.rows == ()
    assert found.undecided == 1


def test_kernels_that_are_missing_come_first_and_calls_of_sglang_last() -> None:
    call = supported("rope_d128", "rope", sgl_status="sgl_missing")
    untraced = supported("gqa_x", fi_trace_template=False)
    conv = Unmapped(what="causal conv1d (layers 0-6, 8)", reason="no definition names it yet")
    found = ranking(
        model("a/one", experts(64), call),
        model("a/two", experts(64), call, untraced),
        model("a/three", call, unmapped=(conv,)),
    )
    assert what(found) == [
        ("kernel", "moe_fp8_new_routing_topk*_e*"),
        ("trace template", "gqa_x"),
        ("definition", "causal conv1d"),
        ("SGLang call", "rope_d128"),
    ]


def test_what_holds_up_more_groups_comes_first() -> None:
    few, many = missing("mla_few", "mla_paged"), missing("mla_many", "mla_paged")
    found = ranking(
        model("a/one", few, many),
        model("a/two", many, group="a/two"),
        *(model(f"a/one-fp{n}", few, group="a/one") for n in (4, 8)),
    )
    assert what(found) == [("kernel", "mla_many"), ("kernel", "mla_few")]


def test_quantised_copies_are_one_group() -> None:
    base = model("a/base", experts(64), group="a/base")
    copy = model("a/base-fp8", experts(64), group="A/Base")
    (row,) = ranking(base, copy).rows
    assert (len(row.models), row.groups) == (2, 1)


def test_downloads_add_up_as_far_as_they_are_known() -> None:
    models = (model("a/One", experts(64)), model("a/two", experts(64)))
    (row,) = ranking(*models, downloads=Downloads(counts={"a/one": 12})).rows
    assert (row.downloads, row.downloads_unknown) == (12, 1)
    (row,) = ranking(*models).rows
    assert row.downloads is None


def test_what_serves_it_today_comes_from_the_manifest() -> None:
    depth = Depth(served_by=(Provider(name="Triton"), Provider(name="sgl_kernel")))
    (row,) = ranking(model("a/one", experts(64, depth=depth))).rows
    assert row.served_by == ("Triton", "sgl_kernel")


@pytest.mark.parametrize(
    ("repo_id", "family"),
    [
        ("Qwen/Qwen3-235B-A22B", "qwen"),
        ("meta-llama/Meta-Llama-3.1-8B", "llama"),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nemotron"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek"),
        ("openai/gpt-oss-120b", "gpt"),
    ],
)
def test_families_are_what_names_begin_with(repo_id: str, family: str) -> None:
    assert model_family(repo_id) == family


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for item in (model("a/one", experts(64)), model("a/two", experts(32))):
        path = tmp_path / "manifests" / f"{item.model_slug}.json"
        manifests.save(path, from_inventory(item, TODAY))
    return tmp_path / "manifests"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_the_command_prints_one_table(
    command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("demand", "--manifests", str(folder)) == 0
    said = capsys.readouterr().out
    (line,) = (line for line in said.splitlines() if "new_routing" in line)
    assert line.split() == [
        "kernel", "moe_fp8_new_routing_topk*_e*", "2", "2", "2", "one,", "two"
    ]  # fmt: skip
    assert "downloads" not in said


def test_downloads_are_asked_for_once_a_week(
    command: Command,
    folder: Path,
    hub: HubServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.repositories["a/one"] = Repository({}, downloads=1200)
    hub.repositories["a/two"] = Repository({}, downloads=34)
    asked = ("--manifests", str(folder), "--downloads", "--cache-dir", str(tmp_path / "cache"))
    for _ in range(2):
        assert command("demand", *asked) == 0
        assert "1,234" in capsys.readouterr().out
    assert sum("/api/models/" in path for path in hub.paths()) == 2


def test_a_hub_that_does_not_answer_leaves_downloads_unknown(
    command: Command, folder: Path, hub: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repositories["a/one"] = Repository({}, downloads=1200)
    odd = from_inventory(model("no repository", experts(8)), TODAY)
    manifests.save(folder / "odd.json", odd.model_copy(update={"model_slug": "odd"}))
    assert command("demand", "--manifests", str(folder), "--downloads", "--cache-dir", "none") == 0
    said = capsys.readouterr()
    assert "1,200 or more" in said.out
    assert "warning: the downloads of a/two are not known" in said.err
    assert "warning: the downloads of no repository are not known" in said.err


def test_json_and_markdown_say_the_same(
    command: Command, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("demand", "--manifests", str(folder), "--format", "json") == 0
    rows = Ranking.model_validate_json(capsys.readouterr().out).rows
    assert [row.kernel for row in rows] == ["moe_fp8_new_routing_topk*_e*"]
    assert isinstance(rows[0], Demand)
    assert command("demand", "--manifests", str(folder), "--format", "markdown") == 0
    assert "| kernel | <code>moe_fp8_new_routing_topk&#42;&#95;e&#42;</code> | 2 | 2 | 2 |" in (
        capsys.readouterr().out
    )
