"""A sweep as the workflow does it: each share by itself, then one folder of all manifests."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from discover_models.commands.merge import merge_folders
from discover_models.outputs import write_manifests
from discover_models.pipeline import run
from discover_models.settings import RunOptions
from discover_models.sharding import Shard

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def sweep(options: RunOptions, folder: Path, count: int) -> dict[str, bytes]:
    """The merged manifests by file name."""
    parts = [folder / str(number) for number in range(1, count + 1)]
    for number, part in enumerate(parts, 1):
        part.mkdir(parents=True)
        one = replace(options, shard=Shard(number, count), manifest_dir=part)
        _, failed, _ = write_manifests(run(one, lambda _: None).inventories, one, NOW)
        assert failed == ()
    merge_folders(parts[::-1], folder / "all")
    return {file.name: file.read_bytes() for file in (folder / "all").glob("*.json")}
