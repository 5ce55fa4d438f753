"""What a model is made of, from a hand-written SGLang and a configuration."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    GqaAttention,
    Mamba1Mixer,
    MambaMixer,
    Moe,
    OtherMixer,
)
from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.config_value import TableDefaults
from discover_models.sources.sglang_models.interpreter import new_machine
from discover_models.sources.sglang_models.model_source import read_class, read_model
from discover_models.sources.sglang_models.registry import registered
from discover_models.sources.sglang_models.to_architecture import to_architecture
from layers import names, needed
from sglang_miniature import CONFIG, DENSE, MOE, MOE_CONFIG, write_sglang


def architecture(root: Path, config: Mapping[str, object], **models: str) -> Architecture:
    source = SglangSource(write_sglang(root, **models), commit="c" * 40)
    return to_architecture(read_model(source, config))


def linears(found: Architecture, group: int) -> dict[str, tuple[int | None, int | None]]:
    return {x.name: (x.n.value, x.k.value) for x in found.groups[group].linears or ()}


def test_registry_lists_single_classes_and_lists_with_file_and_line(tmp_path: Path) -> None:
    source = SglangSource(write_sglang(tmp_path))
    found = {e.architecture: (e.path, e.line) for e in registered(new_machine(source))}

    assert sorted(found) == ["ToyForCausalLM", "ToyMoeForCausalLM", "ToyMoeForCausalLMNextN"]
    path, line = found["ToyMoeForCausalLM"]
    text = (tmp_path / path).read_text(encoding="utf-8").splitlines()[line - 1]
    assert text.startswith("class ToyMoeForCausalLM(")


def test_registry_entry_that_is_no_class_is_an_error(tmp_path: Path) -> None:
    source = SglangSource(write_sglang(tmp_path, broken="EntryClass = [nowhere]"))

    with pytest.raises(SourceError, match=r"broken\.py"):
        registered(new_machine(source))


def test_dense_layers_with_their_gemms(tmp_path: Path) -> None:
    found = architecture(tmp_path, CONFIG)

    assert linears(found, 0) == {
        "self_attn.qkv_proj": ((4 + 2 * 2) * 32, 64),
        "self_attn.o_proj": (64, 128),
        "mlp.gate_up_proj": (320, 64),
        "mlp.down_proj": (64, 160),
    }
    ffn = found.groups[0].ffn
    assert isinstance(ffn, DenseMlp)
    assert (ffn.intermediate.value, ffn.gated) == (160, True)


@pytest.mark.parametrize(
    ("code", "activation"),
    [
        ("self.act_fn = SiluAndMul()", "silu"),
        ("self.act_fn = GeluAndMul()", "gelu_tanh"),
        ("self.act_fn = GeluAndMul(approximate='none')", "gelu"),
        ("self.act_fn = GeluAndMul('none')", "gelu"),
        ("pass\n\n    def forward(self, x):\n        return F.silu(x)", "silu"),
        ("self.one = SiluAndMul()\n        self.other = GeluAndMul()", ""),
        ("pass\n\n    def forward(self, x):\n        return F.softplus(x)", ""),
    ],
)
def test_the_function_between_the_projections(tmp_path: Path, code: str, activation: str) -> None:
    toy = DENSE.replace("self.act_fn = SiluAndMul()", code)
    toy = toy.replace("import SiluAndMul", "import GeluAndMul, SiluAndMul")
    ffn = architecture(tmp_path, CONFIG, toy=toy).groups[0].ffn
    assert isinstance(ffn, DenseMlp)
    assert ffn.activation == activation


def test_a_size_remembers_its_configuration_fields_and_its_line(tmp_path: Path) -> None:
    found = architecture(tmp_path, CONFIG)
    qkv = next(x for x in found.groups[0].linears or () if x.name == "self_attn.qkv_proj")

    assert {o.field for o in qkv.n.origins} == {
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    }
    evidence = qkv.evidence[0]
    text = (tmp_path / evidence.path).read_text(encoding="utf-8").splitlines()
    assert "QKVParallelLinear(config.hidden_size" in text[(evidence.line or 0) - 1]


def test_layers_that_differ_by_index_are_groups_of_their_own(tmp_path: Path) -> None:
    found = architecture(tmp_path, CONFIG)

    windows = {
        group.layers: group.mixer.window.value if group.mixer.window else None
        for group in found.groups
        if isinstance(group.mixer, GqaAttention)
    }
    assert windows == {(0, 2): None, (1, 3): 512}


def test_attention_facts(tmp_path: Path) -> None:
    mixer = architecture(tmp_path, {**CONFIG, "partial": 0.25}).groups[0].mixer

    assert isinstance(mixer, GqaAttention)
    assert (mixer.q_heads.value, mixer.kv_heads.value, mixer.head_dim.value) == (4, 2, 32)
    assert mixer.qk_norm == "per_head"
    assert mixer.rope is not None
    assert (mixer.rope.style, mixer.rope.rotary_dim.value) == ("neox", 8)


def test_only_a_norm_that_is_called_with_the_residual_is_fused(tmp_path: Path) -> None:
    norms = architecture(tmp_path, CONFIG).groups[0].norms or ()

    fused = {n.name for n in norms if n.kind == "fused_add_rmsnorm"}
    assert fused == {"input_layernorm"}
    assert {n.name for n in norms if n.kind == "rmsnorm"} == {
        "self_attn.q_norm",
        "input_layernorm",
        "post_norm",
    }


STAGES = """
def append_stages(*stages):
    return stages

