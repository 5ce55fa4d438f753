"""What stands beside the verdicts, from what the two indexes say."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from builders import axis, evidence, required
from discover_models.depth import depth_notes, depth_of
from discover_models.domain.depth import (
    Depth,
    Provider,
    Question,
    Reach,
    Release,
    ShapePath,
    Veto,
)
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import RequiredKernel
from discover_models.errors import SourceError
from discover_models.ops import SPECS

RUN, FAST = "flashinfer.decode.Wrapper", "flashinfer.decode.fast"
BROKEN = SourceError("it could not be cloned")
PIN = evidence("sglang", "python/pyproject.toml", 30, note="0.7.0")
NOTHING = Depth()
TENSOR = ShapePath(name="tensor cores", verdict="takes")


@dataclass
class FlashInferSays:
    """An index with these answers."""

    backends_of: dict[str, tuple[ShapePath, ...]] = field(default_factory=dict)
    parameters: dict[tuple[str, str], Evidence] = field(default_factory=dict)
    other_names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def backends(self, api: str) -> tuple[ShapePath, ...]:
        return self.backends_of.get(api, ())

    def release(self, api: str, pinned: str) -> Release:
        return Release(since=f"first with {api}", pinned=pinned)

    def parameter(self, api: str, name: str) -> Evidence | None:
        return self.parameters.get((api, name))

    def aliases(self, api: str, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(n for n in names if n in self.other_names.get(api, ()))


@dataclass
class SglangSays:
    """Likewise; it keeps what it was asked."""

    said: Depth = NOTHING
    pin: Evidence | None = PIN
    used: tuple[str, ...] = ()
    asked: list[Question] = field(default_factory=list)

    def used_names(self) -> tuple[str, ...]:
        return self.used

    def depth(self, question: Question) -> Depth:
        self.asked.append(question)
        return self.said

    def pinned(self) -> Evidence | None:
        return self.pin


def of(
    kernel: RequiredKernel,
    flashinfer: FlashInferSays | SourceError,
    sglang: SglangSays | SourceError,
    *apis: str,
    spec: str = "gqa_paged_decode",
    paths: tuple[ShapePath, ...] = (),
    model: str = "",
) -> Depth:
    kernel = kernel.model_copy(update={"spec": spec})
    return depth_of(kernel, SPECS[spec], apis, paths, flashinfer, sglang, model)


def gqa(**fields: Any) -> RequiredKernel:
    return required("gqa_paged_decode_h8_kv1_d128_ps1", "gqa_paged", **fields)


def way(flag: str = "", **fields: Any) -> Reach:
    values: dict[str, Any] = {"how": "flag", "api": RUN, "flag": flag}
    return Reach(**{**values, **fields})


def test_the_release_of_the_first_api_and_what_sglang_asks_for() -> None:
    found = of(gqa(), FlashInferSays(), SglangSays(), RUN, FAST)
    assert found.release == Release(since=f"first with {RUN}", pinned="0.7.0", evidence=(PIN,))
    without = of(gqa(), FlashInferSays(), SglangSays(pin=None), RUN)
    assert without.release == Release(since=f"first with {RUN}")
    broken = of(gqa(), FlashInferSays(), BROKEN, RUN)
    assert broken.release == Release(since=f"first with {RUN}")


def test_code_paths_are_followed_by_the_backends_of_every_api() -> None:
    cudnn, gen = (ShapePath(name=n, verdict="not checked") for n in ("cudnn", "gen"))
    index = FlashInferSays(backends_of={RUN: (cudnn,), FAST: (gen,)})
    assert of(gqa(), index, SglangSays(), RUN, FAST, paths=(TENSOR,)).paths == (TENSOR, cudnn, gen)


@pytest.mark.parametrize(("index", "apis"), [(BROKEN, (RUN,)), (FlashInferSays(), ())])
def test_without_flashinfer_s_api_only_sglang_is_told_of(
    index: FlashInferSays | SourceError, apis: tuple[str, ...]
) -> None:
    said = Depth(reach=(way("--attention-backend fast"),))
    found = of(gqa(), index, SglangSays(said), *apis, paths=(TENSOR,))
    assert found == Depth(reach=said.reach, paths=(TENSOR,))


def test_what_sglang_is_asked() -> None:
    sglang = SglangSays(used=("flashinfer.run", "flashinfer.other"))
    index = FlashInferSays(other_names={RUN: ("flashinfer.run",)})
    sinks = "attention sinks: a learnt logit per head joins the softmax"
    two_widths = {"head_dim_vo": axis(64, "v_head_dim"), "head_dim": axis(128, "head_dim")}
    of(gqa(notes=(sinks,), axes=two_widths), index, sglang, RUN, FAST, model="SampleForCausalLM")
    assert sglang.asked == [
        Question(
            apis=((RUN, "flashinfer.run"), (FAST,)),
            latent=False,
            mode="decode",
            model="SampleForCausalLM",
            traits=frozenset({"has_attention_sinks", "has_asymmetric_kv"}),
            layers=("RadixAttention", "UnifiedAttention"),
        )
    ]


def test_what_sglang_is_asked_of_other_kernels() -> None:
    sglang = SglangSays(used=("flashinfer.run",))
    of(required("mla_x", "mla_paged"), BROKEN, sglang, spec="mla_paged_decode")
    of(required("dsa_x", "dsa_paged"), FlashInferSays(), sglang, spec="dsa_sparse_attention")
    of(required("norm_x", "rmsnorm"), FlashInferSays(), sglang, spec="gated_rmsnorm_silu")
    of(required("conv_x", "causal_conv1d"), BROKEN, sglang, spec="causal_conv1d_decode")
    latent, sparse, norm, convolution = sglang.asked
    assert convolution.layers == ()
    assert latent.apis == tuple((api,) for api in SPECS["mla_paged_decode"].apis)
    assert (latent.latent, latent.passes, latent.omits) == (True, "", "sparse_mla_top_k")
    assert latent.traits == frozenset()
    assert sparse.apis == tuple((api,) for api in SPECS["dsa_sparse_attention"].apis)
    assert (sparse.latent, sparse.passes, sparse.omits) == (True, "sparse_mla_top_k", "")
    assert norm.latent is None
    assert [q.mode for q in sglang.asked] == ["decode", "", "", "decode"]
    assert norm.own == SPECS["gated_rmsnorm_silu"].sglang != ()


def test_a_kernel_that_is_always_there_asks_sglang_nothing() -> None:
    sglang = SglangSays(Depth(reach=(way("--some-backend x"),)))
    assert of(required("gemm_n1_k1", "gemm"), FlashInferSays(), sglang, spec="gemm") == Depth()
    assert sglang.asked == []
    assert of(gqa(), FlashInferSays(), BROKEN) == Depth()


@pytest.mark.parametrize(
    ("feature", "parameter"),
    [
        ("attention sinks", "sinks"),
        ("logits are soft-capped", "logits_soft_cap"),
        ("sliding window", "window_left"),
    ],
)
def test_an_api_that_lacks_a_parameter_does_not_take_the_feature(
    feature: str, parameter: str
) -> None:
    has = evidence("flashinfer", "flashinfer/decode.py", 9)
    lacks = evidence("flashinfer", "flashinfer/decode.py", 20, found=False)
    index = FlashInferSays(parameters={(RUN, parameter): has, (FAST, parameter): lacks})
    needing = gqa(notes=(f"{feature} of 128 tokens in these layers",))
    found = of(needing, index, SglangSays(), "flashinfer.decode.unread", RUN, FAST)
    assert found.vetoes == (Veto(feature=feature, backend=FAST, evidence=(lacks,)),)
    assert of(gqa(notes=(f"no {feature}",)), index, SglangSays(), FAST).vetoes == ()


def test_a_backend_that_sglang_rules_out_for_a_feature_is_no_way() -> None:
    line = evidence("sglang", "python/sglang/srt/server_args.py", 5)
    no_sinks = "cuda and not has_attention_sinks"
    ruled = way("--attention-backend a", condition=no_sinks, evidence=(line,))
    ruled_too = way("--attention-backend d", condition=no_sinks)
    wanted = way("--attention-backend b", condition="has_attention_sinks")
    other = way("--attention-backend c", condition="not has_other")
    said = Depth(reach=(wanted, ruled, other, ruled, ruled_too))
    sinks = gqa(notes=("attention sinks: a learnt logit per head",))
    found = of(sinks, FlashInferSays(), SglangSays(said), RUN)
    assert found.reach == (wanted, other)
    assert found.vetoes == (
        Veto(feature="attention sinks", backend="--attention-backend a", evidence=(line,)),
        Veto(feature="attention sinks", backend="--attention-backend d"),
    )
    assert of(gqa(), FlashInferSays(), SglangSays(said), RUN).reach == said.reach


def test_an_option_for_another_data_type_is_no_way() -> None:
    ways = {t: way(f"--moe-runner-backend flashinfer_{t}") for t in ("mxfp4", "nvfp4", "mxint4")}
    neutral = way("--moe-runner-backend flashinfer_trtllm")
    sglang = SglangSays(Depth(reach=(*ways.values(), neutral)))
    for variant, kept in [
        ("mxfp4", (ways["mxfp4"], neutral)),
        ("nvfp4", (ways["nvfp4"], neutral)),
        ("mxfp8", (neutral,)),
        ("", (*ways.values(), neutral)),
        ("bf16", (*ways.values(), neutral)),
    ]:
        experts = required("moe_x", "moe", variant=variant)
        assert of(experts, FlashInferSays(), sglang, RUN).reach == kept, variant


def notes(**fields: Any) -> tuple[str, ...]:
    return depth_notes(Depth(**fields), integrated=True)


SHOWN = {"call_site": (evidence("sglang", "python/sglang/srt/models/sample.py"),)}


def test_ways_are_named_from_the_most_certain_on_and_at_most_three() -> None:
    ways = (
        way("--a flagged"),
        way("--a of_some_gpus", how="some_gpus", gpus=("SM90", "SM100")),
        way("--a by_default", how="default"),
        way("--a chosen", how="some_models"),
        way("--a chosen", how="some_models"),
        way("--a chosen_there", how="some_models", gpus=("SM100",)),
        way("--a conditional", how="condition"),
        way(how="direct"),
    )
    assert notes(reach=ways, **SHOWN) == (
        "SGLang: --a chosen (chosen for this model);"
        " --a chosen_there (chosen for this model on SM100); --a by_default (default)",
    )
    assert notes(reach=ways[1:2], **SHOWN) == ("SGLang: --a of_some_gpus (default on SM90, SM100)",)
    assert notes(reach=ways[:1], **SHOWN) == ("SGLang: --a flagged",)
    assert notes(reach=ways[6:], **SHOWN) == ()


def test_an_option_whose_use_by_the_model_was_not_seen() -> None:
    unseen = "SGLang uses it; that this model does was not seen"
    assert notes(reach=(way("--a b"),)) == ("SGLang: --a b", unseen)
    assert notes(reach=(way(how="direct"), way("--a b"))) == ("SGLang: --a b", unseen)
    assert notes(reach=(way("--a b"),), **SHOWN) == ("SGLang: --a b",)
    assert notes(reach=(way(how="direct"),)) == ()
    assert notes() == ()
    assert depth_notes(Depth(reach=(way("--a b"),)), integrated=False) == ("SGLang: --a b",)


def test_what_else_serves_it() -> None:
    served = (
        Provider(name="Triton", function="decode_kernel"),
        Provider(name="FlashMLA", gpus=("SM90", "SM100")),
        Provider(name="sgl_kernel"),
        Provider(name="another"),
    )
    assert notes(served_by=served) == (
        "otherwise served by decode_kernel, FlashMLA on SM90, SM100, sgl_kernel",
    )


def test_what_serves_it_everywhere_is_named_once() -> None:
    served = (
        Provider(name="triton", gpus=("SM100",)),
        Provider(name="fa3", gpus=("SM90",)),
        Provider(name="triton"),
        Provider(name="triton", flag="--other-backend triton"),
        Provider(name="slow"),
    )
    assert notes(served_by=served) == ("otherwise served by triton, fa3 on SM90, slow",)


def test_vetoes_and_the_release_that_lacks_it() -> None:
    vetoes = tuple(Veto(feature="attention sinks", backend=name) for name in "abcd")
    lacks = Release(pinned="0.6.1", in_pinned=False)
    assert notes(vetoes=vetoes, release=lacks) == (
        "a takes no attention sinks",
        "b takes no attention sinks",
        "c takes no attention sinks",
        "not in FlashInfer 0.6.1, which SGLang asks for",
    )
    assert notes(release=Release(unreleased=True)) == ("in no FlashInfer release yet",)
    assert notes(release=Release(unreleased=False, in_pinned=True)) == ()
    assert notes(release=Release(pinned="0.6.1")) == ()
