"""Templates of attention."""

from ..template import TraceTemplate

gqa_paged_decode_trace = TraceTemplate(
    op_type="gqa_paged",
    name_prefix="gqa_paged_decode",
    axes=["num_qo_heads", "num_kv_heads", "head_dim", "page_size"],
)

gqa_paged_prefill_trace = TraceTemplate(
    op_type="gqa_paged",
    name_prefix="gqa_paged_prefill",
    axes=["num_qo_heads", "num_kv_heads", "head_dim", "page_size"],
)

gqa_ragged_prefill_trace = TraceTemplate(
    op_type="gqa_ragged",
    name_prefix="gqa_ragged",
    axes=["num_qo_heads", "num_kv_heads", "head_dim"],
)
