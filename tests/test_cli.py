"""What a person sees of the command: one sentence per mistake, the exit code, whole files."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from discover_models import cli, demo
from hub_server import Repository, running

MODEL = "demo-org/Demo-8B"
OTHER = "demo-org/Demo-MoE-16B"
COMMAND = (sys.executable, "-m", "discover_models")


class Outcome(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Standard error without the lines of progress."""
        lines = self.err.splitlines()
        return "\n".join(line for line in lines if not line.startswith("inventory of "))


Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.prepare(tmp_path_factory.mktemp("workspace"))


@pytest.fixture
def workspace(sources: Path, tmp_path: Path) -> Path:
    """A workspace of the test's own, to be broken."""
    return Path(shutil.copytree(sources, tmp_path / "workspace"))


@pytest.fixture
def run(
    sources: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """The command in this process, offline on the demonstration's sources unless told other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISCOVER_MODELS_CACHE", "none")

    def call(*arguments: str | Path, bare: bool = False) -> Outcome:
        given = [str(argument) for argument in arguments]
        if not bare:
            given += ["--offline"]
            given += [] if "--workspace" in given else ["--workspace", str(sources)]
            given += [] if "--configs" in given else ["--configs", str(demo.CONFIGS)]
        monkeypatch.setattr(sys, "argv", ["discover-models", *given])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert isinstance(stop.value.code, int)
        printed = capsys.readouterr()
        return Outcome(stop.value.code, str(printed.out), str(printed.err))

    return call


def one_sentence(outcome: Outcome, code: int, *parts: str) -> None:
    """It failed as expected: nothing on standard output but a report, and no traceback."""
    assert outcome.code == code, outcome
    assert len(outcome.said.splitlines()) == 1, outcome.said
    for part in parts:
        assert part in outcome.said
    assert "Traceback" not in outcome.err


def files(folder: Path) -> set[str]:
    """What is in a folder but for locks, which hold nothing."""
    return {f.name for f in folder.iterdir() if not f.name.endswith(".lock")}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--hf-repo-id", "demo"),
        ("--model-name", "Demo 8B"),
        ("explain", "Demo 8B", "x"),
        ("explain", "demo-8b", "x", "--hf-repo-id", "demo"),
    ],
)
def test_a_name_that_can_be_none_is_refused_before_anything_is_cloned(
    run: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    outcome = run(*arguments, bare=True)
    one_sentence(outcome, 2, "is n")
    assert list(tmp_path.iterdir()) == []


# The report ----------------------------------------------------------------------------------


def test_the_report_of_one_model_goes_to_standard_output(run: Run) -> None:
    outcome = run("--hf-repo-id", MODEL)
    assert outcome.code == 0
    assert outcome.out.startswith(f"Model: demo-8b\nHF repo: {MODEL}\nArchitecture: 36 layers, GQA")
    assert "gqa_paged_decode_h15_kv3_d128_ps64" in outcome.out
    assert outcome.said == ""


def test_json_is_json(run: Run) -> None:
    found = json.loads(run("--hf-repo-id", MODEL, "--format", "json").out)
    assert found["hf_repo_id"] == MODEL
    assert {k["phase1_status"] for k in found["kernels"]} == {"existing", "new"}


def test_output_replaces_the_file_and_leaves_nothing_beside_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / "report.md").write_text("old")
    outcome = run("--hf-repo-id", MODEL, "--format", "markdown", "--output", folder / "report.md")
    assert (outcome.code, outcome.out) == (0, "")
    assert (folder / "report.md").read_text("utf-8").startswith("## <code>demo-8b</code>")
    assert files(folder) == {"report.md"}


def test_demo_needs_nothing_and_says_that_it_is_synthetic(run: Run) -> None:
    outcome = run("--demo", bare=True)
    assert outcome.code == 0
    assert "synthetic" in outcome.err
    assert outcome.out.count("Model: ") == len(demo.MODELS)


def test_version_and_help(run: Run) -> None:
    assert run("--version", bare=True).out.count(".") >= 1
    text = run("--help", bare=True).out
    for option in ("--model-name", "--hf-repo-id", "--manifest", "--refresh", "--discover"):
        assert option in text


# Mistakes on the command line ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say which model"),
        (("--hf-repo-id", "Demo-8B"), "'Demo-8B' is not a Hub repository id"),
        (("--hf-repo-id", "a/b/c"), "'a/b/c' is not a Hub repository id"),
        (("--hf-repo-id", "../Demo-8B"), "'../Demo-8B' is not a Hub repository id"),
        (("--hf-repo-id", MODEL, "--model-name", "a/b"), "'a/b' is no model name"),
        (("--hf-repo-id", MODEL, "--model-name", ".."), "'..' is no model name"),
        (("--hf-repo-id", MODEL, "--model-name", "a..b"), "'a..b' is no model name"),
        (("--hf-repo-id", MODEL, "--model-name", "Demo"), "'Demo' is no model name"),
        (("--model-name", "nope"), "the name 'nope'"),
        (("--models", "nowhere", "--hf-repo-id", MODEL), "--models goes without"),
        (("--models", "nowhere"), "--models nowhere: can't be read"),
        (("--hf-repo-id", MODEL, "--output", "nowhere/report"), "the folder nowhere is not there"),
        (("--hf-repo-id", MODEL, "--output", "."), "--output: . is a folder"),
        (("--hf-repo-id", MODEL, "--manifest", "m/{slug}.json"), "{slug} can't be filled in"),
        (("--hf-repo-id", MODEL, "--configs", "nowhere"), "the folder nowhere is not there"),
        (("--hf-repo-id", MODEL, "--workspace", "nowhere"), "the workspace nowhere is not there"),
        (("--hf-repo-id", MODEL, "--source", "sglang"), "--source 'sglang' is not"),
        (("--hf-repo-id", MODEL, "--source", "other=x"), "--source names 'other'"),
        (("--discover", "--since", "yesterday"), "--since 'yesterday'"),
    ],
)
def test_usage_errors(run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    outcome = run(*arguments)
    one_sentence(outcome, 2, said)
    assert outcome.out == ""
    assert files(tmp_path) == set()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--modelname", "x"), "--modelname"),
        (("--tp", "0"), "--tp"),
        (("--tp", "eight"), "--tp"),
        (("--ep", "-1"), "--ep"),
        (("--format", "pdf"), "--format"),
        (("explain", "demo-8b"), "DEFINITION"),
        (("explian", "demo-8b"), "explian"),
    ],
)
def test_what_the_parser_refuses(run: Run, arguments: tuple[str, ...], said: str) -> None:
    outcome = run(*arguments, bare=True)
    assert outcome.code == 2
    assert outcome.out == ""
    assert said in outcome.err
    assert "Error: " in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "names no model"),
        (b"# only a comment\n", "names no model"),
        (b"demo-org/Demo-8B\none two three\n", "list:2"),
        (b"demo-8b\n", "list:1"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a/b demo-org/Demo-8B\n", "'a/b' is no model name"),
        (b"x bad/../id\n", "'bad/../id' is not a Hub repository id"),
    ],
)
def test_lists_of_models_that_are_none(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "list").write_bytes(content)
    one_sentence(run("--models", "list"), 2, said)


def test_one_manifest_file_for_several_models_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{MODEL}\n{OTHER}\n")
    one_sentence(run("--models", "list", "--manifest", "one.json"), 2, "{model_slug}")
    assert files(tmp_path) == {"list"}


# Models --------------------------------------------------------------------------------------


def test_a_slug_is_enough_where_a_folder_has_it(run: Run) -> None:
    assert f"HF repo: {MODEL}" in run("--model-name", "demo-8b").out


def test_equal_slugs_all_carry_the_owner(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"demo {MODEL}  # the dense one\n\ndemo {OTHER}\n")
    outcome = run("--models", "list", "--manifest-dir", "out")
    assert "Model: demo-org--demo-8b" in outcome.out
    assert files(tmp_path / "out") == {"demo-org--demo-8b.json", "demo-org--demo-moe-16b.json"}


def test_a_model_that_is_listed_twice_is_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{MODEL}\n{MODEL}\n")
    assert run("--models", "list").out.count("Model: demo-8b\n") == 1


def test_a_variant_found_later_joins_the_group_of_the_manifests(run: Run, tmp_path: Path) -> None:
    variant = f"{MODEL}-Instruct"
    shutil.copytree(demo.CONFIGS, tmp_path / "configs")
    shutil.copytree(demo.CONFIGS / MODEL, tmp_path / "configs" / variant)
    common = ("--manifest-dir", "out", "--configs", tmp_path / "configs")
    run("--hf-repo-id", MODEL, *common)
    run("--hf-repo-id", variant, *common)
    name = variant.rpartition("/")[2].lower()
    manifest = json.loads((tmp_path / "out" / f"{name}.json").read_text())
    assert manifest["group"] == MODEL
    assert manifest["variants"] == [{"hf_repo_id": MODEL}]


def test_sizes_that_are_given_replace_the_cookbooks(run: Run) -> None:
    out = run("--hf-repo-id", MODEL, "--tp", "3", "--tp", "6").out
    assert "Served as: tp=3/ep=1, tp=6/ep=1" in out
    assert "gqa_paged_decode_h5_kv1_d128_ps1" in out
    assert "h15_kv3" not in out


def test_an_expert_size_alone_is_one_that_sglang_takes(run: Run) -> None:
    out = run("--hf-repo-id", OTHER, "--ep", "2").out
    assert "Served as: tp=2/ep=2" in out
    assert "refused" not in out


def test_refused_sizes_leave_what_no_size_changes(run: Run) -> None:
    out = run("--hf-repo-id", MODEL, "--tp", "7").out
    assert "refused by SGLang: tp 7 (--tp/--ep): 30 query heads can't be split over 7" in out
    assert "fused_add_rmsnorm_h3840 " in out
    assert "gqa_ragged" not in out
    assert "Served as" not in out
    both = run("--hf-repo-id", MODEL, "--tp", "7", "--tp", "2").out
    assert "Served as: tp=2/ep=1\n" in both


# Configurations ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"model_type": "dem', "is not JSON"),
        (b'{"model_type": "d\xe9mo"}', "is not UTF-8"),
        (b"[1, 2]", "holds no JSON object"),
        (b"", "is not JSON"),
        (b"{}", "not a generative language model"),
    ],
)
def test_configurations_that_are_none(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "configs" / MODEL / "config.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    outcome = run("--hf-repo-id", MODEL, "--configs", "configs", "--manifest", "m.json")
    one_sentence(outcome, 1, "demo-8b: ", said)
    assert not (tmp_path / "m.json").exists()


def test_offline_without_a_configuration(run: Run) -> None:
    one_sentence(run("--hf-repo-id", "demo-org/Other"), 1, "no configuration", "offline")


@pytest.mark.parametrize(("strict", "code"), [((), 0), (("--strict",), 3)])
def test_one_bad_model_does_not_stop_the_others(
    run: Run, tmp_path: Path, strict: tuple[str, ...], code: int
) -> None:
    (tmp_path / "list").write_text(f"demo-org/Other\n{MODEL}\n")
    outcome = run("--models", "list", "--manifest-dir", "out", *strict)
    one_sentence(outcome, code, "other: demo-org/Other: no configuration")
    assert "Model: demo-8b" in outcome.out
    assert "DEFERRED" in outcome.out
    assert files(tmp_path / "out") == {"demo-8b.json"}


# Sources -------------------------------------------------------------------------------------


def test_an_empty_workspace_names_every_repository(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = run("--hf-repo-id", MODEL, "--workspace", "empty")
    one_sentence(outcome, 2, *(f"empty/{name} is not there" for name in demo.REPOSITORIES))


def broken(repository: Path, how: str) -> None:
    if how == "missing":
        shutil.rmtree(repository)
    elif how == "half cloned":
        shutil.rmtree(repository / ".git" / "objects")
    elif how == "empty":
        shutil.rmtree(repository)
        repository.mkdir()
    else:
        shutil.rmtree(repository / ".git")


@pytest.mark.parametrize("how", ["missing", "half cloned", "empty", "no repository"])
def test_without_sglang_its_verdict_is_left_open(run: Run, workspace: Path, how: str) -> None:
    broken(workspace / "sglang", how)
    outcome = run("--hf-repo-id", MODEL, "--workspace", workspace, "--manifest", "m.json")
    assert outcome.code == 0
    assert "warning: sglang: " in outcome.err
    assert "NOT READ (1)\n  sglang" in outcome.out
    entries = json.loads(Path("m.json").read_text("utf-8"))["kernels"]
    new = [entry for entry in entries if entry["phase1_status"] == "new"]
    assert {entry.get("sgl_status") for entry in new} == {None, "n/a"}
    for entry in new:
        assert "sgl_status" in entry or any("sgl_status undecided" in n for n in entry["notes"])


@pytest.mark.parametrize("how", ["missing", "half cloned", "empty", "no repository"])
def test_without_flashinfer_only_pytorch_is_certain(run: Run, workspace: Path, how: str) -> None:
    broken(workspace / "flashinfer", how)
    outcome = run("--hf-repo-id", MODEL, "--workspace", workspace, "--manifest", "m.json")
    assert outcome.code == 0
    entries = json.loads(Path("m.json").read_text("utf-8"))["kernels"]
    for entry in entries:
        if entry["phase1_status"] == "new":
            gemm = entry["op_type"] == "gemm"
            assert entry.get("fi_status") == ("fi_supported" if gemm else None)
            assert "fi_trace_template" not in entry


@pytest.mark.parametrize("how", ["missing", "half cloned", "empty", "no repository"])
def test_without_the_dataset_nothing_can_be_said(run: Run, workspace: Path, how: str) -> None:
    broken(workspace / "flashinfer-trace", how)
    outcome = run("--hf-repo-id", MODEL, "--workspace", workspace, "--manifest", "m.json")
    one_sentence(outcome, 1, "flashinfer-trace can't be read")
    assert outcome.out == ""
    assert not Path("m.json").exists()


def test_without_the_cookbook_one_gpu_is_assumed_and_said(run: Run, workspace: Path) -> None:
    broken(workspace / "sgl-cookbook", "missing")
    outcome = run("--hf-repo-id", MODEL, "--workspace", workspace)
    assert "Served as: tp=1/ep=1\n" in outcome.out
    assert "the cookbook could not be read" in outcome.out


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"name": "rmsnorm_h3840"', '"name": "rmsnorm_h99"', "contradicts itself"),
        ('"op_type": "rmsnorm"', '"op_type": "norm"', "contradicts itself"),
        ('"value": 3840', '"value": 99', "contradicts its name: axis hidden_size is 99"),
        ("{", "", "can't be read as JSON"),
    ],
)
def test_definitions_that_contradict_their_name(
    run: Run, workspace: Path, old: str, new: str, said: str
) -> None:
    file = workspace / "flashinfer-trace/definitions/rmsnorm/rmsnorm_h3840.json"
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    outcome = run("--hf-repo-id", MODEL, "--workspace", workspace, "--manifest", "m.json")
    assert outcome.code == 1
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not Path("m.json").exists()


# Manifests -----------------------------------------------------------------------------------


def test_the_manifest_is_the_contract_with_short_commits(run: Run, tmp_path: Path) -> None:
    run("--hf-repo-id", MODEL, "--manifest", "{model_slug}_{date}.json")
    (file,) = tmp_path.glob("demo-8b_2*.json")
    assert len(file.stem) == len("demo-8b_20260101")
    found = json.loads(file.read_text("utf-8"))
    assert found["model_slug"] == "demo-8b"
    assert set(found["repo_shas"]) == {"sglang", "flashinfer", "sgl_cookbook", "flashinfer_trace"}
    assert {len(sha) for sha in found["repo_shas"].values()} == {12}


def test_a_second_run_changes_nothing(run: Run) -> None:
    run("--hf-repo-id", MODEL, "--manifest", "m.json")
    before = Path("m.json").stat().st_mtime_ns, Path("m.json").read_bytes()
    run("--hf-repo-id", MODEL, "--manifest", "m.json", "--refresh")
    assert (Path("m.json").stat().st_mtime_ns, Path("m.json").read_bytes()) == before


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"model_slug": "demo-8b"}',
        '{"model_slug": "demo-8b", "hf_repo_id": "else/Where", "date": "2026-01-01",'
        ' "repo_shas": {}, "kernels": []}',
    ],
)
@pytest.mark.parametrize("asked", [("--hf-repo-id", MODEL), ("--model-name", "demo-8b")])
def test_a_file_that_is_no_such_manifest_is_not_touched(
    run: Run, content: str, asked: tuple[str, str]
) -> None:
    Path("m.json").write_text(content)
    outcome = run(*asked, "--manifest", "m.json")
    one_sentence(outcome, 1)
    assert "m.json" in outcome.said or "else/Where" in outcome.said
    assert Path("m.json").read_text() == content


def test_one_bad_manifest_does_not_stop_the_other_models(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "demo-8b.json").write_text("{")
    (tmp_path / "list").write_text(f"{MODEL}\n{OTHER}\n")
    outcome = run("--models", "list", "--manifest-dir", "out", "--strict")
    one_sentence(outcome, 3, "demo-8b: ", "not complete JSON")
    assert files(tmp_path / "out") == {"demo-8b.json", "demo-moe-16b.json"}
    assert "Model: demo-moe-16b" in outcome.out


def test_a_manifest_folder_that_is_a_file(run: Run) -> None:
    Path("out").write_text("")
    one_sentence(run("--hf-repo-id", MODEL, "--manifest-dir", "out"), 2, "out is no folder")


# explain -------------------------------------------------------------------------------------


def test_explain_prints_the_chain(run: Run) -> None:
    outcome = run("explain", "demo-8b", "gqa_paged_decode_h15_kv3_d128_ps64")
    assert outcome.code == 0
    steps = ["Configuration", "Formula", "Name", "Dataset: new", "FlashInfer:", "SGLang:"]
    places = [outcome.out.index(f"{number}. {step}") for number, step in enumerate(steps, 1)]
    assert places == sorted(places)
    assert "num_attention_heads / tp 2" in outcome.out


@pytest.mark.parametrize("name", ["gqa_paged_decode_h15_kv3_d128_ps6", ""])
def test_explain_suggests_names(run: Run, name: str) -> None:
    one_sentence(run("explain", "demo-8b", name), 2, f"needs no definition {name!r}")


# The Hub -------------------------------------------------------------------------------------


@pytest.fixture
def online(run: Run, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Online with local origins, so that only the Hub is asked over a socket."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    sources = [f"{name}=file://{workspace / name}" for name in demo.REPOSITORIES]
    given = [word for source in sources for word in ("--source", source)]
    return lambda *arguments: run(*arguments, "--workspace", "clones", *given, bare=True)


def test_the_hub_gives_configuration_and_name(online: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    config = (demo.CONFIGS / MODEL / "config.json").read_bytes()
    with running() as hub:
        hub.repositories["some-org/Demo-9B-Instruct"] = Repository({"config.json": config})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        outcome = online("--model-name", "demo-9b")
    assert outcome.code == 0, outcome.err
    assert "Model: demo-9b\nHF repo: some-org/Demo-9B-Instruct" in outcome.out


def test_a_wrong_token_is_one_sentence(online: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as hub:
        hub.bad_tokens.add("hf_secret")
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        outcome = online("--hf-repo-id", MODEL)
    assert outcome.code == 1
    assert "check HF_TOKEN" in outcome.said.splitlines()[-1]
    assert "hf_secret" not in outcome.out + outcome.err


# Processes -----------------------------------------------------------------------------------


def arguments(workspace: Path, *more: str) -> list[str]:
    place = ("--workspace", str(workspace), "--configs", str(demo.CONFIGS), "--offline")
    return [*COMMAND, "--hf-repo-id", MODEL, *place, *more]


def environment() -> dict[str, str]:
    return os.environ | {"DISCOVER_MODELS_CACHE": "none"}


def test_a_reader_that_stops_early_is_no_failure(sources: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run(
        arguments(sources), stdout=write, stderr=subprocess.PIPE, text=True, env=environment()
    )
    os.close(write)
    assert (found.returncode, found.stderr) == (0, f"inventory of {MODEL}\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device on this system")
def test_a_full_disk_is_one_sentence(sources: Path) -> None:
    with open("/dev/full", "w") as full:
        found = subprocess.run(
            arguments(sources), stdout=full, stderr=subprocess.PIPE, text=True, env=environment()
        )
    assert found.returncode == 1
    assert found.stderr.splitlines()[1:] == [
        "discover-models: standard output: can't be written (No space left on device)"
    ]


def test_ctrl_c_is_quiet_and_leaves_no_half_file(sources: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        arguments(sources, "--manifest", str(tmp_path / "m.json")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"inventory of {MODEL}\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "")
    assert files(tmp_path) == set()


@pytest.mark.parametrize("format", ["text", "markdown"])
def test_the_report_says_what_changed_since_the_manifest_was_written(
    run: Run, tmp_path: Path, format: str
) -> None:
    arguments = ("--hf-repo-id", MODEL, "--manifest", "one.json", "--refresh", "--format", format)
    assert "hanged since" not in run(*arguments).out
    path = tmp_path / "one.json"
    written = json.loads(path.read_text("utf-8"))
    supported = next(k for k in written["kernels"] if k.get("sgl_status") == "sgl_integrated")
    supported["sgl_status"] = "sgl_missing"
    path.write_text(json.dumps(written), "utf-8")
    said = run(*arguments).out.casefold()
    assert "changed since the manifest was written last" in said
    (line,) = (line for line in said.splitlines() if "sglang calls it now: " in line)
    assert supported["definition_name"] in line
    assert "hanged since" not in run(*arguments).out


@pytest.mark.parametrize("name", ["DemoForCausalLM", "NowhereForCausalLM"])
def test_a_model_that_sglang_has_no_class_for_is_not_said_to_be_served(
    run: Run, tmp_path: Path, name: str
) -> None:
    config = json.loads((demo.CONFIGS / MODEL / "config.json").read_text())
    folder = tmp_path / "configs" / MODEL
    folder.mkdir(parents=True)
    told = {**config, "architectures": [name], "model_type": "llama"}
    (folder / "config.json").write_text(json.dumps(told))
    done = run("--hf-repo-id", MODEL, "--configs", tmp_path / "configs", "--manifest-dir", "out")
    assert done.code == 0, done.err
    kernels = json.loads((tmp_path / "out" / "demo-8b.json").read_text())["kernels"]
    called = [k for k in kernels if k.get("sgl_status") == "sgl_integrated"]
    assert called
    for kernel in called:
        searched = {e["looked_for"] for e in kernel["evidence"] if not e["found"]}
        said = any("no class for this model" in note for note in kernel.get("notes", ()))
        assert said == (name == "NowhereForCausalLM"), kernel["definition_name"]
        assert (f"class {name}" in searched) == said
