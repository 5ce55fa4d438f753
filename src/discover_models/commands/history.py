"""``discover-models history``: what became of one definition, from the state branch."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from contextlib import suppress

from discover_models import outputs
from discover_models.domain.manifest import Manifest
from discover_models.errors import ManifestError, UsageError
from discover_models.history import history
from discover_models.manifests import parse
from discover_models.render.history import render_history
from discover_models.settings import ListFormat
from discover_models.sources.state_history import Version, versions


def show_history(definition_name: str, place: str, branch: str, format: ListFormat) -> None:
    """Print the events of a definition, oldest first.

    Raises:
        UsageError: there is no such branch, or the definition is in no version of a manifest.
        SourceError: the branch can't be read.
    """
    kept = versions(place, branch)
    parsed = (_parsed(version, definition_name) for version in kept)
    events = history(definition_name, (version for version in parsed if version))
    if not events:
        raise UsageError(
            f"no manifest of the branch {branch!r} has ever named {definition_name!r}"
            + _nearest(definition_name, kept)
        )
    if format == "json":
        found = [event.model_dump(mode="json") for event in events]
        outputs.put(json.dumps(found, indent=2, ensure_ascii=False) + "\n", None)
    else:
        outputs.put(render_history(definition_name, events), None)


def _nearest(name: str, kept: Iterable[Version]) -> str:
    """Names like this one in the manifests as they are now; empty when there is none."""
    newest = {version.path: version for version in kept}
    known: set[str] = set()
    for version in newest.values():
        with suppress(ManifestError):
            manifest = parse(version.data or b"", version.path)
            known.update(kernel.definition_name for kernel in manifest.kernels)
    close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.7)
    return f"; the nearest are {', '.join(close)}" if close else ""


def _parsed(version: Version, name: str) -> tuple[str, str, Manifest | None] | None:
    """None for a file that can't be used: whoever broke it said nothing about the definition.

    A file that doesn't name the definition is not read any further.
    """
    data = version.data
    if data is None or json.dumps(name, ensure_ascii=False).encode() not in data:
        return version.day, version.path, None
    try:
        return version.day, version.path, parse(data, version.path)
    except ManifestError:
        return None
