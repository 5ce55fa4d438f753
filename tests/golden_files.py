"""The expectations in tests/golden and the configurations in tests/configs."""

import json
from pathlib import Path
from typing import Any

import yaml

from discover_models.domain.kernel import Parallelism
from discover_models.one_model import architecture_of
from discover_models.requirements import Requirements, requirements
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import read_local

HERE = Path(__file__).parent
CONFIGS = HERE / "configs"
GOLDEN = {
    golden["model"]: golden
    for golden in (yaml.safe_load(file.read_text()) for file in sorted(HERE.glob("golden/*.yaml")))
    if "model" in golden and (CONFIGS / golden["model"]).is_dir()
}
"""By repository id; without the one whose configuration is too large to keep here."""


def rows(golden: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The definitions that formulas must yield, by name.

    Those under ``further`` are of kernels that the dataset has no definition of yet.
    """
    listed = (*golden["rows"], *golden.get("further", ()))
    return {row["name"]: row for row in listed if row.get("source") != "dataset_tag"}


def sizes(tp: list[int], ep: list[int]) -> tuple[Parallelism, ...]:
    return tuple(Parallelism(tp=t, ep=e, source="--tp/--ep") for t in tp for e in ep)


def required(repo_id: str, tp: list[int], ep: list[int]) -> Requirements:
    """What the program derives from the configuration alone, without any repository."""
    file = read_local(CONFIGS, repo_id)
    assert file is not None
    return requirements(architecture_of(file, (ConfigDefaults.load(),)), sizes(tp, ep))


def config(repo_id: str) -> dict[str, Any]:
    return json.loads((CONFIGS / repo_id / "config.json").read_text())
