"""Which of the two readings of a model counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from discover_models.one_model import architecture_of
from discover_models.sources.config_file import ConfigFile
from discover_models.sources.source_architecture import SourceArchitectures
from sglang_miniature import DENSE, write_sglang

CONFIG: dict[str, Any] = {
    "architectures": ["ToyForCausalLM"],
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "sliding_window": 512,
    "vocab_size": 1000,
}
BUILT = "the layers are those that SGLang's ToyForCausalLM builds"


def read(root: Path, config: Mapping[str, Any], toy: str = DENSE) -> tuple[str, ...]:
    models = SourceArchitectures(write_sglang(root, toy=toy), "c" * 40, ())
    file = ConfigFile(hf_repo_id="org/toy", revision=None, origin="hub", config=dict(config))
    return architecture_of(file, (), models).notes


@pytest.mark.parametrize(
    ("fields", "built"),
    [
        ({"model_type": "unheard_of"}, True),
        ({"model_type": "minicpm", "head_dim": 32}, False),  # the fields say it all
        ({"model_type": "minicpm"}, True),  # the head dimension is left to the class
        ({"model_type": "gemma4_text", "head_dim": 32}, True),  # known to build more
    ],
)
def test_the_source_is_asked_where_the_fields_leave_something_open(
    tmp_path: Path, fields: dict[str, Any], built: bool
) -> None:
    assert (BUILT in read(tmp_path, {**CONFIG, **fields})) is built


def test_a_source_that_says_no_more_does_not_replace_the_fields(tmp_path: Path) -> None:
    text = DENSE.replace(
        "        self.q_norm = RMSNorm(self.head_dim)\n",
        "        raise ValueError('no')\n",
    ).replace("self.head_dim = getattr(", "self.unknown = config.nowhere; self.head_dim = getattr(")

    notes = read(tmp_path, {**CONFIG, "model_type": "mistral"}, text)

    assert BUILT not in notes
    assert not any("model type" in note for note in notes)


def test_a_class_is_lacking_only_where_every_file_was_read(tmp_path: Path) -> None:
    def lacks(**named: Any) -> bool:
        return SourceArchitectures(root, "c" * 40, ()).lacks(named) is not None

    root = write_sglang(tmp_path)
    assert not lacks(architectures=["NowhereForCausalLM", "ToyForCausalLM"])
    assert lacks(architectures=["NowhereForCausalLM"])
    assert not lacks(architectures=[])
    assert not lacks()
    (root / "python/sglang/srt/models/linked.py").symlink_to("/dev/zero")
    assert not lacks(architectures=["NowhereForCausalLM"])
