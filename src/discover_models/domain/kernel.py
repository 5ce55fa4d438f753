"""A kernel that a model needs, and what is known of it."""

from typing import Literal

from pydantic import Field

from discover_models.domain.architecture import Unmapped
from discover_models.domain.depth import Depth
from discover_models.domain.dimension import Origin
from discover_models.domain.evidence import Evidence
from discover_models.domain.frozen import Frozen


class Parallelism(Frozen):
    """One serving configuration."""

    tp: int = 1
    ep: int = 1
    dp: int | None = None
    """Data parallel size of attention; counts only with `dp_attention`."""
    dp_attention: bool = False
    source: str = "default"
    """Where the sizes come from: ``default``, ``--tp/--ep`` or a cookbook path."""

    @property
    def attention_tp(self) -> int:
        """Over how many GPUs the heads are split (tp/dp with DP attention)."""
        return self.tp // (self.dp or 1) if self.dp_attention else self.tp


class Axis(Frozen):
    """One constant axis of a definition."""

    value: int
    expression: str
    origins: tuple[Origin, ...] = ()


class RequiredKernel(Frozen):
    """One definition that a model needs."""

    definition_name: str
    op_type: str
    spec: str
    """Key of the kernel in its family, for example ``gqa_paged_decode``."""
    axes: dict[str, Axis]
    parallelism: tuple[Parallelism, ...] = ()
    """The serving configurations that need it; empty when it depends on none."""
    layers: int | None = None
    """How many decoder layers use it; None where that has no meaning."""
    used_for: tuple[str, ...] = ()
    """Which parts of the layer, for example ``qkv_proj``."""
    variant: str = ""
    requires: tuple[str, ...] = ()
    """Members of FlashInfer's enumerations without which its API does not run this definition."""
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class ApiLookup(Frozen):
    """Whether FlashInfer has one public API."""

    api: str
    """Public dotted name, for example ``flashinfer.norm.rmsnorm``."""
    found: bool
    evidence: tuple[Evidence, ...]
    """Definition and re-exports, or what was searched."""
    trace_template: bool | None = None
    """`trace=` on that very API; None when it was not found."""
    trace: str = ""
    """The template expressions as the decorator names them."""
    tests: tuple[Evidence, ...] = ()
    """Tests in FlashInfer that use it."""


class CallLookup(Frozen):
    """Whether SGLang imports and uses one FlashInfer API."""

    api: str
    used: bool
    evidence: tuple[Evidence, ...]
    notes: tuple[str, ...] = ()
    """Conditions, for example of a forwarding wrapper."""


FiStatus = Literal["fi_supported", "fi_missing"]
SglStatus = Literal["sgl_integrated", "sgl_missing", "n/a"]
Phase1Status = Literal["existing", "new"]


class Lack(Frozen):
    """What FlashInfer lacks where a definition is `fi_missing`: what a request asks for."""

    request: str
    """Stable key: equal for definitions that one piece of work in FlashInfer would bring."""
    kernel: str
    """For people: what the kernel is."""
    limit: str = ""
    """For people: what alone is missing of a kernel that is there, ``head size``; else empty."""
    data_type: str = ""
    apis: tuple[str, ...] = ()
    """Public names that were looked for."""
    near: tuple[str, ...] = ()
    """For people: what FlashInfer has of it, ``scores: flashinfer.fp8_paged_mqa_logits``."""
    read_at: str = ""
    """The release whose sources a person read for it; empty where its APIs are known."""
    unread: str = ""
    """Why a person should look before FlashInfer is asked; empty where that was done."""


class ClassifiedKernel(Frozen):
    """A required kernel with its verdicts.

    A verdict that is None is undecided (or does not apply); `notes` says why.
    """

    required: RequiredKernel
    phase1_status: Phase1Status
    source: Literal["formula", "dataset_tag"] = "formula"
    matched_name: str = ""
    """The name in the dataset that matched, where it exists."""
    workloads: bool | None = None
    """Whether the dataset has workloads for it; None for new ones."""
    fi_status: FiStatus | None = None
    fi_lack: Lack | None = None
    """Set where `fi_status` is ``fi_missing``, but for a kernel that another one replaces."""
    fi_trace_template: bool | None = None
    sgl_status: SglStatus | None = None
    evidence: tuple[Evidence, ...] = ()
    tests: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()
    depth: Depth | None = None
    """What stands beside the verdicts; None for existing definitions."""


class Inventory(Frozen):
    """Everything that one run says of one model."""

    model_slug: str
    hf_repo_id: str
    revision: str | None
    """Commit of the configuration; None when it came from a local folder."""
    summary: str
    """For people: ``94 layers, GQA + MoE``."""
    repo_shas: dict[str, str]
    """Full commit ids by source name (``sglang``, ``flashinfer``, ``sgl_cookbook``, …)."""
    kernels: tuple[ClassifiedKernel, ...]
    parallelism: tuple[Parallelism, ...]
    """The serving configurations that SGLang takes; notes name those that it refuses."""
    group: str = ""
    """Repository seen first among those with the same kernels apart from quantisation."""
    variants: tuple[str, ...] = ()
    """The other repositories of the group, in the order seen."""
    unmapped: tuple[Unmapped, ...] = ()
    notes: tuple[str, ...] = ()
    source_errors: dict[str, str] = Field(default_factory=dict)
    """What could not be read, by source name."""
    implementation: Evidence | None = None
    """Where SGLang defines the model's class."""


OF_THE_MODEL = frozenset({"gated", "not_found", "no_configuration", "malformed"})
"""Reasons for having no inventory that a look at the model's repository gave."""


class Deferred(Frozen):
    """A model that gave no inventory in this run."""

    model_slug: str
    hf_repo_id: str
    reason: str
    """Stable word: ``gated``, ``not_found``, ``rate_limited``, ``network``, ``malformed``, …"""
    message: str
    skipped: bool = False
    """True when another run can't change it (not a language model)."""

    @property
    def of_the_model(self) -> bool:
        """Whether the reason lies in the model; else it is only that nobody could look."""
        return self.skipped or self.reason in OF_THE_MODEL
