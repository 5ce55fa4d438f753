import os
from pathlib import Path

import pytest

from discover_models.errors import SourceError
from discover_models.sources.files import read_text, walk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".git/x.py").write_text("no")
    (root / "a/one.py").write_text("ü\n", encoding="utf-8")
    (root / "a/b/two.py").write_text("2")
    (root / "a/b/three.txt").write_text("3")
    (tmp_path / "secret.py").write_text("secret")
    (root / "a/out.py").symlink_to(tmp_path / "secret.py")
    (root / "a/in.py").symlink_to("one.py")
    (root / "up").symlink_to(tmp_path)
    (root / "loop").symlink_to(root)
    (root / "a/self.py").symlink_to("self.py")
    return root


def test_text_is_read(root: Path) -> None:
    assert read_text(root, "a/one.py") == "ü\n"
    assert read_text(root, "a/in.py") == "ü\n"
    (root / "marked.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    assert read_text(root, "marked.py") == "x = 1\n"


@pytest.mark.parametrize(
    "path", ["a/out.py", "up/secret.py", "../secret.py", "/etc/passwd", "a/../../secret.py"]
)
def test_nothing_outside_is_read(root: Path, path: str) -> None:
    with pytest.raises(SourceError):
        read_text(root, path)


@pytest.mark.parametrize("path", ["gone.py", "a", "", "a\0b", "a/self.py", "a/one.py/x"])
def test_what_can_not_be_read_is_a_source_error(root: Path, path: str) -> None:
    with pytest.raises(SourceError):
        read_text(root, path)


def test_a_pipe_does_not_hang(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(SourceError, match="no regular file"):
        read_text(root, "pipe")


def test_size_and_encoding_are_checked(root: Path) -> None:
    (root / "big").write_bytes(b"x" * 11)
    assert read_text(root, "big", limit=11) == "x" * 11
    with pytest.raises(SourceError, match="more than 10 bytes"):
        read_text(root, "big", limit=10)
    (root / "latin").write_bytes(b"\xff")
    with pytest.raises(SourceError, match="UTF-8"):
        read_text(root, "latin")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a/*.py", ["a/in.py", "a/one.py"]),
        ("**/*.py", ["a/b/two.py", "a/in.py", "a/one.py"]),
        ("a/*/*.txt", ["a/b/three.txt"]),
        ("gone/*.py", []),
        ("a/one.py/*", []),
        ("up/*.py", []),
        ("../*.py", []),
    ],
)
def test_walk_stays_inside(root: Path, pattern: str, found: list[str]) -> None:
    assert list(walk(root, pattern)) == found
