"""RMS normalisation, plain and fused with the residual addition."""

from collections.abc import Iterator
from dataclasses import replace

from discover_models.domain.architecture import (
    Architecture,
    Dsv4Attention,
    GqaAttention,
    LayerGroup,
    LightningAttention,
    Mixer,
    MlaAttention,
    Moe,
    Norm,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need

RMSNORM = KernelSpec(
    key="rmsnorm",
    op_type="rmsnorm",
    title="RMSNorm",
    apis=("flashinfer.norm.rmsnorm",),
)
FUSED_ADD_RMSNORM = KernelSpec(
    key="fused_add_rmsnorm",
    op_type="rmsnorm",
    title="RMSNorm fused with the residual addition",
    apis=("flashinfer.norm.fused_add_rmsnorm",),
)
_SPECS = {spec.key: spec for spec in (RMSNORM, FUSED_ADD_RMSNORM)}
GEMMA = {
    kind: KernelSpec(
        key=f"gemma_{kind}",
        op_type="rmsnorm",
        title=f"{spec.title}, weight as an offset from one",
        apis=(f"flashinfer.norm.gemma_{kind}",),
    )
    for kind, spec in _SPECS.items()
}
"""By the plain kernel's key (flashinfer/trace/templates/norm.py)."""
RESIDUAL_SCALAR = KernelSpec(
    key="rmsnorm_residual_scalar",
    op_type="rmsnorm",
    title="RMSNorm, residual addition and a learnt factor of the layer fused",
    # flashinfer.norm.gated_residual_rmsnorm computes another formula.
    sought=("residual_scalar",),
)


class RmsNormFamily:
    """``rmsnorm_h{hidden}`` and ``fused_add_rmsnorm_h{hidden}``, with ``gemma_`` beside them.

    The plain names also stand for Gemma's norm, whose weight is an offset from one, as in the
    dataset; the kernel that really runs then has a name of its own in FlashInfer.
    """

    op_type = "rmsnorm"
    specs = (RMSNORM, FUSED_ADD_RMSNORM, *GEMMA.values(), RESIDUAL_SCALAR)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for item in _needs(architecture):
            yield item
            if architecture.gemma_norm and isinstance(item, Need) and item.spec.key in GEMMA:
                spec = GEMMA[item.spec.key]
                yield replace(item, spec=spec, name=f"gemma_{item.name}", notes=())


def _needs(architecture: Architecture) -> Iterator[Need | Unmapped]:
    notes = ("Gemma's norm: the weight is an offset from one",) * architecture.gemma_norm
    for group in architecture.groups:
        if group.norms is None and architecture.hidden_norm == "rmsnorm":
            yield from _hidden_norms(architecture, group, notes)
        for norm in group.norms if group.norms is not None else _inner_norms(group):
            spec = _SPECS.get(norm.kind)
            if spec is not None:
                layers = group.layers if norm.layers is None else norm.layers
                yield _need(spec, norm, layers, notes)
        if architecture.layer_scalar:
            scaled = Norm(name="last norm", kind="rmsnorm", size=architecture.hidden_size)
            yield _need(RESIDUAL_SCALAR, scaled, group.layers, ())
        if any(isinstance(m, GqaAttention) and m.qk_norm == "undecided" for m in group.mixers):
            yield Unmapped(
                what="q/k norm",
                reason="nothing read so far says whether q and k are normalised",
            )
    last = architecture.final_norm
    if last is not None and last.kind in _SPECS:
        yield _need(_SPECS[last.kind], last, None, notes)
    elif last is None and architecture.hidden_norm == "rmsnorm":
        kind = "fused_add_rmsnorm" if architecture.adds_residual else "rmsnorm"
        final = Norm(name="final norm", kind=kind, size=architecture.hidden_size)
        yield _need(_SPECS[kind], final, None, notes)
    elif last is None and architecture.hidden_norm == "undecided":
        yield Unmapped(
            what="hidden norms", reason="nothing read so far says that they are RMS norms"
        )


def _need(
    spec: KernelSpec, norm: Norm, layers: tuple[int, ...] | None, notes: tuple[str, ...]
) -> Need:
    return Need(
        spec=spec,
        name=spec.key + "_h{hidden_size}",
        axes={"hidden_size": norm.size},
        used_for=norm.name,
        layers=layers,
        notes=notes,
        evidence=norm.evidence,
    )


def _hidden_norms(
    architecture: Architecture, group: LayerGroup, notes: tuple[str, ...]
) -> Iterator[Need]:
    """The hidden-size norms: before attention and MLP unless the class is known to differ.

    Each adds the residual first, but for the first norm of the model, which has none yet, and for
    the second norm after attention and MLP that some classes have.
    """
    hidden = architecture.hidden_size
    if not architecture.adds_residual:
        yield _need(RMSNORM, _rms("hidden norm without residual", hidden), group.layers, notes)
        return
    plain = group.layers if architecture.sandwich_norms else group.layers[:1]
    if architecture.sandwich_norms or 0 in group.layers:
        yield _need(RMSNORM, _rms("hidden norm without residual", hidden), plain, notes)
    one_part = not group.mixers or group.ffn is None
    fused = tuple(layer for layer in group.layers if layer or not one_part)
    norm = Norm(name="hidden norm with residual", kind="fused_add_rmsnorm", size=hidden)
    if fused:
        yield _need(FUSED_ADD_RMSNORM, norm, fused, notes)


def _inner_norms(group: LayerGroup) -> Iterator[Norm]:
    """The norms inside attention and experts."""
    if isinstance(group.ffn, Moe) and group.ffn.latent_norm and group.ffn.latent is not None:
        yield _rms("norm of the latent experts", group.ffn.latent)
    for mixer in group.mixers:
        yield from _mixer_norms(mixer)


def _mixer_norms(mixer: Mixer) -> Iterator[Norm]:
    match mixer:
        case MlaAttention() as mla:
            yield from _mla_norms(mla)
        case GqaAttention() as gqa:
            yield from _gqa_norms(gqa)
        case Dsv4Attention() as dsv4:
            yield _rms("q_norm", dsv4.q_lora_rank)
            yield _rms("kv_norm, per-head q norm and compressor norm", dsv4.head_dim)
            if dsv4.indexer is not None:
                yield _rms("indexer's compressor norm", dsv4.indexer.head_dim)
        case LightningAttention() as lightning:
            yield from _lightning_norms(lightning)
        case _:
            pass


def _lightning_norms(mixer: LightningAttention) -> Iterator[Norm]:
    if mixer.qk_norm == "per_head":
        yield _rms("q_norm and k_norm", mixer.head_dim)
    if mixer.output_norm == "full":
        yield _rms("o_norm", mixer.heads * mixer.head_dim)


def _mla_norms(mixer: MlaAttention) -> Iterator[Norm]:
    if mixer.q_lora_rank is not None:
        yield _rms("q_a_layernorm", mixer.q_lora_rank)
    yield _rms("kv_a_layernorm", mixer.kv_lora_rank)
    if mixer.indexer is not None and mixer.indexer.k_norm == "rmsnorm":
        yield _rms("indexer k_norm", mixer.indexer.head_dim)


def _gqa_norms(mixer: GqaAttention) -> Iterator[Norm]:
    if mixer.qk_norm == "per_head":
        yield _rms("q_norm and k_norm", mixer.head_dim)
        if mixer.msa is not None:
            yield _rms("index q and k norm", mixer.msa.index_head_dim)
    elif mixer.qk_norm == "full":
        yield _rms("q_norm", mixer.q_heads * mixer.head_dim)
        yield _rms("k_norm", mixer.kv_heads * mixer.head_dim)


def _rms(name: str, size: Dim) -> Norm:
    return Norm(name=name, kind="rmsnorm", size=size)
