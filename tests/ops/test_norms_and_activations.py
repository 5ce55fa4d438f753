"""RMSNorm, LayerNorm, activations, output gates and residual streams."""

from typing import Any, Literal

import pytest

from discover_models.domain.architecture import LayerGroup, Linear, Norm
from discover_models.domain.evidence import Evidence
from layers import dense, field, gqa, group, layer, lightning, model, moe, names, needed, reasons

NormKind = Literal["rmsnorm", "fused_add_rmsnorm", "layernorm"]
LINE = Evidence(repository="sglang", path="models/some.py", line=7, looked_for="SomeNorm(")


def norms(*groups: LayerGroup, **more: Any) -> dict[str, int | None]:
    found = needed(model(*groups, **more))
    return {k.definition_name: k.layers for k in found.kernels if "norm" in k.op_type}


def test_the_first_norm_has_no_residual_yet() -> None:
    assert norms(group(gqa(), dense())) == {"rmsnorm_h2048": 1, "fused_add_rmsnorm_h2048": 2}


def test_classes_that_add_the_residual_themselves() -> None:
    assert norms(group(gqa(), dense()), adds_residual=False) == {"rmsnorm_h2048": 2}


def test_gemma_s_norm_stands_beside_the_plain_name() -> None:
    found = norms(group(gqa(qk_norm="per_head"), dense()), gemma_norm=True)
    assert found == {
        "rmsnorm_h2048": 1, "gemma_rmsnorm_h2048": 1,
        "fused_add_rmsnorm_h2048": 2, "gemma_fused_add_rmsnorm_h2048": 2,
        "rmsnorm_h128": 2, "gemma_rmsnorm_h128": 2,
    }  # fmt: skip


def test_layer_norm_in_place_of_rms_norm() -> None:
    assert norms(group(gqa(), dense()), hidden_norm="layernorm") == {"layernorm_h2048": 2}


def test_layer_norms_of_q_and_k() -> None:
    found = norms(group(gqa(qk_norm="layernorm"), None, (0, 1)), group(None, dense(), (2, 3, 4)))
    assert found["layernorm_h128"] == 2


@pytest.mark.parametrize("hidden_norm", ["rmsnorm", "layernorm", "undecided"])
@pytest.mark.parametrize("read", [None, "layernorm", "rmsnorm"])
def test_only_undecided_norms_are_said_to_be(hidden_norm: str, read: NormKind | None) -> None:
    last = read and Norm(name="final", kind=read, size=field("hidden_size", 2048))
    found = needed(model(group(gqa(), dense()), hidden_norm=hidden_norm, final_norm=last))
    assert ("hidden norms" in reasons(found)) == (hidden_norm == "undecided" and read is None)


def test_a_factor_of_the_layer_is_a_kernel_of_its_own() -> None:
    found = norms(group(gqa(), dense()), layer_scalar=True)
    assert found["rmsnorm_residual_scalar_h2048"] == 2


def test_full_width_q_and_k_norms() -> None:
    assert {"rmsnorm_h4096", "rmsnorm_h1024"} <= set(norms(group(gqa(32, 8, qk_norm="full"))))


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        ("silu", "silu_and_mul_h8192"),
        ("swish", "silu_and_mul_h8192"),
        ("gelu", "gelu_and_mul_h8192"),
        ("gelu_pytorch_tanh", "gelu_tanh_and_mul_h8192"),
        ("situ", "situ_and_mul_h8192"),
        ("swigluoai", "swigluoai_and_mul_h8192"),
    ],
)
def test_a_gated_mlp_is_named_by_gate_and_up_together(activation: str, name: str) -> None:
    assert layer(None, dense(4096, activation=activation), "activation") == {name}


@pytest.mark.parametrize(
    ("activation", "name"), [("relu2", "relu2_h4096"), ("gelu_new", "gelu_tanh_h4096")]
)
def test_a_plain_mlp_is_named_by_its_width(activation: str, name: str) -> None:
    plain = dense(4096, activation=activation, gated=False)
    assert layer(None, plain, "activation") == {name}


def test_a_limit_makes_it_another_kernel() -> None:
    clamped = dense(activation_limit=True)
    assert layer(None, clamped, "activation") == {"silu_and_mul_clamp_h8192"}


def test_shared_experts_have_an_activation_and_routed_ones_have_it_inside() -> None:
    assert not layer(None, moe(), "activation")
    shared = moe(shared_intermediate=field("shared", 512), dense_beside=field("beside", 1024))
    assert layer(None, shared, "activation") == {"silu_and_mul_h1024", "silu_and_mul_h2048"}


@pytest.mark.parametrize(("activation", "said"), [("xielu", "'xielu'"), ("", "no field says")])
def test_an_activation_that_nobody_knows_is_said(activation: str, said: str) -> None:
    found = needed(model(group(None, dense(activation=activation))))
    assert not names(found, "activation")
    assert said in reasons(found)["activation of the MLP"]


def test_without_knowing_of_a_gate_the_width_is_not_guessed() -> None:
    found = needed(model(group(None, dense(gated=None))))
    assert not names(found, "activation")


