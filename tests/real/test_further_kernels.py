"""FlashInfer's part in the kernels beside the dataset's families, against what was read by hand."""

import os
from pathlib import Path

import pytest

from discover_models.classify import Sources, classify
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.flashinfer import FlashInferIndex
from discover_models.sources.sglang import SglangIndex
from golden_files import GOLDEN, required, rows

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def sources() -> Sources:
    path = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not path:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    workspace = Path(path)
    return Sources(
        dataset=DatasetIndex.open(workspace / "flashinfer-trace", None),
        flashinfer=FlashInferIndex.open(workspace / "flashinfer", None),
        sglang=SglangIndex.open(workspace / "sglang", None),
    )


@pytest.mark.parametrize("model", [m for m in sorted(GOLDEN) if "further" in GOLDEN[m]])
def test_support_and_template_of_every_further_row(model: str, sources: Sources) -> None:
    golden = GOLDEN[model]
    read = {row["name"]: row for row in golden["further"]}
    assert read.keys() <= rows(golden).keys()
    for kernel in required(model, golden["tp"], golden["ep"]).kernels:
        row = read.get(kernel.definition_name)
        if row is None:
            continue
        found = classify(kernel, sources)
        supported = row["fi_api"].startswith("flashinfer.")
        assert found.phase1_status == "new", row["name"]
        assert found.fi_status == ("fi_supported" if supported else "fi_missing"), row["name"]
        assert bool(found.fi_trace_template) == row["fi_trace"], row["name"]
        assert found.evidence, row["name"]