class Declaration:
    def __init__(self, read):
        self.read = read

class Readout:
    def update_and_read(self, update, x, residual, norm):
        return norm(x, residual)

class KernelReadout(Readout):
    def update_and_read(self, update, x, residual, norm):
        return kernel_of("")(norm, x, residual, None)

class UnfusedReadout(Readout):
    def update_and_read(self, update, x, residual, norm):
        if residual is not None:
            x = update.update(x, residual)
        return self.read(x, norm)

class ReplacingReadout(UnfusedReadout):
    def read(self, residual, norm):
        return norm(residual), norm(residual)
"""


@pytest.mark.parametrize(
    ("read", "fused"),
    [("Readout", True), ("KernelReadout", True),
     ("UnfusedReadout", False), ("ReplacingReadout", False)],
)  # fmt: skip
def test_the_declared_read_of_a_stage_decides_whether_its_norm_is_fused(
    tmp_path: Path, read: str, fused: bool
) -> None:
    package = tmp_path / "python/sglang/srt/layers/layer_boundary"
    package.mkdir(parents=True)
    (package / "factories.py").write_text(STAGES, encoding="utf-8")
    toy = DENSE.replace(
        "        self.post_norm = RMSNorm(config.hidden_size)\n",
        "        self.post_norm = RMSNorm(config.hidden_size)\n"
        f"        stage = (factories.Declaration(factories.{read}()), self.post_norm)\n"
        "        (self.boundary,) = factories.append_stages(stage)\n",
    )
    line = "from sglang.srt.layers.layer_boundary import factories\n"
    norms = architecture(tmp_path, CONFIG, toy=line + toy).groups[-1].norms or ()
    assert {n.kind for n in norms if n.name == "post_norm"} == {
        "fused_add_rmsnorm" if fused else "rmsnorm"
    }


def test_dispatch_table_module_alias_and_inheritance_from_another_file(tmp_path: Path) -> None:
    found = architecture(tmp_path, MOE_CONFIG)
    by_layers = {group.layers: group for group in found.groups}

    assert set(by_layers) == {(0,), (1, 3), (2,)}
    assert isinstance(by_layers[(0,)].ffn, DenseMlp)
    moe = by_layers[(2,)].ffn
    assert isinstance(moe, Moe)
    assert (moe.experts.value, moe.top_k.value, moe.intermediate.value) == (16, 2, 48)
    assert moe.shared_intermediate is not None
    assert moe.shared_intermediate.value == 48


def test_a_routers_bare_weight_counts_as_a_gemm(tmp_path: Path) -> None:
    found = architecture(tmp_path, MOE_CONFIG)
    sparse = next(i for i, group in enumerate(found.groups) if group.layers == (2,))

    assert linears(found, sparse)["mlp.gate"] == (16, 64)


@pytest.mark.parametrize(
    ("fields", "routing"),
    [
        ({}, "ds_routing"),
        ({"n_group": 1, "topk_group": 1}, "ds_routing"),
        ({"n_group": None}, "minimax2_routing"),
        ({"n_group": None, "topk_method": "greedy"}, "sigmoid_renorm_routing"),
        (
            {"n_group": None, "topk_method": "greedy", "norm_topk_prob": False},
            "sigmoid_routing",
        ),
        ({"n_group": None, "topk_method": "greedy", "scoring_func": "softmax"}, "renorm"),
        (
            {
                "n_group": None,
                "topk_method": "greedy",
                "scoring_func": "softmax",
                "norm_topk_prob": False,
            },
            "default_routing",
        ),
        (
            {"n_group": 1, "topk_method": "greedy", "scoring_func": "softmax"},
            "renorm",
        ),
        ({"n_group": None, "scoring_func": "softmax"}, "softmax_scores"),  # chosen with a bias
        ({"n_group": None, "scoring_func": "sqrtsoftplus"}, "sqrtsoftplus_scores"),
        ({"topk_method": "greedy"}, "sigmoid_scores"),
        ({"topk_method": "greedy", "scoring_func": "softmax"}, "softmax_scores"),
    ],
)
def test_routing(tmp_path: Path, fields: dict[str, object], routing: str) -> None:
    found = architecture(tmp_path, {**MOE_CONFIG, **fields})
    moe = found.groups[-1].ffn

    assert isinstance(moe, Moe)
    assert moe.routing == routing
    assert not any(u.what == "routing" for u in found.unmapped)


def test_a_router_chooses_also_from_experts_without_weights(tmp_path: Path) -> None:
    text = MOE.replace("torch.empty(config.num_experts))", "torch.empty(config.num_experts + 8))")
    text = text.replace("empty((config.num_experts, ", "empty((config.num_experts + 8, ")
    text = text.replace("correction_bias=self.gate.bias", "correction_bias=self.gate.bias.data")
    fields = {"scoring_func": "softmax", "n_group": None}
    found = architecture(tmp_path, {**MOE_CONFIG, **fields}, toy_moe=text)

    moe = found.groups[-1].ffn
    assert isinstance(moe, Moe)
    assert moe.experts.value == 16
    assert "topk_softmax_bias_e24_k2" in names(needed(found))
    (zero,) = [u for u in found.unmapped if u.what == "experts without weights"]
    assert zero.reason.startswith("8 of 24 choices of the router have no weights")
    assert zero.evidence


@pytest.mark.parametrize(
    ("body", "top_k", "routing"),
    [
        (
            "scores, ids = torch.topk(logits, k)\n    return torch.sigmoid(scores), ids",
            1,
            "llama4_routing",
        ),
        (
            "scores, ids = torch.topk(logits, k)\n    return torch.sigmoid(scores), ids",
            2,
            "custom_routing",
        ),
        ("return torch.topk(torch.sigmoid(logits), k)", 1, "custom_routing"),
    ],
)
def test_a_routing_function_of_the_models_own(
    tmp_path: Path, body: str, top_k: int, routing: str
) -> None:
    text = MOE.replace("scoring_func=config.scoring_func", "custom_routing_function=choose")
    text = text.replace("class ToyGate", f"def choose(logits, k):\n    {body}\n\nclass ToyGate")
    found = architecture(tmp_path, {**MOE_CONFIG, "top_k": top_k}, toy_moe=text)
    moe = found.groups[-1].ffn

    assert isinstance(moe, Moe)
    assert moe.routing == routing
    named = [u.evidence[0] for u in found.unmapped if "choose" in u.reason]
    assert len(named) == (routing == "custom_routing")
    for place in named:
        line = (tmp_path / place.path).read_text(encoding="utf-8").splitlines()[place.line or 0]
        assert body.splitlines()[0] in line


def test_a_field_that_decides_a_routing_and_is_missing_leaves_it_open(tmp_path: Path) -> None:
    config = {k: v for k, v in MOE_CONFIG.items() if k != "scoring_func"}
    moe = architecture(tmp_path, config).groups[-1].ffn

    assert isinstance(moe, Moe)
    assert moe.routing is None


def test_a_missing_field_makes_sizes_unknown_never_zero(tmp_path: Path) -> None:
    config = {k: v for k, v in CONFIG.items() if k != "intermediate_size"}
    source = SglangSource(write_sglang(tmp_path))
    model = read_model(source, config)
    found = to_architecture(model)

    down = next(x for x in found.groups[0].linears or () if x.name == "mlp.down_proj")
    assert down.k.value is None
    assert down.k.missing == ("intermediate_size",)
    assert model.missing == ("intermediate_size",)


def test_class_defaults_fill_what_a_file_leaves_out(tmp_path: Path) -> None:
    config = {k: v for k, v in CONFIG.items() if k != "intermediate_size"}
    table = TableDefaults("default of some library ToyConfig", {"intermediate_size": 96})
    source = SglangSource(write_sglang(tmp_path))
    found = to_architecture(read_model(source, config, lambda _data, _path: table))

    down = next(x for x in found.groups[0].linears or () if x.name == "mlp.down_proj")
    assert down.k.value == 96
    assert down.k.origins[0].source == "default of some library ToyConfig"


def test_both_sides_of_an_undecided_test_are_kept_with_its_text(tmp_path: Path) -> None:
    text = DENSE.replace(
        "        self.post_norm = RMSNorm(config.hidden_size)\n",
        "        if config.extra:\n"
        "            self.post_norm = RMSNorm(config.hidden_size)\n"
        "        else:\n"
        "            self.post_norm = RMSNorm(config.hidden_size * 2)\n",
    )
    source = SglangSource(write_sglang(tmp_path, toy=text))
    model = read_model(source, CONFIG)

    records = [r for r in model.layers[0].records if r.name == "post_norm"]
    assert [str(c) for r in records for c in r.conditions] == [
        "config.extra",
        "not (config.extra)",
    ]
    assert {str(c) for c in model.conditions} == {"config.extra", "not (config.extra)"}


def test_equal_sides_of_an_undecided_test_need_no_condition(tmp_path: Path) -> None:
    text = DENSE.replace(
        "        self.post_norm = RMSNorm(config.hidden_size)\n",
        "        self.post_norm = (\n"
        "            RMSNorm(config.hidden_size) if config.extra else RMSNorm(config.hidden_size)\n"
        "        )\n",
    )
    model = read_model(SglangSource(write_sglang(tmp_path, toy=text)), CONFIG)

    records = [r for r in model.layers[0].records if r.name == "post_norm"]
    assert [r.conditions for r in records] == [()]


def test_other_platforms_are_left_out(tmp_path: Path) -> None:
    text = DENSE.replace(
        "from sglang.srt.utils import make_layers\n",
        "from sglang.srt.utils import is_hip, make_layers\n_is_hip = is_hip()\n",
    ).replace(
        "        self.input_layernorm = RMSNorm(config.hidden_size)\n",
        "        self.input_layernorm = RMSNorm(1 if _is_hip else config.hidden_size)\n",
    )
    norms = architecture(tmp_path, CONFIG, toy=text).groups[0].norms or ()

    assert [n.size.value for n in norms if n.name == "input_layernorm"] == [64, 64]


def test_projections_that_fit_no_grouped_query_attention_are_not_called_that(
    tmp_path: Path,
) -> None:
    text = DENSE.replace(
        "        self.q_norm = RMSNorm(self.head_dim)\n",
        "        self.q_norm = RMSNorm(self.head_dim)\n"
        "        self.index_proj = MergedColumnParallelLinear(config.hidden_size, [24])\n",
    )
    found = architecture(tmp_path, CONFIG, toy=text)

    mixer = found.groups[0].mixer
    assert isinstance(mixer, OtherMixer)
    assert "index_proj" in mixer.reason
    assert linears(found, 0)["self_attn.index_proj"] == (24, 64)
    assert mixer.evidence


def test_low_rank_queries_are_grouped_query_attention(tmp_path: Path) -> None:
    text = DENSE.replace(
        "        self.qkv_proj = QKVParallelLinear("
        "config.hidden_size, self.head_dim, heads, kv_heads)\n",
        "        width = 16 + 2 * kv_heads * self.head_dim\n"
        "        self.qkv_proj = MergedColumnParallelLinear(config.hidden_size, [width])\n"
        "        self.wq = MergedColumnParallelLinear(16, [heads * self.head_dim])\n",
    )
    mixer = architecture(tmp_path, CONFIG, toy=text).groups[0].mixer

    assert isinstance(mixer, GqaAttention)
    assert (mixer.q_heads.value, mixer.kv_heads.value) == (4, 2)


@pytest.mark.parametrize(
    ("width", "call", "per_head", "function"),
    [
        ("heads", "F.softplus(self.g_proj(x).float())", True, "softplus"),
        ("heads", "self.g_proj(x).unsqueeze(-1).sigmoid()", True, "sigmoid"),
        ("heads * self.head_dim", "torch.sigmoid(self.g_proj(x))", False, "sigmoid"),
        ("heads * self.head_dim", "helper(self.g_proj(x))", False, "sigmoid"),
    ],
)
def test_a_gate_is_told_by_its_width_and_its_function(
    tmp_path: Path, width: str, call: str, per_head: bool, function: str
) -> None:
    text = DENSE.replace(
        "        self.q_norm = RMSNorm(self.head_dim)\n",
        "        self.q_norm = RMSNorm(self.head_dim)\n"
        f"        self.g_proj = MergedColumnParallelLinear(config.hidden_size, [{width}])\n",
    ).replace(
        "\nclass ToyLayer", f"    def forward(self, x):\n        return {call}\n\nclass ToyLayer"
    )
    mixer = architecture(tmp_path, CONFIG, toy=text).groups[0].mixer

    assert isinstance(mixer, GqaAttention)
    assert mixer.output_gate
    assert (mixer.gate_per_head, mixer.gate_activation) == (per_head, function)


@pytest.mark.parametrize(("shape", "joins"), [("heads", True), ("(kv_heads, 8)", False)])
def test_only_a_logit_for_each_head_joins_the_softmax(
    tmp_path: Path, shape: str, joins: bool
) -> None:
    text = DENSE.replace(
        "        self.q_norm = RMSNorm(self.head_dim)\n",
        f"        self.sink_k = nn.Parameter(torch.zeros({shape}))\n",
    )
    mixer = architecture(tmp_path, CONFIG, toy=text).groups[0].mixer
    assert isinstance(mixer, GqaAttention)
    assert mixer.sinks == joins


@pytest.mark.parametrize(
    ("test", "rotated"),
    [
        ("self.window > 0", {(1, 3)}),
        ("not self.window or self.window == 512", {(1, 3)}),
        ("positions is not None", {(0, 2), (1, 3)}),
        ("self.window > 0 and positions is None", {(1, 3)}),
    ],
)
def test_rotation_that_a_method_runs_in_some_layers_only(
    tmp_path: Path, test: str, rotated: set[tuple[int, ...]]
) -> None:
    text = DENSE.replace(
        "class ToyLayer(nn.Module):",
        "        self.window = window\n\n"
        "    def forward(self, positions, q, k):\n"
        f"        if {test}:\n"
        "            q, k = self.rotary_emb(positions, q, k)\n"
        "        return q, k\n\n"
        "class ToyLayer(nn.Module):",
    )
    found = architecture(tmp_path, CONFIG, toy=text)

    assert rotated == {
        g.layers for g in found.groups if isinstance(g.mixer, GqaAttention) and g.mixer.rope
    }


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("self.norm(x)", "rmsnorm"),
        ("self.norm(x, residual)", "fused_add_rmsnorm"),
        ("residual_batch.final_norm(x, batch, self.norm)", "fused_add_rmsnorm"),
    ],
)
def test_the_norm_after_the_last_layer(tmp_path: Path, call: str, kind: str) -> None:
    text = DENSE.replace(
        "        self.norm = RMSNorm(config.hidden_size)\n",
        "        self.norm = RMSNorm(config.hidden_size)\n\n"
        f"    def forward(self, x, residual, batch):\n        return {call}\n",
    )
    found = architecture(tmp_path, CONFIG, toy=text)

    assert found.final_norm is not None
    assert (found.final_norm.kind, found.final_norm.size.value) == (kind, 64)
    assert found.final_norm.evidence


@pytest.mark.parametrize(
    ("own", "kind"),
    [("return self.norm(x)", "rmsnorm"),
     ("return self.norm(super().forward(x, residual))", "fused_add_rmsnorm")],
)  # fmt: skip
def test_a_method_that_is_overridden_and_not_called_does_not_run(
    tmp_path: Path, own: str, kind: str
) -> None:
    method = "    def forward(self, x, residual=None):\n"
    text = DENSE.replace(
        "        self.norm = RMSNorm(config.hidden_size)\n",
        "        self.norm = RMSNorm(config.hidden_size)\n\n"
        f"{method}        return self.norm(x, residual)\n\n"
        f"class OwnModel(ToyModel):\n{method}        {own}\n",
    ).replace("model_class = ToyModel", "model_class = OwnModel")
    found = architecture(tmp_path, CONFIG, toy=text)

    assert found.final_norm is not None
    assert found.final_norm.kind == kind


@pytest.mark.parametrize(("heads", "one"), [("heads", True), ("heads * (n + 1)", False)])
def test_a_list_with_an_attention_layer_for_each_loop_is_one_mixer(
    tmp_path: Path, heads: str, one: bool
) -> None:
    text = DENSE.replace(
        "self.attn = RadixAttention(\n            heads, self.head_dim, 1.0, kv_heads, layer_id,"
        " sliding_window_size=window\n        )",
        "self.attn = nn.ModuleList()\n        for n in range(config.num_loops):\n"
        f"            self.attn.append(RadixAttention({heads}, self.head_dim, 1.0, kv_heads,"
        " layer_id + n * config.num_hidden_layers))",
    )
    assert text != DENSE
    mixer = architecture(tmp_path, {**CONFIG, "num_loops": 2}, toy=text).groups[0].mixer

    assert isinstance(mixer, GqaAttention) == one
    if isinstance(mixer, GqaAttention):
        assert (mixer.q_heads.value, mixer.kv_heads.value, mixer.qk_norm) == (4, 2, "per_head")
        assert mixer.rope is not None


def test_a_linear_layer_beside_the_list_of_layers_runs_too(tmp_path: Path) -> None:
    norm = "        self.norm = RMSNorm(config.hidden_size)\n"
    linear = "MergedColumnParallelLinear(config.hidden_size, [{}])"
    text = DENSE.replace(
        norm,
        f"{norm}        self.project = {linear.format(36)}\n"
        f"        self.streams = nn.ModuleList([{linear.format(40)} for _ in range(2)])\n"
        f"        if config.unheard_of:\n            self.maybe = {linear.format(44)}\n",
    ).replace(
        "        self.model = self.model_class(config, quant_config)\n",
        "        self.model = self.model_class(config, quant_config)\n"
        f"        self.head = {linear.format(48)}\n",
    )
    found = architecture(tmp_path, CONFIG, toy=text)

    assert [(x.name, x.n.value, x.k.value) for x in found.outside] == [
        ("model.project", 36, 64),
        ("model.streams.0", 40, 64),
        ("model.streams.1", 40, 64),
    ]
    assert {"gemm_n36_k64", "gemm_n40_k64"} <= names(needed(found))


def test_two_equal_attention_layers_are_one_mixer(tmp_path: Path) -> None:
    twice = "nn.ModuleList([ToyAttention(config, layer_id) for _ in range(2)])"
    text = DENSE.replace("self.self_attn = ToyAttention(config, layer_id)",
                         f"self.self_attn = {twice}")  # fmt: skip
    found = architecture(tmp_path, CONFIG, toy=text)

    mixer, ffn = found.groups[0].mixer, found.groups[0].ffn
    assert isinstance(mixer, GqaAttention)
    assert isinstance(ffn, DenseMlp)
    assert linears(found, 0)["self_attn.1.o_proj"] == (64, 128)


MAMBA = """
class MambaMixer2(nn.Module):
    def __init__(self, config, use_rms_norm):
        super().__init__()
        self.num_heads, self.head_dim, self.n_groups = 8, 16, config.groups
        self.ssm_state_size = 32
        width = self.num_heads * self.head_dim + 2 * self.n_groups * self.ssm_state_size
        self.conv1d = MergedColumnParallelLinear(4, [width])
        self.conv1d.weight.data = self.conv1d.weight.data.unsqueeze(1)
        self.in_proj = MergedColumnParallelLinear(config.hidden_size, [128, width, 8])
        self.out_proj = RowParallelLinear(128, config.hidden_size)
        self.norm = GatedRMSNorm(128, self.n_groups, use_rms_norm)

