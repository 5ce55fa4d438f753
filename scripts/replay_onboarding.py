"""Run the checklist over a host project's own onboarding pull requests, rebuilt from its history.

    python scripts/replay_onboarding.py MIRROR WORKSPACE [--configs C] [--out FOLDER] [--most N]

MIRROR is a git directory of flashinfer-bench, in which a pull request is one commit on the main
branch whose subject ends in ``(#N)`` and whose text is the pull request's. WORKSPACE gives SGLang,
FlashInfer and the cookbook; the dataset is what the repository held before each change. Nothing is
asked of a network. Each comment is written to FOLDER/N.md, and one line about it is printed.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from discover_models.onboarding.change import COVERAGE_PATH, Change, ChangedFile
from discover_models.onboarding.checklist import Checked
from discover_models.onboarding.run import Wishes, check
from discover_models.render.onboarding import onboarding_body
from discover_models.settings import RunOptions

STATUSES = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "T": "changed"}
DATASET = "flashinfer_trace"
"""Where the repository kept the dataset's definitions until they moved out."""
LIMIT = 65_000
_NUMBER = re.compile(r"\(#(\d+)\)$")


@dataclass(frozen=True)
class Mirror:
    """The git directory that is read."""

    folder: Path

    def bytes(self, *arguments: str) -> bytes:
        command = ["git", "--git-dir", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, timeout=120).stdout

    def text(self, *arguments: str) -> str:
        return self.bytes(*arguments).decode("utf-8", "replace")

    def file(self, commit: str, path: str) -> str:
        """Empty when it is not there."""
        found = self.bytes("ls-tree", commit, "--", path)
        return self.text("show", f"{commit}:{path}") if found else ""


def commits(mirror: Mirror) -> list[str]:
    """The commits that touched the coverage document or definitions, oldest first.

    The one that brought the definitions in is left out: there was no dataset before it.
    """
    paths = [COVERAGE_PATH, f":(glob){DATASET}/definitions/**"]
    found = mirror.text("log", "--first-parent", "--reverse", "--format=%H", "--", *paths).split()
    return [commit for commit in found if mirror.bytes("ls-tree", f"{commit}^", "--", DATASET)]


def change_of(mirror: Mirror, commit: str) -> Change:
    """The pull request that a commit was."""
    subject, _, body = mirror.text("log", "-1", "--format=%B", commit).partition("\n")
    number = _NUMBER.search(subject.strip())
    files = tuple(_files(mirror, commit))
    return Change(
        number=int(number[1]) if number else 0,
        body=body,
        files=files,
        before=mirror.file(f"{commit}^", COVERAGE_PATH),
        after=mirror.file(commit, COVERAGE_PATH),
        definitions={f.path: mirror.file(commit, f.path) for f in files if f.definition},
    )


def _files(mirror: Mirror, commit: str) -> Iterator[ChangedFile]:
    listed = mirror.text("diff", "--name-status", "-M", "-z", f"{commit}^", commit).split("\0")
    parts = iter(listed[:-1])
    for status in parts:
        previous = next(parts) if status[0] in "RC" else ""
        path = next(parts)
        yield ChangedFile(
            path=path, status=STATUSES.get(status[0], "changed"), previous_path=previous
        )


@contextmanager
def workspace_before(mirror: Mirror, commit: str, workspace: Path) -> Generator[Path]:
    """A workspace with the dataset as the repository held it before a commit."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("sglang", "flashinfer", "sgl-cookbook"):
            (root / name).symlink_to(workspace / name)
        dataset = root / "flashinfer-trace"
        dataset.mkdir()
        archive = mirror.bytes("archive", f"{commit}^", f"{DATASET}/definitions")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(root / "held", filter="data")
        (root / "held" / DATASET / "definitions").rename(dataset / "definitions")
        git = ["git", "-C", str(dataset), "-c", "user.name=replay", "-c", "user.email=replay@host"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Before"]):
            subprocess.run([*git, *arguments], check=True, timeout=60)
        yield root


def replay(
    mirror: Mirror, commit: str, workspace: Path, configs: Path
) -> tuple[Change, Checked | None]:
    """A pull request and what the checklist says of it."""
    change = change_of(mirror, commit)
    with workspace_before(mirror, commit, workspace) as root:
        options = RunOptions(workspace=root, configs=configs, offline=True)
        return change, check(change, Wishes({}, {}), options, lambda _: None)


def line(change: Change, checked: Checked | None) -> str:
    """One line about a pull request."""
    if checked is None:
        return f"#{change.number}: claims nothing"
    rows = checked.checklist.rows
    said = Counter(f"{c.key} {c.verdict}" for r in rows for c in r.of("wrong", "unknown"))
    counted = ", ".join(f"{key} ×{count}" for key, count in said.items()) or "all agree"
    others = len(checked.checklist.other_files)
    return f"#{change.number}: {len(rows)} claimed: {counted}; {others} other files"


def main() -> None:
    """Replay all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mirror", type=Path)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--configs", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--most", type=int, default=1000)
    given = parser.parse_args()
    mirror = Mirror(given.mirror)
    for commit in commits(mirror)[-given.most :]:
        configs = given.configs or given.workspace / "hub"
        change, checked = replay(mirror, commit, given.workspace.resolve(), configs)
        print(line(change, checked), flush=True)
        if given.out and checked is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            file = given.out / f"{change.number}.md"
            file.write_text(onboarding_body(checked, LIMIT), encoding="utf-8")


if __name__ == "__main__":
    main()
