"""The command in comments, and what is no such command."""

import pytest

from discover_models.onboarding.command import Command, parse_command


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ("/discover-models qwen3-8b", Command(slug="qwen3-8b")),
        ("/discover-models  qwen3-8b \r\nThanks!", Command(slug="qwen3-8b")),
        ("/discover-models q Qwen/Qwen3-8B", Command(slug="q", hf_repo_id="Qwen/Qwen3-8B")),
        ("/discover-models Qwen/Qwen3-8B", Command(hf_repo_id="Qwen/Qwen3-8B")),
    ],
)
def test_commands(body: str, command: Command) -> None:
    assert parse_command(body) == command


@pytest.mark.parametrize(
    "body",
    [
        "",
        "please /discover-models x",
        "\n/discover-models x",
        "/discover-modelsx y",
        "> /discover-models x",
    ],
)
def test_anything_else_is_none(body: str) -> None:
    assert parse_command(body) is None


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "a b/c d",
        "../../etc/passwd",
        "$(id)",
        "`id`",
        "a;id",
        "--version",
        "-a b/c",
        "Qwen3",
        "a b",
        "a ../x",
        "a b/c/../d",
        "x\x00y",
        "{{7*7}}",
        "a/b\u2028::error::x",
        "a" * 300,
    ],
)
def test_arguments_that_could_be_anything_else_are_refused(arguments: str) -> None:
    command = parse_command(f"/discover-models {arguments}")
    assert command is not None
    assert command.problem
    assert (command.slug, command.hf_repo_id) == ("", "")
