"""What a model is made of: groups of equal decoder layers and what they share.

Dimensions are `Dim` values: they remember the configuration field they come from, and a dimension
that was found nowhere stays unknown. Heads and widths are of the whole model, before any sharding.
"""

from typing import Annotated, Literal

from pydantic import Field

from discover_models.domain.dimension import Dim
from discover_models.domain.evidence import Evidence
from discover_models.domain.frozen import Frozen


class Rope(Frozen):
    """Rotary position embedding as the attention layer applies it."""

    style: Literal["neox", "gptj"] | None
    """How pairs are laid out; None when nothing says it."""
    head_size: Dim
    """What is passed to the rotary embedding as head size."""
    rotary_dim: Dim
    """How many of the dimensions are rotated."""
    multimodal: bool = False
    """M-RoPE: another kernel than the cached cos/sin one."""
    evidence: tuple[Evidence, ...] = ()


class MsaSelection(Frozen):
    """MSA: an index branch scores blocks of the KV cache and attention reads the best of them."""

    index_heads: Dim
    index_head_dim: Dim
    topk: Dim
    """Blocks that one query reads."""
    block_size: Dim
    """Tokens of one block."""


class InfllmSelection(Frozen):
    """InfLLM-v2: blocks of the KV cache are chosen by scores against compressed keys."""

    topk: Dim
    """Blocks that one query reads, those of its window included."""
    block_size: Dim
    """Tokens of one block."""
    kernel_size: Dim
    """Tokens that one compressed key stands for."""
    kernel_stride: Dim
    dense_len: Dim
    """Up to so many tokens attention is dense."""


class GqaAttention(Frozen):
    """Multi-head, grouped-query or multi-query attention with a K and a V cache."""

    kind: Literal["gqa"] = "gqa"
    q_heads: Dim
    kv_heads: Dim
    head_dim: Dim
    v_head_dim: Dim
    rope: Rope | None = None
    rope_undecided: str = ""
    """Why it is not known whether or how positions are rotated; empty when it is."""
    qk_norm: Literal["none", "per_head", "full", "layernorm", "undecided"] = "none"
    """RMS norm of q and k, over each head (`head_dim`) or over the whole projection, or LayerNorm
    over each head."""
    output_gate: bool = False
    """Attention's output is gated by a projection of equal width."""
    gate_apart: bool = False
    """The gate has a linear layer of its own; else the q projection yields it and doubles."""
    gate_per_head: bool = False
    """The gate has one value per head, not one per element of the output."""
    gate_activation: str = "sigmoid"
    """What is applied to the gate."""
    window: Dim | None = None
    """Sliding window in tokens; None for full attention."""
    chunk: Dim | None = None
    """Chunk length in tokens of chunked attention."""
    sinks: bool = False
    """A learnt logit per head joins the softmax."""
    soft_cap: bool = False
    """Logits go through a tanh cap."""
    shares_kv: bool = False
    """Reads another layer's KV cache and has no K and V projection of its own."""
    k_is_v: bool = False
    """K doubles as V: there is no V projection."""
    msa: MsaSelection | None = None
    """Present in layers with block-sparse attention of that kind."""
    infllm: InfllmSelection | None = None
    """Likewise; short inputs stay dense."""


class Indexer(Frozen):
    """The DSA indexer that picks `topk` tokens per query."""

    heads: Dim
    head_dim: Dim
    topk: Dim
    rope: Rope | None = None
    fused_weights_proj: bool = False
    """wk and weights_proj run as one GEMM (with interleaved rotary embedding)."""
    reused: bool = False
    """The layer has no indexer of its own and reads the tokens that an earlier layer picked."""
    k_norm: Literal["layernorm", "rmsnorm"] | None = "layernorm"
    """What normalises its keys; None where something else stands for it."""


class MlaAttention(Frozen):
    """Multi-head latent attention."""

    kind: Literal["mla"] = "mla"
    heads: Dim
    q_lora_rank: Dim | None
    """None where q is projected directly."""
    fused_a_proj: bool | None = True
    """The low-rank projections of q and of KV run as one GEMM; None when nothing says it."""
    kv_lora_rank: Dim
    qk_nope_head_dim: Dim
    qk_rope_head_dim: Dim
    v_head_dim: Dim
    rope: Rope | None = None
    rope_undecided: str = ""
    indexer: Indexer | None = None
    """Present in sparse (DSA) layers."""
    output_gate: bool = False
    """Attention's output is gated by a linear layer of its own."""


