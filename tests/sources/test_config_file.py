"""Reading configuration files and telling what is no language model."""

import json
from pathlib import Path

import pytest

from discover_models.errors import ConfigError, UsageError
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import (
    LARGEST_FILE,
    check_language_model,
    check_repo_id,
    parse_json,
    read_local,
)


@pytest.mark.parametrize(
    "repo_id",
    ["", "name", "a/b/c", "../x", "a/..", "-a/b", "a/-b", "a/b ", "a/b\n", "á/b", "a//b", "/a",
     "a/b..c", "a/b.git", "a/" + "b" * 97, "https://huggingface.co/a/b"],
)  # fmt: skip
def test_what_is_no_repository_id(repo_id: str) -> None:
    with pytest.raises(UsageError, match="ORG/MODEL"):
        check_repo_id(repo_id)


@pytest.mark.parametrize("repo_id", ["Qwen/Qwen3-8B", "01-ai/Yi_6B.v1", "meta-llama/Llama-2-7b"])
def test_repository_ids(repo_id: str) -> None:
    assert check_repo_id(repo_id) == repo_id


def test_a_local_folder(tmp_path: Path) -> None:
    folder = tmp_path / "org" / "mini"
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b'\xef\xbb\xbf{"hidden_size": 64, "eps": NaN}')
    (folder / "hf_quant_config.json").write_text('{"quant_algo": "FP8"}')
    found = read_local(tmp_path, "org/mini")
    assert found is not None
    assert found.config is not None
    assert found.config["hidden_size"] == 64
    assert (found.quant, found.params, found.revision) == ({"quant_algo": "FP8"}, None, None)
    assert read_local(tmp_path, "org/other") is None


def test_a_local_file_that_can_t_be_read(tmp_path: Path) -> None:
    (tmp_path / "org" / "mini" / "config.json").mkdir(parents=True)
    with pytest.raises(ConfigError) as caught:
        read_local(tmp_path, "org/mini")
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"a": ',
        b'{"a": "\xff"}',
        b'"text"',
        b"null",
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"a": ' + b"1" * 10_000 + b"}",
        b'{"a": ' + b"1" * 101 + b"}",
        b" " * (LARGEST_FILE + 1),
    ],
    ids=[
        "empty",
        "truncated",
        "latin1",
        "text",
        "null",
        "deep",
        "deep-list",
        "number",
        "long",
        "huge",
    ],
)
def test_malformed(content: bytes) -> None:
    with pytest.raises(ConfigError, match=r"config\.json") as caught:
        parse_json(content, "config.json")
    assert caught.value.reason == "malformed"


def test_a_file_of_several_megabytes_is_read() -> None:
    content = json.dumps({"ignored_layers": ["model.layers.0.self_attn.q_proj"] * 100_000}).encode()
    assert len(content) > 3_000_000
    assert len(parse_json(content, "config.json")["ignored_layers"]) == 100_000


@pytest.mark.parametrize(
    "config",
    [
        {"_class_name": "FluxTransformer2DModel", "num_layers": 19},
        {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
        {"model_type": "bert", "architectures": ["BertModel"]},
        {"model_type": "modernbert", "architectures": ["ModernBertForMaskedLM"]},
        {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]},
        {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"]},
        {"model_type": "vit", "architectures": ["ViTForImageClassification"]},
        {"model_type": "clip"},
        {"architecture": "resnet50", "num_classes": 1000},
        {},
    ],
)
def test_what_is_no_language_model(config: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        check_language_model(config, ConfigDefaults.load())
    assert caught.value.reason == "not_a_language_model"


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
        {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]},
        {"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"]},
        {"model_type": "gemma3_text"},
        {"model_type": "qwen3_vl_moe_text"},
        {"model_type": "qwen2_audio"},
        {"model_type": "t5"},
        {"model_type": "bert", "architectures": ["BertLMHeadModel"]},
        {"model_type": "bert", "architectures": ["BertModel"], "is_decoder": True},
        {"model_type": "never_heard_of", "architectures": ["NeverHeardOfModel"]},
        {"model_type": "vit", "architectures": ["StrangeForCausalLM"]},
        {"hidden_size": 64},
        {"llm_config": {"num_hidden_layers": 3}},
        {"architectures": 7, "model_type": 7},
    ],
)
def test_what_is_not_refused(config: dict[str, object]) -> None:
    check_language_model(config, ConfigDefaults.load())