class GatedRMSNorm(nn.Module):
    def __init__(self, full_hidden_size, full_n_groups, use_rms_norm=True):
        super().__init__()
"""


def beside(root: Path, built: str, **config: object) -> Architecture:
    """The toy's layers with Mamba, of which `built` says how it is constructed."""
    toy = DENSE.replace("class ToyLayer", f"{MAMBA}\nclass ToyLayer")
    toy = toy.replace(
        "        self.mlp = self.make_mlp", f"        {built}\n        self.mlp = self.make_mlp"
    )
    return architecture(root, {**CONFIG, "groups": 2, "normed": True, **config}, toy=toy)


@pytest.mark.parametrize("normed", [True, False])
def test_attention_and_mamba_in_one_layer_are_both_mixers(tmp_path: Path, normed: bool) -> None:
    found = beside(tmp_path, "self.mamba = MambaMixer2(config, config.normed)", normed=normed)
    attention, mamba = found.groups[0].mixers
    assert isinstance(attention, GqaAttention)
    assert isinstance(mamba, MambaMixer)
    sizes = (mamba.heads, mamba.head_dim, mamba.state_size, mamba.groups, mamba.conv_kernel)
    assert [size.value for size in sizes] == [8, 16, 32, 2, 4]
    assert mamba.gated_norm == normed
    ffn = found.groups[0].ffn
    assert isinstance(ffn, DenseMlp)
    assert ffn.intermediate.value == 160
    assert linears(found, 0)["mamba.in_proj"] == (128 + 256 + 8, 64)