class Dsv4Attention(Frozen):
    """DeepSeek-V4's attention: one vector is K and V, over a window and compressed tokens."""

    kind: Literal["dsv4"] = "dsv4"
    heads: Dim
    head_dim: Dim
    """Of queries and of the one K and V vector, rotated part included."""
    rope: Rope | None = None
    rope_undecided: str = ""
    window: Dim
    """Tokens that are read uncompressed."""
    q_lora_rank: Dim
    o_groups: Dim
    o_lora_rank: Dim
    """Width per group between the two output projections."""
    compress_ratio: Dim | None = None
    """Tokens that one compressed token stands for; None in layers with the window only."""
    indexer: Indexer | None = None
    """Picks among the compressed tokens; without it all of them are read."""


class GdnAttention(Frozen):
    """Gated DeltaNet linear attention."""

    kind: Literal["gdn"] = "gdn"
    k_heads: Dim
    v_heads: Dim
    k_head_dim: Dim
    v_head_dim: Dim
    conv_kernel: Dim
    gate_activation: str = "silu"
    """Of the gated norm after the delta rule."""


class KdaAttention(Frozen):
    """Kimi delta attention: a delta rule with a decay per channel."""

    kind: Literal["kda"] = "kda"
    k_heads: Dim
    v_heads: Dim
    head_dim: Dim
    v_head_dim: Dim
    conv_kernel: Dim
    full_rank_gate: bool = False
    """The output gate is a full projection; else a pair of low-rank ones."""
    gate_activation: str = "sigmoid"
    """Of the gated norm after the delta rule."""


class LightningAttention(Frozen):
    """Linear attention with a fixed decay per head and no delta rule."""

    kind: Literal["lightning"] = "lightning"
    heads: Dim
    kv_heads: Dim
    head_dim: Dim
    rope: Rope | None = None
    rope_undecided: str = ""
    qk_norm: Literal["none", "per_head", "undecided"] = "none"
    output_norm: Literal["none", "full", "gated_group", "undecided"] = "none"
    """Of the output: over its whole width, or gated and in groups."""
    norm_groups: Dim | None = None
    """Groups of the gated norm."""
    output_gate: bool = False
    """The output is gated by a linear layer of its own."""


class MambaMixer(Frozen):
    """Mamba-2 state-space mixer."""

    kind: Literal["mamba2"] = "mamba2"
    heads: Dim
    head_dim: Dim
    state_size: Dim
    groups: Dim
    conv_kernel: Dim
    gated_norm: bool = True
    """An RMS norm in groups, gated by half of the input projection, follows the scan."""


class Mamba1Mixer(Frozen):
    """Mamba-1 selective scan: a state per channel."""

    kind: Literal["mamba1"] = "mamba1"
    channels: Dim
    state_size: Dim
    dt_rank: Dim
    conv_kernel: Dim


class ShortConvMixer(Frozen):
    """A gated causal convolution over few tokens in place of attention."""

    kind: Literal["short_conv"] = "short_conv"
    channels: Dim
    conv_kernel: Dim


class OtherMixer(Frozen):
    """A token mixer that no family maps yet; it is listed as unmapped."""

    kind: Literal["other"] = "other"
    name: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


Mixer = Annotated[
    GqaAttention
    | MlaAttention
    | Dsv4Attention
    | GdnAttention
    | KdaAttention
    | LightningAttention
    | MambaMixer
    | Mamba1Mixer
    | ShortConvMixer
    | OtherMixer,
    Field(discriminator="kind"),
]


class DenseMlp(Frozen):
    """A feed-forward layer of two or three projections."""

    kind: Literal["dense"] = "dense"
    intermediate: Dim
    gated: bool | None = True
    """gate and up run as one GEMM of twice the width; None when nothing says it."""
    activation: str = ""
    """As in `Moe`; empty when nothing says it."""
    activation_limit: bool = False
    """Gate and up are clamped first."""


