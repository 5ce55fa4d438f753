"""Real git repositories for tests, with dates that the test chooses."""

import os
import subprocess
from pathlib import Path


def git(folder: Path, *args: str, date: str = "2026-01-01T12:00:00Z") -> str:
    """Run git the way a developer would, away from the machine's own settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {
            f"GIT_{who}_NAME": "someone",
            f"GIT_{who}_EMAIL": "someone@example.invalid",
            f"GIT_{who}_DATE": date,
        }
    done = subprocess.run(
        ["git", "-C", str(folder), *args], check=True, env=env, capture_output=True, text=True
    )
    return done.stdout.strip()


class Remote:
    """A repository that is cloned from over file://."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")
        git(folder, "config", "uploadpack.allowFilter", "true")
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def write(self, files: dict[str, str | None]) -> None:
        """Write files; None removes one."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")

    def commit(self, date: str, files: dict[str, str | None], message: str = "a change") -> str:
        """Commit files at a date; the full commit id."""
        self.write(files)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "--allow-empty", "-m", message, date=date)
        return git(self.folder, "rev-parse", "HEAD")
