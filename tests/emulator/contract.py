"""Checks every exchange between the bot and GitHub's API against GitHub's own description of it.

The description is openapi_slim.json, cut by scripts/slim_openapi.py: an operation that is not in it
is a problem too, so the bot can't start using one unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import jsonschema_rs

GRAPHQL = "/graphql"
"""Another API, which the description is not of."""
UNDESCRIBED = frozenset({304, 401, 403, 404, 410, 422, 429, *range(500, 600)})
"""Statuses that GitHub sends everywhere but describes only in some places."""
MISSING_IN_EMULATOR = {"repos/get": ("network_count", "subscribers_count")}
"""Required fields of GitHub's answers that the emulator doesn't send."""

_VALIDATORS: dict[str, jsonschema_rs.Draft202012Validator] = {}
_LOOSE = ("path", "ref", "basehead")


def problems(
    method: str,
    url: str,
    request: bytes | str | None,
    status: int,
    response: bytes,
    *,
    errors: bool = False,
) -> list[str]:
    """What is wrong with one exchange, in words; `url` is the full one.

    `errors`: whether the bodies of error answers are looked at too.
    """
    parts = urlsplit(url)
    if parts.path == GRAPHQL:
        return []
    operation = _operation(method.lower(), parts.path)
    where = f"{method} {parts.path}"
    if operation is None:
        return [f"{where}: no such operation in openapi_slim.json"]
    found = _query_problems(operation, parse_qs(parts.query))
    found += _request_problems(operation, request)
    found += _response_problems(operation, status, response, errors)
    return [f"{where}: {problem}" for problem in found]


@cache
def _description() -> dict[str, Any]:
    path = Path(__file__).with_name("openapi_slim.json")
    return cast("dict[str, Any]", _json_schema(json.loads(path.read_text(encoding="utf-8"))))


@cache
def _routes() -> tuple[tuple[re.Pattern[str], dict[str, Any]], ...]:
    """Path patterns, the most specific first."""
    paths: dict[str, dict[str, Any]] = _description()["paths"]
    ordered = sorted(paths, key=lambda path: (path.count("{"), -len(path)))
    return tuple((_pattern(path), paths[path]) for path in ordered)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{([^}]+)\}", path)
    text = "".join(
        (".+" if part in _LOOSE else "[^/]+") if n % 2 else re.escape(part)
        for n, part in enumerate(parts)
    )
    return re.compile(text)


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, operations in _routes():
        if pattern.fullmatch(path) and method in operations:
            return cast("dict[str, Any]", operations[method])
    return None


def _query_problems(operation: dict[str, Any], query: Mapping[str, list[str]]) -> list[str]:
    described = {p["name"]: p["schema"] for p in _parameters(operation) if p["in"] == "query"}
    found: list[str] = []
    for name, values in query.items():
        if name not in described:
            found.append(f"unknown query parameter {name!r}")
        elif not _valid(described[name], _typed(described[name], values[0])):
            found.append(f"query parameter {name}={values[0]!r} is not allowed")
    return found


def _parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [_resolved(p) for p in operation.get("parameters", [])]


def _typed(schema: dict[str, Any], value: str) -> Any:
    integer = schema.get("type") == "integer" and value.lstrip("-").isdigit()
    return int(value) if integer else value


def _request_problems(operation: dict[str, Any], request: bytes | str | None) -> list[str]:
    described = operation.get("requestBody")
    if not request:
        return ["a body is required"] if described and described.get("required") else []
    if not described:
        return ["a body is not expected"]
    schema = described["content"]["application/json"]["schema"]
    value = json.loads(request)
    unknown = sorted(set(value) - set(schema.get("properties", value)))
    found = [f"unknown field {name!r} in the request" for name in unknown]
    return found + _schema_problems("request", f"{operation['operationId']}", schema, value)


def _response_problems(
    operation: dict[str, Any], status: int, response: bytes, errors: bool
) -> list[str]:
    described = operation["responses"].get(str(status))
    if described is None:
        return [] if status in UNDESCRIBED else [f"status {status} is not described"]
    if status >= 400 and not errors:
        return []
    content = _resolved(described).get("content", {}).get("application/json")
    if content is None:
        return [f"status {status} has no body"] if response.strip() else []
    try:
        value = json.loads(response)
    except ValueError:
        return ["the answer is not JSON"]
    name = operation["operationId"]
    if isinstance(value, dict):
        lacking = dict.fromkeys(MISSING_IN_EMULATOR.get(name, ()), 0)
        value = {**lacking, **cast("dict[str, Any]", value)}
    return _schema_problems("response", f"{name} {status}", content["schema"], value)


def _schema_problems(what: str, name: str, schema: dict[str, Any], value: Any) -> list[str]:
    return [
        f"{what}: {'/'.join(map(str, error.instance_path)) or 'body'}: {error.message[:300]}"
        for error in _validator(f"{what} {name}", schema).iter_errors(value)
    ]


def _validator(name: str, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """The schema's validator, made once; `name` tells schemas apart."""
    if name not in _VALIDATORS:
        whole = {**schema, "components": _description()["components"]}
        _VALIDATORS[name] = jsonschema_rs.Draft202012Validator(whole)
    return _VALIDATORS[name]


def _valid(schema: dict[str, Any], value: Any) -> bool:
    return _validator(f"query {json.dumps(schema, sort_keys=True)}", schema).is_valid(value)


def _resolved(value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    group, name = value["$ref"].split("/")[2:]
    return cast("dict[str, Any]", _description()["components"][group][name])


def _json_schema(value: Any) -> Any:
    """OpenAPI 3.0's schemas as JSON Schema: `nullable` becomes one more type."""
    if isinstance(value, list):
        return [_json_schema(v) for v in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    fields = {k: _json_schema(v) for k, v in cast("dict[str, Any]", value).items()}
    if fields.get("nullable") is not True:
        return fields
    del fields["nullable"]
    if isinstance(fields.get("type"), str):
        fields["type"] = [fields["type"], "null"]
        if "enum" in fields:
            fields["enum"] = [*fields["enum"], None]
        return fields
    return {"anyOf": [fields, {"type": "null"}]}
