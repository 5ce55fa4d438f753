"""Write the manifest's JSON Schema into docs/; a test holds the two together."""

import json
from pathlib import Path

from discover_models.domain.manifest import json_schema

TARGET = Path(__file__).parents[1] / "docs" / "manifest.schema.json"


def render() -> str:
    """The published file's text."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