def test_a_gate_in_the_q_projection_or_apart() -> None:
    doubled = layer(gqa(32, 8, 128, output_gate=True), None, "gemm", "output_gate")
    apart = layer(gqa(32, 8, 128, output_gate=True, gate_apart=True), None, "gemm", "output_gate")
    assert doubled == {"gemm_n10240_k2048", "gemm_n2048_k4096", "sigmoid_mul_h4096"}
    assert apart == {
        "gemm_n6144_k2048", "gemm_n2048_k4096", "gemm_n4096_k2048", "sigmoid_mul_h4096",
    }  # fmt: skip


def test_a_gate_of_lightning_attention_without_a_norm_in_groups() -> None:
    assert layer(lightning(output_gate=True), None, "output_gate") == {"sigmoid_mul_h4096"}
    normed = lightning(output_gate=True, output_norm="full")
    assert layer(normed, None, "output_gate") == {"sigmoid_mul_h4096"}


def test_hyper_connections_mix_streams_around_every_layer() -> None:
    streams = needed(model(group(gqa(), dense()), hyper_streams=field("hc_mult", 4)))
    one = needed(model(group(gqa(), dense())))
    layers = {k.definition_name: k.layers for k in streams.kernels}
    assert {name: layers[name] for name in names(streams) - names(one)} == {
        "mhc_pre_big_fuse_hc4_h2048_mix24": 2,
        "mhc_post_hc4_h2048": 2,
        "gemm_n24_k8192": 2,
        "gemm_n4_k8192": 1,
    }
    notes = {k.definition_name: k.notes for k in streams.kernels}
    for name in ("gemm_n24_k8192", "gemm_n4_k8192"):
        assert any("a bare FP32 weight" in note for note in notes[name])


def test_a_bank_of_residuals() -> None:
    found = needed(model(group(gqa(), dense()), residual_bank=field("bank", 8)))
    assert names(found, "attn_residual") == {"attn_res_h2048_nb8"}


def test_norms_that_a_source_lists_are_those_and_no_others() -> None:
    size = field("hidden_size", 2048)
    listed = (
        Norm(name="input", kind="layernorm", size=size),
        Norm(name="middle", kind="rmsnorm", size=field("middle", 96), layers=(1,)),
        Norm(name="other middle", kind="layernorm", size=field("middle", 96), layers=(0,)),
        Norm(name="of the mixer", kind="gated_rmsnorm", size=field("value", 64)),
    )
    one = LayerGroup(layers=(0, 1), mixer=gqa(), ffn=dense(), norms=listed)
    last = Norm(name="final", kind="layernorm", size=field("last", 512))
    assert norms(one, final_norm=last) == {
        "layernorm_h2048": 2,
        "rmsnorm_h96": 1,
        "layernorm_h96": 1,
        "layernorm_h512": None,
    }


@pytest.mark.parametrize("kind", ["rmsnorm", "fused_add_rmsnorm", "layernorm"])
def test_what_a_source_says_of_the_last_norm_stands_with_it(kind: NormKind) -> None:
    last = Norm(name="model.norm", kind=kind, size=field("last", 512), evidence=(LINE,))
    found = needed(model(group(gqa(), dense()), final_norm=last, gemma_norm=True))
    (kernel,) = (k for k in found.kernels if k.definition_name == f"{kind}_h512")
    assert kernel.used_for == ("model.norm",)
    assert kernel.evidence == (LINE,)
    assert bool(kernel.notes) == (kind != "layernorm")


@pytest.mark.parametrize("kind", ["rmsnorm", "layernorm"])
def test_norms_and_linear_layers_that_a_source_lists_keep_its_lines(kind: NormKind) -> None:
    norm = Norm(name="norm", kind=kind, size=field("width", 96), evidence=(LINE,))
    linear = Linear(name="proj", n=field("n", 11), k=field("k", 7), evidence=(LINE,))
    read = group(gqa()).model_copy(update={"norms": (norm,), "linears": (linear,)})
    found = needed(model(read))
    evidence = {k.definition_name: k.evidence for k in found.kernels}
    assert evidence[f"{kind}_h96"] == (LINE,)
    assert evidence["gemm_n11_k7"] == (LINE,)
    assert names(found, "gemm") == {"gemm_n11_k7"}


@pytest.mark.parametrize("adds", [True, False])
def test_the_last_norm_adds_the_residual_where_the_layers_do(adds: bool) -> None:
    found = norms(group(gqa(), None, (0,)), adds_residual=adds)
    assert found == {"rmsnorm_h2048": 1, **({"fused_add_rmsnorm_h2048": None} if adds else {})}


def test_a_first_layer_of_one_part_has_nothing_to_add() -> None:
    found = norms(group(gqa(), None, (0,)), group(None, dense(), (1,)))
    assert found == {"rmsnorm_h2048": 1, "fused_add_rmsnorm_h2048": 1}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"gate_per_head": True}, "the sigmoid of a gate with one value per head"),
        ({"gate_activation": "softplus"}, "the softplus of a gate with one value per element"),
    ],
)
def test_a_gate_of_another_shape_or_function_is_another_kernel(
    more: dict[str, Any], said: str
) -> None:
    found = needed(model(group(gqa(output_gate=True, **more), None)))
    assert not names(found, "output_gate")
    assert said in reasons(found)["output gate of attention"]
