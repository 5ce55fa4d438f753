"""Cut GitHub's OpenAPI description down to the operations that the bot may use.

    npm pack @octokit/openapi@23.0.2 && tar -xzf octokit-openapi-23.0.2.tgz
    python scripts/slim_openapi.py package/generated/api.github.com.json

writes tests/emulator/openapi_slim.json: the paths below, every component they refer to, and no
descriptions or examples. The package is MIT-licensed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

OPERATIONS = {
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/issues": ("get", "post"),
    "/repos/{owner}/{repo}/issues/{issue_number}": ("get", "patch"),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/issues/{issue_number}/lock": ("put", "delete"),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("get", "patch", "delete"),
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ("get",),
    "/repos/{owner}/{repo}/pulls": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/files": ("get",),
    "/repos/{owner}/{repo}/compare/{basehead}": ("get",),
    "/repos/{owner}/{repo}/contents/{path}": ("get",),
    "/rate_limit": ("get",),
    "/user": ("get",),
}
PROSE = ("description", "example", "examples", "externalDocs", "x-github", "summary", "tags")
TARGET = Path(__file__).parents[1] / "tests" / "emulator" / "openapi_slim.json"


def main() -> None:
    """Write the slim description of the file named on the command line."""
    full = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    paths = {
        path: {
            key: value
            for key, value in full["paths"][path].items()
            if key in methods or key == "parameters"
        }
        for path, methods in OPERATIONS.items()
    }
    components: dict[str, dict[str, Any]] = {}
    pending = [paths]
    while pending:
        for group, name in _references(pending.pop()):
            if name not in components.setdefault(group, {}):
                components[group][name] = full["components"][group][name]
                pending.append(components[group][name])
    slim = {
        "openapi": full["openapi"],
        "info": {"title": full["info"]["title"], "version": full["info"]["version"]},
        "paths": paths,
        "components": components,
    }
    text = json.dumps(_without_prose(slim), separators=(",", ":"), sort_keys=True)
    TARGET.write_text(text + "\n", encoding="utf-8")


def _references(value: Any) -> set[tuple[str, str]]:
    if isinstance(value, list):
        return {r for v in cast("list[Any]", value) for r in _references(v)}
    if not isinstance(value, dict):
        return set()
    fields = cast("dict[str, Any]", value)
    found = {r for v in fields.values() for r in _references(v)}
    reference = fields.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/components/"):
        group, name = reference.split("/")[2:]
        found.add((group, name))
    return found


def _without_prose(value: Any, *, names: bool = False) -> Any:
    """The value without texts for people; `names`: its keys are names of fields, all kept."""
    if isinstance(value, list):
        return [_without_prose(v) for v in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    return {
        k: _without_prose(v, names=k == "properties" and not names)
        for k, v in cast("dict[str, Any]", value).items()
        if names or k not in PROSE
    }


if __name__ == "__main__":
    main()
