"""The list of SGLang's architectures, and a model with a layer that nobody has mapped."""

import json
from pathlib import Path

import pytest

from sglang_miniature import CONFIG, DENSE, write_sglang
from test_cli import Outcome, Run, one_sentence, run, sources, workspace

__all__ = ["run", "sources", "workspace"]

GATED = DENSE.replace(
    "class ToyLayer(nn.Module):",
    """class ToyGate(nn.Module):
    def forward(self, x):
        return launch(x)

class ToyLayer(nn.Module):""",
).replace(
    "        self.input_layernorm =",
    "        if config.gated:\n            self.gate = ToyGate()\n        self.input_layernorm =",
)


@pytest.fixture
def listed(run: Run, workspace: Path) -> Run:
    """The command's list of the miniature's architectures."""
    write_sglang(workspace / "sglang", toy=GATED)

    def call(*arguments: str | Path, bare: bool = False) -> Outcome:
        given = ("--workspace", workspace, "--offline", *arguments)
        return run("architectures", *given, bare=True)

    return call


def test_the_list_names_role_kinds_and_what_is_unknown(listed: Run, workspace: Path) -> None:
    outcome = listed()

    assert outcome.code == 0
    row = next(line for line in outcome.out.splitlines() if line.startswith("ToyForCausalLM "))
    assert row.split()[1:3] == ["text_llm", "gqa"]
    assert "ToyGate" in row


def test_the_list_as_json_has_file_and_line(listed: Run, workspace: Path) -> None:
    found = json.loads(listed("--format", "json").out)["architectures"]

    toy = next(a for a in found if a["architecture"] == "ToyForCausalLM")
    assert (toy["role"], toy["attention"][0]) == ("text_llm", "gqa")
    [unknown] = toy["unmapped"]
    text = (workspace / "sglang" / unknown["file"]).read_text(encoding="utf-8")
    assert "ToyGate()" in text.splitlines()[unknown["line"] - 1]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--format", "jsno"), ("--format", "jsno")),
        (("--source", "sglnag=https://example.org/x"), ("sglnag",)),
        (("--workspace", "nowhere"), ("nowhere",)),
        (("--formt", "json"), ("--formt",)),
    ],
)
def test_a_typo_is_one_sentence(listed: Run, arguments: tuple[str, ...], parts: tuple[str]) -> None:
    outcome = listed(*arguments)

    assert outcome.code == 2
    assert outcome.out == ""
    assert all(part in outcome.err for part in parts)
    assert "Traceback" not in outcome.err


def test_a_workspace_without_sglang_is_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    outcome = run("architectures", "--workspace", tmp_path / "empty", "--offline", bare=True)

    one_sentence(outcome, outcome.code, "sglang")
    assert outcome.code != 0


@pytest.mark.parametrize("gated", [True, False])
def test_a_layer_that_nobody_mapped_is_in_the_models_inventory(
    run: Run, workspace: Path, tmp_path: Path, gated: bool
) -> None:
    write_sglang(workspace / "sglang", toy=GATED)
    folder = tmp_path / "configs/toy-org/Toy-8B"
    folder.mkdir(parents=True)
    config = {**CONFIG, "model_type": "toy", "gated": gated}
    (folder / "config.json").write_text(json.dumps(config))

    outcome = run("--hf-repo-id", "toy-org/Toy-8B", "--workspace", workspace,
                  "--configs", tmp_path / "configs", "--format", "json")  # fmt: skip

    found = [u for u in json.loads(outcome.out)["unmapped"] if u["what"] == "ToyGate"]
    assert len(found) == gated
    for one in found:
        [place] = one["evidence"]
        text = (workspace / "sglang" / place["path"]).read_text(encoding="utf-8")
        assert "ToyGate()" in text.splitlines()[place["line"] - 1]
