from collections.abc import Mapping
from typing import Any

import pytest

from discover_models.discovery import (
    class_skip,
    class_stem,
    group_variants,
    kernel_keys,
    repository_skip,
    resolve,
    with_hints,
)
from discover_models.domain.candidate import Candidate, ModelKernels, RepositoryHint
from discover_models.domain.kernel import Axis, RequiredKernel
from discover_models.sources.novelties import NewClass
from golden_files import required


def new(name: str, file: str = "x.py", *, pooled: bool = False) -> NewClass:
    return NewClass(
        name=name, file=f"python/sglang/srt/models/{file}", line=1, pooled=pooled, links=()
    )


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (new("XForCausalLM"), None),
        (new("XVLForConditionalGeneration"), None),
        (new("Cohere2VisionForConditionalGeneration"), None),
        (new("XAudioForConditionalGeneration"), None),
        (new("NemotronH_Nano_Omni_Reasoning_V3"), None),
        (new("XForCausalLMNextN"), "draft"),
        (new("XMTP"), "draft"),
        (new("Eagle3XForCausalLM"), "draft"),
        (new("XAssistantForCausalLM", "x_mtp.py"), "draft"),
        (new("XAssistantModel", "dflash.py"), "draft"),
        (new("XForRewardModel"), "reward"),
        (new("XForSequenceClassification"), "classification"),
        (new("XEmbeddingModel"), "embedding"),
        (new("XModel", pooled=True), "embedding"),
        (new("XASRForCausalLM"), "audio_only"),
        (new("GlmAsrForConditionalGeneration"), "audio_only"),
        (new("WhisperForConditionalGeneration"), "audio_only"),
        (new("PixtralVisionModel"), "vision_only"),
        (new("CLIPModel"), "vision_only"),
    ],
)
def test_which_classes_are_skipped(cls: NewClass, reason: str | None) -> None:
    found = class_skip(cls)
    assert (found and found[0]) == reason


@pytest.mark.parametrize(
    ("repo_id", "reason"),
    [
        ("v/X-8B-Instruct", None),
        ("v/Charm-8B", None),
        ("v/X-Embedding-8B", "embedding"),
        ("google/embeddinggemma-300m", "embedding"),
        ("v/X-Reranker-0.6B", "classification"),
        ("v/X-ASR", "audio_only"),
        ("v/X-EAGLE3", "draft"),
        ("v/X-DFlash-FP8", "draft"),
    ],
)
def test_which_repositories_are_skipped(repo_id: str, reason: str | None) -> None:
    found = repository_skip(repo_id)
    assert (found and found[0]) == reason


# Repositories


def candidate(*hints: tuple[str, Any]) -> Candidate:
    return Candidate(
        origin="day0",
        name="NewForCausalLM",
        hints=tuple(RepositoryHint(repo_id=r, source=s) for r, s in hints),
    )


class Hub:
    """Configurations by repository, and what was asked for."""

    def __init__(self, configs: Mapping[str, Mapping[str, Any]]) -> None:
        self.configs = configs
        self.asked: list[str] = []

    def __call__(self, repo_id: str) -> Mapping[str, Any] | None:
        self.asked.append(repo_id)
        return self.configs.get(repo_id)


NEW: Mapping[str, Any] = {"architectures": ["NewForCausalLM"]}
OTHER: Mapping[str, Any] = {"architectures": ["OtherForCausalLM"], "model_type": "new"}


def test_the_first_kind_of_hint_that_agrees_decides() -> None:
    hub = Hub({"v/Wrong": OTHER, "v/New": NEW, "v/Later": NEW})
    found = resolve(
        candidate(
            ("v/Later", "hub search"),
            ("v/Gone", "cookbook"),
            ("v/Wrong", "cookbook"),
            ("v/New", "model file"),
        ),
        hub,
        (),
    )
    assert (found.hf_repo_id, found.unresolved) == ("v/New", "")
    assert hub.asked == ["v/Gone", "v/Wrong", "v/New"]


def test_variants_of_one_model_are_not_ambiguous() -> None:
    hub = Hub({"v/New-7B-Instruct-FP8": NEW, "v/New-7B": NEW})
    hints = [(name, "cookbook") for name in hub.configs]
    assert resolve(candidate(*hints), hub, ()).hf_repo_id == "v/New-7B"


def test_two_models_that_agree_are_ambiguous() -> None:
    hub = Hub({"v/New-7B": NEW, "v/New-70B": NEW})
    found = resolve(candidate(*[(name, "cookbook") for name in hub.configs]), hub, ())
    assert found.hf_repo_id is None
    assert found.unresolved == "ambiguous: v/New-7B, v/New-70B"


