import math

import pytest

from discover_models.domain.model_name import (
    expand_title,
    kinship,
    plain_slugs,
    read_name,
    same_model,
    tracked_title,
)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("DeepSeek V3/R1", ("DeepSeek V3", "DeepSeek R1")),
        ("DeepSeek V3 / R1", ("DeepSeek V3", "DeepSeek R1")),
        ("Llama 3.1/3.3 70B", ("Llama 3.1 70B", "Llama 3.3 70B")),
        ("Qwen3 8B (dense)", ("Qwen3 8B",)),
        ("GLM-4.6", ("GLM-4.6",)),
        ("DeepSeek V3/", ("DeepSeek V3",)),
    ],
)
def test_titles_for_people(title: str, names: tuple[str, ...]) -> None:
    assert expand_title(title) == names


def test_a_title_of_a_thousand_alternatives_is_bounded() -> None:
    assert len(expand_title("a/b " * 40)) <= 64


@pytest.mark.parametrize(
    ("title", "repo_id"),
    [
        ("DeepSeek V3/R1", "deepseek-ai/DeepSeek-R1-0528"),
        ("DeepSeek V3/R1", "nvidia/DeepSeek-R1-0528-FP4-v2"),
        ("Llama 3.1/3.3 70B", "meta-llama/Llama-3.3-70B-Instruct"),
        ("Llama 3.1 8B", "meta-llama/Meta-Llama-3.1-8B"),
        ("Mistral 7B v0.3", "mistralai/Mistral-7B-Instruct-v0.3"),
        ("Mixtral 8x7B", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
        ("Kimi K2", "moonshotai/Kimi-K2-Instruct-0905"),
        ("Kimi K2", "moonshotai/Kimi-K2-Thinking"),
        ("Qwen3 30B A3B", "Qwen/Qwen3-30B-A3B-Thinking-2507-FP8"),
        ("Qwen3 32B", "Qwen/Qwen3-32B-FP8-Static-PerTensor"),
        ("Gemma 3 27B", "google/gemma-3-27b-it"),
        ("NemotronH 47B", "nvidia/Nemotron-H-47B-Base-8K"),
        ("Phi-4 14B", "microsoft/phi-4"),
        ("Qwen3 8B", "someone/Qwen3-8B-AWQ-w4a16"),
    ],
)
def test_tracked(title: str, repo_id: str) -> None:
    assert tracked_title(repo_id, [title]) == title


@pytest.mark.parametrize(
    ("title", "repo_id"),
    [
        ("Kimi K2", "moonshotai/Kimi-K2.5"),
        ("Kimi K2", "moonshotai/Kimi-K2.7-Code"),
        ("MiniMax M2", "MiniMaxAI/MiniMax-M2.7"),
        ("GLM-4.6", "zai-org/GLM-4.6V"),
        ("GLM-4.6", "zai-org/GLM-4.6V-Flash-FP8"),
        ("Qwen3 30B A3B", "Qwen/Qwen3-VL-30B-A3B-Instruct"),
        ("Qwen3 30B A3B", "Qwen/Qwen3-Coder-30B-A3B-Instruct"),
        ("Qwen3 8B", "Qwen/Qwen3-38B"),
        ("Qwen3 8B", "x/Qwen-38B"),
        ("DeepSeek V3/R1", "deepseek-ai/DeepSeek-V3.1"),
        ("DeepSeek V3/R1", "deepseek-ai/DeepSeek-R1-Distill-Llama-70B"),
        ("Llama 3.1/3.3 70B", "meta-llama/Llama-3.2-70B"),
        ("Mistral 7B v0.3", "mistralai/Mistral-7B-Instruct-v0.1"),
        ("Mistral 7B v0.3", "mistralai/Mistral-7B-Instruct"),
        ("Mistral Small 3.1 24B", "mistralai/Mistral-Small-24B-Instruct-2501"),
        ("Phi-4 14B", "microsoft/phi-4-mini-instruct"),
        ("Qwen3 Next 80B A3B", "Qwen/Qwen3-Coder-Next"),
        ("Llama 3.1 8B", "nvidia/Llama-3.1-Nemotron-8B"),
    ],
)
def test_not_tracked(title: str, repo_id: str) -> None:
    assert tracked_title(repo_id, [title]) is None


def test_a_name_without_size_means_a_title_only_where_there_is_one_size() -> None:
    assert tracked_title("org/Phi-4", ["Phi-4 14B"]) == "Phi-4 14B"
    assert tracked_title("org/Phi-4", ["Phi-4 14B", "Phi-4 7B"]) is None


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Qwen/Qwen3-235B-A22B", "nvidia/Qwen3-235B-A22B-NVFP4", True),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "x/Nemotron-3-Nano-30B-A3B", True),
        ("mistralai/Mistral-7B-v0.1", "mistralai/Mistral-7B-v0.3", False),
        ("Qwen/Qwen3-235B-A22B", "Qwen/Qwen3-VL-235B-A22B-Instruct", False),
        ("zai-org/GLM-5", "zai-org/GLM-5.1", False),
    ],
)
def test_same_model(left: str, right: str, same: bool) -> None:
    assert same_model(left, right) is same
    assert same_model(right, left) is same