MAMBA1 = """
class MambaMixer1(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ssm_state_size, self.time_step_rank = config.states, 8
        self.conv1d = MergedColumnParallelLinear(4, [config.inner])
        self.conv1d.weight.data = self.conv1d.weight.data.unsqueeze(1)
        self.in_proj = MergedColumnParallelLinear(config.hidden_size, [config.inner] * 2)
        self.x_proj = RowParallelLinear(config.inner, 8 + 2 * config.states)
        self.dt_proj = MergedColumnParallelLinear(8, [config.inner])
        self.A_log = nn.Parameter(torch.empty(config.inner, config.states))
        self.D = nn.Parameter(torch.ones(config.inner))
        self.out_proj = RowParallelLinear(config.inner, config.hidden_size)
"""


def test_a_decay_for_every_channel_and_state_is_mamba_1(tmp_path: Path) -> None:
    toy = DENSE.replace("class ToyLayer", f"{MAMBA1}\nclass ToyLayer")
    toy = toy.replace("ToyAttention(config, layer_id)", "MambaMixer1(config)")
    found = architecture(tmp_path, {**CONFIG, "inner": 192, "states": 16}, toy=toy)

    mixer = found.groups[0].mixer
    assert isinstance(mixer, Mamba1Mixer)
    sizes = (mixer.channels, mixer.state_size, mixer.dt_rank, mixer.conv_kernel)
    assert [size.value for size in sizes] == [192, 16, 8, 4]
    assert linears(found, 0)["self_attn.dt_proj"] == (192, 8)
    assert "self_attn.conv1d" not in linears(found, 0)
    assert not found.unmapped


