"""Which kernels an `Architecture` needs: one file per family, and the registry of them."""

from discover_models.ops.activation import ActivationFamily, OutputGateFamily
from discover_models.ops.base import Family, KernelSpec
from discover_models.ops.causal_conv1d import CausalConv1dFamily
from discover_models.ops.dsa import DsaFamily
from discover_models.ops.dsv4 import Dsv4Family
from discover_models.ops.gated_norm import GatedRmsNormFamily
from discover_models.ops.gdn import GdnFamily
from discover_models.ops.gemm import GemmFamily
from discover_models.ops.gqa import GqaPagedFamily, GqaRaggedFamily
from discover_models.ops.kda import KdaFamily
from discover_models.ops.layernorm import LayerNormFamily
from discover_models.ops.lightning import LightningFamily
from discover_models.ops.mamba import Mamba1Family, MambaSsdFamily, MambaSsuFamily
from discover_models.ops.mla import MlaPagedFamily, MlaRaggedFamily
from discover_models.ops.moe import MoeFamily
from discover_models.ops.moe_routing import MoeRoutingFamily
from discover_models.ops.residual import AttentionResidualFamily, HyperConnectionFamily
from discover_models.ops.rmsnorm import RmsNormFamily
from discover_models.ops.rope import RopeFamily
from discover_models.ops.sampling import SamplingFamily
from discover_models.ops.sparse_blocks import InfllmFamily, MsaFamily

FAMILIES: tuple[Family, ...] = (
    RmsNormFamily(),
    LayerNormFamily(),
    GemmFamily(),
    GqaPagedFamily(),
    GqaRaggedFamily(),
    MsaFamily(),
    InfllmFamily(),
    MlaPagedFamily(),
    MlaRaggedFamily(),
    DsaFamily(),
    Dsv4Family(),
    GdnFamily(),
    KdaFamily(),
    LightningFamily(),
    MambaSsuFamily(),
    MambaSsdFamily(),
    Mamba1Family(),
    CausalConv1dFamily(),
    GatedRmsNormFamily(),
    OutputGateFamily(),
    HyperConnectionFamily(),
    AttentionResidualFamily(),
    ActivationFamily(),
    MoeRoutingFamily(),
    MoeFamily(),
    RopeFamily(),
    SamplingFamily(),
)
SPECS: dict[str, KernelSpec] = {spec.key: spec for family in FAMILIES for spec in family.specs}