def test_the_closest_relative_shares_most_of_the_name_then_the_size() -> None:
    relatives = ["Qwen/Qwen3-Next-80B-A3B-Instruct", "Qwen/Qwen3-8B", "Qwen/Qwen3-32B"]
    closest = max(relatives, key=lambda r: kinship("Qwen/Qwen2.5-72B", r) or (0, 0, 0.0))
    assert closest == "Qwen/Qwen3-32B"
    assert kinship("Qwen/Qwen3-8B", "zai-org/GLM-5") is None


@pytest.mark.parametrize("name", ["", "-", "🙂", "v1", "FP8", "\ud800", "1" * 5000])
def test_odd_names_are_read(name: str) -> None:
    read_name(name)
    same_model(f"a/{name}", name)
    tracked_title(name, ["Qwen3 8B", name])


def test_a_quantised_repository_has_no_plain_name() -> None:
    assert plain_slugs("Qwen/Qwen3-8B-FP8") == frozenset()
    assert "qwen3-8b" in plain_slugs("Qwen/Qwen3-8B")


def test_of_relatives_the_one_of_the_nearest_size_is_closest() -> None:
    def near(other: str) -> tuple[int, int, float]:
        return kinship("Qwen/Qwen3-8B", other) or (0, 0, 0.0)

    assert near("Qwen/Qwen3-14B") > near("Qwen/Qwen3-32B") > near("Qwen/Qwen3-0.6B")


def test_how_close_a_relative_is() -> None:
    # Leading characters in common, how many of both names follow, and how far the sizes are apart.
    assert kinship("Qwen/Qwen3-8B", "Qwen/Qwen3-8B") == (5, 0, 0.0)
    assert kinship("Qwen/Qwen3-8B", "Qwen/Qwen2-8B") == (4, -2, 0.0)
    assert kinship("Qwen/Qwen3-8B", "Qwen/Qwen3-VL-8B") == (5, -2, 0.0)
    for left, right, ratio in [
        ("Qwen3-8B", "Qwen3-16B", 2),
        ("Qwen3-500M", "Qwen3-1B", 2),
        ("Qwen3-1T", "Qwen3-500B", 2),
        ("Mixtral-8x7B", "Mixtral-28B", 2),
        ("Qwen3-30B-A3B", "Qwen3-30B-A6B", 1),
        ("Qwen3-A3B-30B", "Qwen3-30B", 1),
        ("Qwen3", "Qwen3-8B", 8),
        ("Qwen3-0B", "Qwen3-8B", 8),
        ("Qwen3-0.5B", "Qwen3-1B", 2),
    ]:
        near = kinship(f"o/{left}", f"o/{right}")
        assert near is not None
        assert near[2] == pytest.approx(-math.log(ratio)), (left, right)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("NemotronH-8B", "Nemotron-H-8B", True),
        ("Some-1-15B", "Some-115B", False),
        ("Some-v2-B-7B", "Some-v2B-7B", True),
        ("Model-7B-v0.1", "Model-7B", True),
        ("Model-7B", "Model-7B-v0.1", True),
        ("Model-7B-v0.1", "Model-7B-v0.1", True),
        ("Model-7B-v0.1", "Model-7B-v0.2", False),
        ("Model-7B-4bit", "Model-7B", True),
        ("Model-7B-2507", "Model-7B-Instruct-128k", True),
    ],
)
def test_which_words_tell_two_models_apart(left: str, right: str, same: bool) -> None:
    assert same_model(f"a/{left}", f"b/{right}") is same


def test_a_name_of_absurd_numbers_is_no_relative_that_stops_a_run() -> None:
    kinship("a/Qwen3-" + "9" * 5000 + "x8b", "a/Qwen3-8B")


def test_an_id_may_lack_the_organisation() -> None:
    assert plain_slugs("gpt2") == {"gpt2"}
    assert same_model("gpt2", "openai-community/gpt2")


def test_the_organisation_says_nothing_of_quantisation() -> None:
    assert plain_slugs("gguf-org/Qwen3-8B") == {"qwen3-8b"}
    assert plain_slugs("gpt2-awq") == frozenset()


def test_the_organisation_s_own_name_may_stand_before_the_model_s() -> None:
    assert plain_slugs("mamba/Mamba-7B") == {"mamba-7b", "7b"}
    assert plain_slugs("mamba/Mamba") == {"mamba"}


def test_a_version_in_front_is_part_of_the_name() -> None:
    assert read_name("V2-Lite").words == ("v2", "lite")


def test_a_title_without_size_and_release_means_every_release() -> None:
    assert tracked_title("a/Mistral-Instruct-v0.3", ["Mistral 7B"]) == "Mistral 7B"


@pytest.mark.parametrize("name", ["-", "", "3B-model", "1-2"])
def test_names_without_leading_letters_are_of_no_series(name: str) -> None:
    assert kinship(f"a/{name}", f"b/{name}") is None


def test_numbers_side_by_side_are_kept_apart_by_one_sign() -> None:
    assert read_name("Llama-3-1").identity == "llama3-1"