def test_a_gated_norm_of_no_mixer_is_not_lost(tmp_path: Path) -> None:
    gated = (
        "class LowRankGatedRMSNorm(nn.Module):\n"
        "    def __init__(self, hidden_size):\n        super().__init__()\n"
        "        self.down = nn.Linear(hidden_size, 8)\n\n"
    )
    toy = DENSE.replace("class ToyMLP", f"{gated}class ToyMLP")
    for name in ("post_norm", "norm"):
        toy = toy.replace(f"self.{name} = RMSNorm", f"self.{name} = LowRankGatedRMSNorm")
    found = architecture(tmp_path, CONFIG, toy=toy)

    said = {u.what: u.reason for u in found.unmapped}
    assert set(said) == {"gated norm post_norm", "gated norm model.norm"}
    assert all("LowRankGatedRMSNorm" in why and "linear layers" in why for why in said.values())


def test_a_gated_norm_of_a_mixer_is_the_mixers(tmp_path: Path) -> None:
    found = beside(tmp_path, "self.mamba = MambaMixer2(config, config.normed)")
    assert not found.unmapped


@pytest.mark.parametrize(
    "built",
    [
        "self.mamba = MambaMixer2(config, True) if config.unheard_of else nn.Identity()",
        "self.mamba = MambaMixer2(config, True)\n"
        "        self.self_attn = ToyAttention(config, 0) if config.unheard_of else nn.Identity()",
        "self.one, self.two = MambaMixer2(config, True), MambaMixer2(config, True)",
    ],
)
def test_mixers_that_a_test_picks_or_that_are_more_than_two_are_not_mapped(
    tmp_path: Path, built: str
) -> None:
    (mixer,) = beside(tmp_path, built).groups[0].mixers
    assert isinstance(mixer, OtherMixer)
    assert mixer.reason == "several mixers in one layer"


