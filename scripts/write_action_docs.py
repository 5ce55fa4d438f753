"""Write what docs/ says of action.yml, the workflows and the configuration file.

A test holds them together; `uv run python scripts/write_action_docs.py` brings them up to date.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from discover_models.bot_config import json_schema

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "docs" / "discover-models.schema.json"
PAGE = ROOT / "docs" / "action.md"


def schema_text() -> str:
    """The published schema of the configuration file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def page_text(page: str) -> str:
    """The page with its tables written anew; what is around them stays."""
    action = _yaml(ROOT / "action.yml")
    tables = {
        "inputs": _inputs(action["inputs"]),
        "outputs": _outputs(action["outputs"]),
        "configuration": _configuration(json_schema()),
        "permissions": _permissions(),
    }
    for name, table in tables.items():
        pattern = rf"(<!-- {name}: .*? -->\n)(?:.*?)(<!-- end of {name} -->)"
        page, found = re.subn(
            pattern, lambda m, table=table: f"{m[1]}{table}{m[2]}", page, count=1, flags=re.DOTALL
        )
        if found != 1:
            raise ValueError(f"docs/action.md has no place for the table of {name}")
    return page


def _yaml(file: Path) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return value


def _table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(c) for c in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _inputs(inputs: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for name, item in inputs.items():
            default = f"`{item['default']}`" if item["default"] else "(empty)"
            yield f"`{name}`", default, item["description"]

    return _table(["Input", "Default", "What it does and when to set it"], rows())


def _outputs(outputs: Mapping[str, Any]) -> str:
    rows = ((f"`{name}`", item["description"]) for name, item in outputs.items())
    return _table(["Output", "What it is and when it exists"], rows)


def _configuration(schema: Mapping[str, Any]) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for name, item in schema["properties"].items():
            default = json.dumps(item["default"]) if "default" in item else "{}"
            yield f"`{name}`", f"`{default}`", item["description"]

    return _table(["Setting", "Default", "What it is"], rows())


def _permissions() -> str:
    def rows() -> Iterator[Sequence[str]]:
        for file in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
            for item in _yaml(file)["jobs"].values():
                rights = (f"`{k}: {v}`" for k, v in item["permissions"].items())
                yield f"`{file.name}`", item["name"], ", ".join(rights)

    return _table(["Workflow", "Job", "Permissions of its token"], rows())


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), "utf-8")
    PAGE.write_text(page_text(PAGE.read_text("utf-8")), "utf-8")
