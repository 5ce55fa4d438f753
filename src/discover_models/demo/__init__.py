"""A small synthetic workspace for `--demo`: no network, no token, nothing of real projects."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent
CONFIGS = ROOT / "configs"
"""``ORG/MODEL/config.json`` of the demonstration's models."""
MODELS = ("demo-org/Demo-8B", "demo-org/Demo-MoE-16B")
NOTICE = (
    "Demonstration: the models and the sources below are synthetic, written by hand for this "
    "program; nothing here says anything of the real projects."
)
REPOSITORIES = ("sglang", "flashinfer", "sgl-cookbook", "flashinfer-trace")

_DAY = "2026-01-01T00:00:00Z"
_GIT_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_NAME": "Demonstration" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "demo@localhost" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_DATE": _DAY for who in ("AUTHOR", "COMMITTER")},
}
"""Nothing of the user's own settings, so that commit ids are the same everywhere."""


def prepare(folder: Path) -> Path:
    """Lay out the workspace in an empty folder, each repository with one commit; the folder."""
    for name in REPOSITORIES:
        target = folder / name
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / "workspace" / name, target, ignore=ignored)
        for arguments in (
            ("init", "-q", "--template=", "--initial-branch=main"),
            ("-c", "core.autocrlf=false", "-c", "core.fileMode=false", "add", "--all", "--force"),
            ("commit", "-q", "-m", "Synthetic miniature for a demonstration"),
        ):
            subprocess.run(
                ("git", *arguments), cwd=target, check=True, env=_environment(), timeout=60
            )
    return folder


def _environment() -> dict[str, str]:
    """The environment without what could lead git to another repository."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return kept | _GIT_ENVIRONMENT