@pytest.mark.parametrize(
    ("method", "normed"),
    [
        ("", True),
        ("def forward(self, x):\n        return self.o_proj(self.qkv_proj(x))", False),
        ("def forward(self, x):\n        return self.o_proj(self.q_norm(x))", True),
        ("def forward(self, x):\n        return helper(self, x)\n\n"
         "def helper(holder, x):\n    return holder.q_norm(x)", True),
        ("def forward(self, x):\n        return getattr(self, 'q_norm')(x)", True),
    ],
)  # fmt: skip
def test_a_norm_that_its_class_never_calls_is_no_kernel(
    tmp_path: Path, method: str, normed: bool
) -> None:
    toy = DENSE.replace("\nclass ToyLayer", f"    {method}\n\nclass ToyLayer")
    group = architecture(tmp_path, CONFIG, toy=toy).groups[0]
    assert isinstance(group.mixer, GqaAttention)
    assert group.mixer.qk_norm == ("per_head" if normed else "none")
    assert ("self_attn.q_norm" in {norm.name for norm in group.norms or ()}) == normed


def test_experts_that_are_constructed_one_by_one_are_experts(tmp_path: Path) -> None:
    text = MOE.replace(
        "        self.experts = experts(\n"
        "            config.num_experts, config.hidden_size,"
        " config.moe_intermediate_size, layer_id\n"
        "        )\n",
        "        self.n_routed_experts = config.num_experts\n"
        "        self.experts = nn.ModuleList(\n"
        "            [base.ToyMLP(config.hidden_size, config.moe_intermediate_size)\n"
        "             for _ in range(config.num_experts)]\n"
        "        )\n",
    )
    found = architecture(tmp_path, MOE_CONFIG, toy_moe=text)

    moe = found.groups[-1].ffn
    assert isinstance(moe, Moe)
    assert (moe.experts.value, moe.intermediate.value, moe.gated) == (16, 48, True)
    assert moe.experts.origins[0].field == "num_experts"
    assert moe.routing == "ds_routing"
    assert moe.shared_intermediate is not None
    assert not any("experts" in name for name in linears(found, -1))


