"""Which kernels an `Architecture` needs: one file per family, and the registry of them."""

from discover_models.ops.base import Family, KernelSpec
from discover_models.ops.dsa import DsaFamily
from discover_models.ops.gdn import GdnFamily
from discover_models.ops.gemm import GemmFamily
from discover_models.ops.gqa import GqaPagedFamily, GqaRaggedFamily
from discover_models.ops.mamba import MambaSsuFamily
from discover_models.ops.mla import MlaPagedFamily, MlaRaggedFamily
from discover_models.ops.moe import MoeFamily
from discover_models.ops.rmsnorm import RmsNormFamily
from discover_models.ops.rope import RopeFamily
from discover_models.ops.sampling import SamplingFamily

FAMILIES: tuple[Family, ...] = (
    RmsNormFamily(),
    GemmFamily(),
    GqaPagedFamily(),
    GqaRaggedFamily(),
    MlaPagedFamily(),
    MlaRaggedFamily(),
    DsaFamily(),
    GdnFamily(),
    MambaSsuFamily(),
    MoeFamily(),
    RopeFamily(),
    SamplingFamily(),
)
SPECS: dict[str, KernelSpec] = {spec.key: spec for family in FAMILIES for spec in family.specs}
