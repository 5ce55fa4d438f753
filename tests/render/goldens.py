"""Bodies that are compared as a whole; run this file to write them anew after a wanted change."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import builders  # noqa: E402 - the folder is only known now when this is run as a script
from discover_models.domain.manifest import Manifest, from_inventory  # noqa: E402 - likewise
from discover_models.render import bodies  # noqa: E402 - likewise
from discover_models.render.bodies import (  # noqa: E402 - likewise
    Dashboard,
    DashboardModel,
    Listed,
    Page,
)
from discover_models.render.united import united  # noqa: E402 - likewise

FOLDER = HERE / "golden"
PAGE = Page(
    origins=builders.ORIGINS,
    today="2026-11-23",
    repository_url="https://github.com/octo/bench",
    state_branch="kernel-inventory",
    run_url="https://github.com/octo/bench/actions/runs/1",
)


def _manifest(**fields: Any) -> Manifest:
    found = builders.sample().model_copy(update={"group": "sample-org/Sample-MoE", **fields})
    return from_inventory(found, date(2026, 11, 23))


def _members() -> tuple[Manifest, ...]:
    kernels = (*builders.sample().kernels[:5], builders.supported("moe_fp4", "moe"))
    quantised = {"model_slug": "sample-moe-fp4", "hf_repo_id": "sample-org/Sample-MoE-FP4"}
    return _manifest(), _manifest(kernels=kernels, **quantised)


def tracking() -> str:
    """The issue of two models, one of which could not be looked at again."""
    return bodies.tracking_body(
        _members(), PAGE, 60_000, deferred={"sample-org/Sample-MoE-FP4": "gated"}
    )


def dashboard() -> str:
    """Two rows, every list, and a source that failed."""
    manifest = united(_members())
    row = DashboardModel(
        slug="sample-moe",
        hf_repo_id="sample-org/Sample-MoE",
        variants=("sample-moe-fp4",),
        counts=bodies.counts(manifest),
        changed="2026-11-23",
        number=12,
    )
    held = row.model_copy(
        update={"slug": "other", "variants": (), "number": None, "remark": "held back"}
    )
    board = Dashboard(
        models=(row, held),
        totals=bodies.totals([manifest]),
        not_refreshed={"flashinfer": "no such revision"},
        not_looked={"sgl-cookbook": "it could not be fetched"},
        tracked=3,
        held_back=(Listed(name="other", reason="at most 10 new issues are opened in 24 hours"),),
        deferred=(Listed(name="sample-org/Closed", reason="gated", detail="set HF_TOKEN"),),
        unresolved=(Listed(name="NewForCausalLM", reason="no repository is certain"),),
        skipped=(Listed(name="NewVisionModel", reason="a vision encoder"),),
        ignored=(Listed(name="acme/private", reason="not ours"),),
    )
    return bodies.dashboard_body(board, PAGE, 60_000)


GOLDENS = {"tracking.md": tracking, "dashboard.md": dashboard}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, render in GOLDENS.items():
        (FOLDER / name).write_text(render(), encoding="utf-8")