def test_a_second_set_of_experts_is_not_passed_over(tmp_path: Path) -> None:
    text = MOE.replace(
        "        if config.n_shared:",
        "        self.others = experts(config.num_experts, config.hidden_size, 8, layer_id)\n"
        "        if config.n_shared:",
    )
    found = architecture(tmp_path, MOE_CONFIG, toy_moe=text)

    assert [u.what for u in found.unmapped] == ["experts mlp.others"]


def test_a_tower_with_as_many_layers_is_not_the_decoder(tmp_path: Path) -> None:
    text = DENSE.replace(
        "class ToyForCausalLM(nn.Module):",
        "class TowerAttention(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.qkv_proj = MergedColumnParallelLinear(8, [24])\n\n"
        "class TowerLayer(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.attn = TowerAttention()\n\n"
        "class ToyForCausalLM(nn.Module):",
    ).replace(
        "        self.model = self.model_class(config, quant_config)\n",
        "        self.tower = nn.Module()\n"
        "        self.blocks = nn.ModuleList([TowerLayer() for _ in range(4)])\n"
        "        self.model = self.model_class(config, quant_config)\n",
    )
    found = architecture(tmp_path, CONFIG, toy=text)

    assert linears(found, 0)["self_attn.o_proj"] == (64, 128)


def test_entries_of_a_list_are_objects_to_the_class(tmp_path: Path) -> None:
    text = DENSE.replace(
        "return ToyMLP(config.hidden_size, config.intermediate_size)",
        "return ToyMLP(config.hidden_size, config.block_configs[layer_id].ffn.width)",
    )
    blocks = [{"ffn": {"width": 32 * (i + 1)}} for i in range(4)]
    found = architecture(tmp_path, {**CONFIG, "block_configs": blocks}, toy=text)

    widths = {
        g.layers: g.ffn.intermediate.value for g in found.groups if isinstance(g.ffn, DenseMlp)
    }
    assert widths == {(0,): 32, (1,): 64, (2,): 96, (3,): 128}


def test_rope_parameters_are_made_of_the_older_fields(tmp_path: Path) -> None:
    text = DENSE.replace(
        'int(self.head_dim * getattr(config, "partial", 1)), 8192, 10000',
        'self.head_dim, 8192, config.rope_parameters["rope_theta"],'
        " rope_scaling=config.rope_parameters",
    )
    older = {"rope_theta": 5000, "rope_scaling": {"type": "mrope", "mrope_section": [4, 4]}}
    mixer = architecture(tmp_path, {**CONFIG, **older}, toy=text).groups[0].mixer

    assert isinstance(mixer, GqaAttention)
    assert mixer.rope is not None
    assert mixer.rope.multimodal


def test_a_constructor_that_raises_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    text = MOE.replace(
        "        self.gate = ToyGate(config)\n",
        "        if config.top_k != 4:\n            raise ValueError('only four')\n"
        "        self.gate = ToyGate(config)\n",
    )
    found = architecture(tmp_path, MOE_CONFIG, toy_moe=text)

    assert any("only four" in u.reason for u in found.unmapped)
    assert linears(found, 0)["self_attn.o_proj"] == (64, 128)


def test_an_endless_helper_costs_no_layer(tmp_path: Path) -> None:
    text = DENSE + "\ndef again(n):\n    return again(n) + again(n)\n"
    text = text.replace(
        "        self.norm = RMSNorm(", "        again(1)\n        self.norm = RMSNorm("
    )
    found = architecture(tmp_path, CONFIG, toy=text)
    plain = architecture(tmp_path / "plain", CONFIG)

    assert [linears(found, n) for n in range(2)] == [linears(plain, n) for n in range(2)]
    assert found.unmapped == plain.unmapped