class Moe(Frozen):
    """A mixture of experts with what runs beside it."""

    kind: Literal["moe"] = "moe"
    experts: Dim
    top_k: Dim
    intermediate: Dim
    """Width of one expert."""
    routing: str | None
    """``renorm``, ``ds_routing``, …; None when the fields don't decide it."""
    n_group: Dim | None = None
    topk_group: Dim | None = None
    gated: bool | None = True
    """As in a dense MLP; None when nothing says it."""
    shared_intermediate: Dim | None = None
    """Width of all shared experts together."""
    shared_gate: bool = False
    """A one-column linear gates the shared expert."""
    latent: Dim | None = None
    """Width that experts work on where it is not the hidden size."""
    dense_beside: Dim | None = None
    """Width of a dense MLP that runs in the same layer."""
    activation: str = "silu"
    """As the configuration names it: ``silu``, ``swigluoai``, ``relu2``, ``situ``, …"""
    activation_limit: bool = False
    """Gate and up are clamped first."""
    routing_bias: bool = False
    """A learnt bias takes part in choosing experts (not in weighing them)."""
    choices: Dim | None = None
    """How many the router chooses from, where some of them have no weights."""
    latent_norm: bool = False
    """An RMS norm over the latent width follows the experts."""
    merged_front: bool = False
    """Shared gate and up, router and latent down run as one GEMM."""
    quantization: str = "bf16"
    """How the experts are stored: ``bf16 fp8_block fp8_per_tensor nvfp4 mxfp4 int4 …``."""


class OtherFfn(Frozen):
    """A feed-forward layer that no family maps yet."""

    kind: Literal["other"] = "other"
    name: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


Ffn = Annotated[DenseMlp | Moe | OtherFfn, Field(discriminator="kind")]


class Linear(Frozen):
    """One GEMM of a layer as SGLang fuses it, unsharded: ``[M, k] x [n, k]^T``."""

    name: str
    n: Dim
    k: Dim
    evidence: tuple[Evidence, ...] = ()


class Norm(Frozen):
    """One normalisation of a layer."""

    name: str
    kind: Literal["rmsnorm", "fused_add_rmsnorm", "layernorm", "gated_rmsnorm"]
    """``gated_rmsnorm`` belongs to a mixer, whose own family knows its shape."""
    size: Dim
    layers: tuple[int, ...] | None = None
    """The layers of the group that run it; None for all of them."""
    evidence: tuple[Evidence, ...] = ()


class LayerGroup(Frozen):
    """Equal decoder layers."""

    layers: tuple[int, ...]
    """Indexes from 0."""
    mixer: Mixer | None
    ffn: Ffn | None
    beside: Mixer | None = None
    """A second mixer on the input of the first; their outputs are added."""
    linears: tuple[Linear, ...] | None = None
    """Read from the model's source; None where formulas over mixer and ffn give them."""
    norms: tuple[Norm, ...] | None = None
    """Likewise."""

    @property
    def count(self) -> int:
        return len(self.layers)

    @property
    def mixers(self) -> tuple[Mixer, ...]:
        """All token mixers of a layer: none, one, or two beside each other."""
        return tuple(mixer for mixer in (self.mixer, self.beside) if mixer is not None)

    @property
    def parts(self) -> tuple[Mixer | Ffn, ...]:
        """The mixers and the feed-forward, as far as the layer has them."""
        return (*self.mixers, *([self.ffn] if self.ffn is not None else []))


class Unmapped(Frozen):
    """Something that the model has or may have and that gives no definition, with the reason."""

    what: str
    reason: str
    fields: tuple[str, ...] = ()
    """Configuration fields that are missing."""
    evidence: tuple[Evidence, ...] = ()


class Architecture(Frozen):
    """A text decoder: groups of equal layers and what they share."""

    name: str
    """The class in `architectures`, or ``unknown``."""
    model_type: str
    text_path: str
    """Where in the configuration the text decoder is; empty for the top level."""
    hidden_size: Dim
    vocab_size: Dim
    num_layers: Dim
    groups: tuple[LayerGroup, ...]
    hidden_norm: Literal["rmsnorm", "layernorm", "undecided"] = "rmsnorm"
    """What normalises the hidden state before, between and after the layers."""
    adds_residual: bool = True
    """Norms add the residual first; False where they come after attention and MLP."""
    gemma_norm: bool = False
    """Norm weights are stored as an offset from one."""
    final_norm: Norm | None = None
    """The norm after the last layer, read from the model's source; None where the values above say
    what it is."""
    outside: tuple[Linear, ...] = ()
    """Linear layers of the decoder that stand beside its list of layers and run once."""
    sandwich_norms: bool = False
    """A second norm, without residual, follows attention and MLP."""
    layer_scalar: bool = False
    """The last norm of a layer, the residual and a learnt factor of the layer run as one kernel."""
    hyper_streams: Dim | None = None
    """Hyper-connections carry so many residual streams; None for the one of other models."""
    residual_bank: Dim | None = None
    """Layers read a mixture of so many earlier residuals; None where they read the last one."""
    quantization: str = "bf16"
    """How the checkpoint is stored as a whole."""
    notes: tuple[str, ...] = ()
    unmapped: tuple[Unmapped, ...] = ()
