"""Write docs/reference.md: every option of the command line and every field of the manifest.

A test holds it to the code; `uv run python scripts/write_reference.py` brings it up to date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import typer.main

from discover_models import cli
from discover_models.domain.manifest import json_schema

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
HEAD = """# Reference

Written from the code by `scripts/write_reference.py`; a test keeps the two together. The action's
inputs, outputs and configuration file are in [its own tables](action.md), written likewise. What
options mean together is in [usage](usage.md), what the manifest promises in
[its page](manifest.md).
"""
VARIABLES = """
## Environment

| Variable | Meaning |
| --- | --- |
| `HF_TOKEN` | Token for the Hugging Face Hub; without it requests are anonymous. |
| `HF_ENDPOINT` | Another Hub, for example a mirror. |
| `DISCOVER_MODELS_CACHE` | The default of `--cache-dir`. |
| `XDG_CACHE_HOME` | Where the user's caches are; `~/.cache` without it. |
| `GITHUB_TOKEN` | The token of `publish`. |
| `GITHUB_API_URL`, `GITHUB_SERVER_URL` | Where `publish` goes, other than github.com. |
| `NO_COLOR` | Heeded by never colouring anything: the output is plain text whatever it is set to. |
"""
CODES = {
    "0": "done",
    str(cli.EXIT_FAILED): "a single model or a source failed; `audit` found mistakes",
    str(cli.EXIT_USAGE): "wrong usage: one sentence says what",
    str(cli.EXIT_SOME_FAILED): "some of several models failed, and `--strict` is set",
    str(cli.EXIT_BUG): "a bug, with its trace",
    str(cli.EXIT_INTERRUPTED): "interrupted (Ctrl-C)",
}


def page_text() -> str:
    """The whole page."""
    codes = _table(("Code", "Meaning"), CODES.items())
    return "".join((HEAD, *_commands(), VARIABLES, "\n## Exit codes\n\n", codes, *_manifest()))


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(cli.app)
    yield _command("discover-models", group)
    for name, command in sorted(group.commands.items()):
        yield _command(f"discover-models {name}", command)


def _command(title: str, command: Any) -> str:
    shown = [p for p in command.params if not getattr(p, "hidden", False)]
    rows = ((_name(p), _help(p), _default(p)) for p in shown)
    return f"\n## `{title}`\n\n{command.help}\n\n{_table(('Option', 'Meaning', 'Default'), rows)}"


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    value = "" if parameter.is_flag else f" {parameter.metavar}".replace("|", "\\|")
    return ", ".join(f"`{name}{value}`" for name in parameter.opts)


def _help(parameter: Any) -> str:
    text = " ".join((parameter.help or "").split())
    return f"{text} Needed." if parameter.required else text


def _default(parameter: Any) -> str:
    value = parameter.default
    empty = parameter.required or value in (None, "", (), False) or callable(value)
    return "" if empty else f"`{value}`"


def _manifest() -> Iterator[str]:
    schema = json_schema()
    yield "\n## The manifest\n\n[The schema](manifest.schema.json) has the same fields.\n"
    yield _object("The file", schema)
    for name, found in sorted(schema["$defs"].items()):
        if "properties" in found:
            yield _object(name, found)


def _object(title: str, schema: Mapping[str, Any]) -> str:
    needed = set(schema.get("required", ()))
    rows = (
        (f"`{name}`", _type(field), "yes" if name in needed else "", field.get("description", ""))
        for name, field in schema["properties"].items()
    )
    about = " ".join(schema.get("description", "").split())
    return (
        f"\n### {title}\n\n{about}\n\n{_table(('Field', 'Type', 'Always there', 'Meaning'), rows)}"
    )


def _type(field: Mapping[str, Any]) -> str:
    """The JSON type in words."""
    if "$ref" in field:
        return f"[{(name := field['$ref'].rpartition('/')[2])}](#{name.lower()})"
    if "anyOf" in field:
        kinds = [_type(kind) for kind in field["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(cast('Mapping[str, Any]', field.get('items', {})))}"
    return str(field.get("type", "any"))


def _table(head: Sequence[str], rows: Any) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page_text(), "utf-8")