@pytest.mark.parametrize(
    "value", ["9 ** 9 ** 9", "1 << 10 ** 12", "[None] * 10 ** 12", "'x' * 10 ** 12"]
)
def test_what_is_too_large_to_be_worked_out_costs_no_layer(tmp_path: Path, value: str) -> None:
    line = f"        self.many = {value}\n"
    text = DENSE.replace("        self.norm = RMSNorm(", f"{line}        self.norm = RMSNorm(")
    found = architecture(tmp_path, CONFIG, toy=text)
    plain = architecture(tmp_path / "plain", CONFIG)

    assert [linears(found, n) for n in range(2)] == [linears(plain, n) for n in range(2)]
    assert found.unmapped == plain.unmapped


def test_an_endless_constructor_ends_with_a_sentence(tmp_path: Path) -> None:
    text = DENSE + (
        "\nclass Again(nn.Module):\n    def __init__(self):\n"
        "        self.one, self.other = Again(), Again()\n"
    )
    text = text.replace(
        "        self.norm = RMSNorm(", "        self.again = Again()\n        self.norm = RMSNorm("
    )
    source = SglangSource(write_sglang(tmp_path, toy=text))

    with pytest.raises(SourceError, match="steps"):
        read_model(source, CONFIG)


def test_an_import_of_a_name_that_no_file_can_have_is_no_file(tmp_path: Path) -> None:
    line = "from sglang.srt.layers.layernorm import RMSNorm"
    assert line in DENSE
    text = DENSE.replace(line, f"from sglang.srt.{'l' * 5000} import RMSNorm")
    source = SglangSource(write_sglang(tmp_path, toy=text))
    assert read_model(source, CONFIG).layers


def test_a_class_without_a_configuration_shows_all_that_it_can_build(tmp_path: Path) -> None:
    machine = new_machine(SglangSource(write_sglang(tmp_path)))
    entry = next(e for e in registered(machine) if e.architecture == "ToyMoeForCausalLM")
    model = read_class(machine, entry)

    found = {r.name: [str(c) for c in r.conditions] for x in model.layers for r in x.records}
    assert any("first_dense" in c for c in found["mlp.down_proj"])
    assert any("first_dense" in c for c in found["mlp.experts"])
    assert any("n_shared" in c for c in found["mlp.shared.down_proj"])
    assert found["self_attn.attn"] == []


def test_weights_that_are_joined_after_loading_are_named(tmp_path: Path) -> None:
    text = DENSE.replace(
        "class ToyLayer(nn.Module):",
        "    def build_fused(self):\n"
        "        parts = [self.qkv_proj.weight.data, self.o_proj.weight.data]\n"
        "        self.fused = torch.cat(parts)\n\n"
        "class ToyLayer(nn.Module):",
    )
    found = architecture(tmp_path, CONFIG, toy=text)

    named = [u.reason for u in found.unmapped if u.what == "merged weights of self_attn"]
    assert named == ["build_fused joins the weights of o_proj, qkv_proj: they may run as one GEMM"]


def test_an_unregistered_architecture_is_a_source_error(tmp_path: Path) -> None:
    source = SglangSource(write_sglang(tmp_path))

    with pytest.raises(SourceError, match="OtherForCausalLM"):
        read_model(source, {"architectures": ["OtherForCausalLM"]})


def test_a_file_that_cannot_be_parsed_is_a_source_error(tmp_path: Path) -> None:
    source = SglangSource(write_sglang(tmp_path, toy="class Toy(:\n"))

    with pytest.raises(SourceError, match=r"toy\.py"):
        read_model(source, CONFIG)


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    assert architecture(tmp_path, CONFIG, toy=f"\ufeff{DENSE}").groups


def test_own_configuration_class_gives_defaults_and_properties(tmp_path: Path) -> None:
    write_sglang(
        tmp_path,
        toy=DENSE.replace(
            "config.sliding_window if layer_id % 2", "512 if layer_id in config.local"
        ),
    )
    folder = tmp_path / "python/sglang/srt/configs"
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "toy.py").write_text(
        "from transformers import PretrainedConfig\n\n"
        "class ToyConfig(PretrainedConfig):\n"
        '    model_type = "toy"\n\n'
        "    def __init__(self, intermediate_size=96, every=3, **kwargs):\n"
        "        self.intermediate_size = intermediate_size\n"
        "        self.every = every\n"
        "        super().__init__(**kwargs)\n\n"
        "    @property\n"
        "    def local(self):\n"
        "        return [i for i in range(self.num_hidden_layers) if i % self.every == 0]\n",
        encoding="utf-8",
    )
    config = {k: v for k, v in CONFIG.items() if k != "intermediate_size"}
    found = to_architecture(read_model(SglangSource(tmp_path), config))

    assert {g.layers for g in found.groups} == {(0, 3), (1, 2)}
    ffn = found.groups[0].ffn
    assert isinstance(ffn, DenseMlp)
    assert ffn.intermediate.value == 96
    assert ffn.intermediate.origins[0].source == "default of SGLang ToyConfig"
