"""Over how many GPUs a serving configuration splits attention."""

import pytest

from discover_models.domain.kernel import Parallelism


@pytest.mark.parametrize(
    ("served", "split"),
    [
        (Parallelism(tp=8), 8),
        (Parallelism(tp=8, dp=4), 8),
        (Parallelism(tp=8, dp=4, dp_attention=True), 2),
        (Parallelism(tp=8, dp_attention=True), 8),
    ],
)
def test_attention_is_split_less_where_its_data_is_parallel(
    served: Parallelism, split: int
) -> None:
    assert served.attention_tp == split
    assert isinstance(served.attention_tp, int)