def test_without_architectures_the_model_type_decides() -> None:
    hub = Hub({"v/New": {"model_type": "new"}})
    assert resolve(candidate(("v/New", "page")), hub, ()).hf_repo_id == "v/New"
    hub = Hub({"v/New": OTHER})
    assert resolve(candidate(("v/New", "page")), hub, ()).hf_repo_id is None


@pytest.mark.parametrize(
    "config",
    [{}, {"architectures": "NewForCausalLM"}, {"architectures": [3]}, {"model_type": ["new"]}],
)
def test_odd_configurations_agree_with_nothing(config: Mapping[str, Any]) -> None:
    found = resolve(candidate(("v/New", "page")), Hub({"v/New": config}), ())
    assert found.hf_repo_id is None
    assert "tried v/New" in found.unresolved


def test_nothing_to_go_by() -> None:
    assert resolve(candidate(), Hub({}), ()).unresolved == "nothing names a repository"


def test_a_cookbook_candidate_needs_any_registered_class() -> None:
    listed = candidate(("v/New", "cookbook")).model_copy(
        update={"origin": "cookbook", "name": "New", "hf_repo_id": "v/New"}
    )
    hub = Hub({"v/New": NEW})
    assert resolve(listed, hub, ["NewForCausalLM"]).hf_repo_id == "v/New"
    assert resolve(listed, hub, ["OtherForCausalLM"]).hf_repo_id is None


def test_hints_by_name() -> None:
    assert class_stem("GigaChat35ForCausalLM") == "gigachat35"
    assert class_stem("Qwen3_5MoeForConditionalGeneration") == "qwen35"
    found = with_hints(
        candidate(),
        listed=[("v/New-7B", "cookbook"), ("v/Other", "cookbook"), ("v/new.8", "page")],
        documented="v/Documented",
        searched=["v/Hit"],
    )
    assert [(h.repo_id, h.source) for h in found.hints] == [
        ("v/New-7B", "cookbook"),
        ("v/new.8", "page"),
        ("v/Documented", "transformers"),
        ("v/Hit", "hub search"),
    ]


# Variants


def needs(repo_id: str, *kernels: str, base: str = "") -> ModelKernels:
    return ModelKernels(repo_id=repo_id, base_model=base, kernels=frozenset(kernels))


def groups(*models: ModelKernels, known: Mapping[str, str] | None = None) -> dict[str, list[str]]:
    return {g.key: list(g.repo_ids) for g in group_variants(models, known or {})}


def test_variants_with_equal_kernels_are_one_group_named_after_the_first() -> None:
    assert groups(needs("v/X-8B-Instruct", "a"), needs("v/X-8B", "a"), needs("v/Y-8B", "a")) == {
        "v/X-8B-Instruct": ["v/X-8B-Instruct", "v/X-8B"],
        "v/Y-8B": ["v/Y-8B"],
    }


def test_variants_with_other_kernels_stand_alone() -> None:
    assert len(groups(needs("v/X-8B", "a"), needs("v/X-8B-FP8", "a", "b"))) == 2


def test_the_base_model_of_the_card_joins_too() -> None:
    assert groups(needs("v/X-8B", "a"), needs("w/Tuned", "a", base="v/X-8B")) == {
        "v/X-8B": ["v/X-8B", "w/Tuned"]
    }
    assert len(groups(needs("w/One", "a"), needs("w/Two", "a"))) == 2


def test_a_known_group_is_never_split_or_renamed() -> None:
    known = {"v/X-8B": "v/X-8B-Instruct", "v/X-8B-Instruct": "v/X-8B-Instruct"}
    assert groups(
        needs("v/X-8B-FP8", "a"), needs("v/X-8B", "a"), needs("v/X-8B-Instruct", "b"), known=known
    ) == {"v/X-8B-Instruct": ["v/X-8B-Instruct", "v/X-8B", "v/X-8B-FP8"]}


def test_kernels_apart_from_quantisation() -> None:
    def keys(repo_id: str) -> frozenset[str]:
        return kernel_keys(required(repo_id, [1], [1]).kernels)

    plain = keys("Qwen/Qwen3-235B-A22B")
    assert keys("nvidia/Qwen3-235B-A22B-NVFP4") == plain
    assert keys("Qwen/Qwen3-30B-A3B") != plain


def test_experts_of_another_number_are_other_kernels() -> None:
    def moe(name: str, experts: int) -> RequiredKernel:
        axes = {"num_local_experts": Axis(value=experts, expression="experts")}
        return RequiredKernel(definition_name=name, op_type="moe", spec=name, axes=axes)

    assert kernel_keys([moe("moe_fp8_e8", 8)]) == kernel_keys([moe("moe_fp4_e8", 8)])
    assert kernel_keys([moe("moe_fp8_e8", 8)]) != kernel_keys([moe("moe_fp8_e4", 4)])
