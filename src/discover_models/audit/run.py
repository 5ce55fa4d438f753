"""An audit from its options: reads the document and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from discover_models.audit.document import Document, parse
from discover_models.audit.edits import apply, patch
from discover_models.audit.findings import Report
from discover_models.audit.knowledge import Model, Names, names_of
from discover_models.audit.rows import Known
from discover_models.audit.rules import audit
from discover_models.domain.model_name import expand_title, plain_slugs, tracked_title
from discover_models.errors import ConfigError, SourceError, UsageError
from discover_models.one_model import architecture_of, configurations
from discover_models.progress import Say
from discover_models.settings import RunOptions
from discover_models.sources.config_defaults import ConfigDefaults, ConfigLookup
from discover_models.sources.config_file import ConfigFile
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.source_spec import SourceName, merge_sources
from discover_models.sources.workspace import RepoState
from discover_models.world import config_classes, cookbook_of, hub_of, opened, workspace_of

MAX_BYTES = 4_000_000
"""Of the document; the real one has 39 kB."""
_NEEDED: tuple[SourceName, ...] = ("flashinfer-trace", "sgl-cookbook", "sglang")

Fetch = Callable[[list[str]], Mapping[str, ConfigFile | ConfigError]]


_PASSES = 5
"""A cell is corrected in the first pass and what rests on it in the next one."""


@dataclass(frozen=True)
class AuditResult:
    """A report and the patch for what can be put right."""

    report: Report
    patch: str
    """Unified diff from the top of the document's repository; empty when there is nothing."""
    warnings: tuple[str, ...] = ()


def run_audit(options: RunOptions, say: Say, *, complete: bool = False) -> AuditResult:
    """Hold the coverage document against configurations, dataset and its own legend.

    `complete`: a workload that the dataset lacks was never collected.

    Raises:
        UsageError: the document or the workspace is not there.
        SourceError: the dataset can't be read, so that hardly anything could be judged.
    """
    document = parse(read_document(options.coverage_doc))
    if not document.titles:
        raise UsageError(
            f"{options.coverage_doc} has no table with the columns Definition, Op Type and Status"
        )
    workspace = workspace_of(options, say)
    specs = [spec for spec in merge_sources(options.sources) if spec.name in _NEEDED]
    with workspace.locked():
        states = workspace.prepare(specs, None)
        known = _known(document, states, options, complete=complete)
    path = repository_path(options.coverage_doc)
    report, _ = audit(document, known, path)
    fixed = patch(path, document.lines, corrected_lines(document, known, path))
    warnings = tuple(f"{name}: {state.error}" for name, state in states.items() if state.error)
    return AuditResult(report, fixed, warnings)


def corrected_lines(document: Document, known: Known, path: str) -> list[str]:
    """The document's lines with everything put right that can be.

    A corrected cell can let another one be judged, so that is repeated until nothing is left.
    """
    lines = list(document.lines)
    for _ in range(_PASSES):
        _, edits = audit(parse("".join(lines)), known, path)
        if not edits:
            break
        lines = apply(lines, edits)
    return lines


def _known(
    document: Document,
    states: Mapping[SourceName, RepoState],
    options: RunOptions,
    *,
    complete: bool,
) -> Known:
    dataset = opened(states["flashinfer-trace"], DatasetIndex.open)
    if isinstance(dataset, SourceError):
        raise dataset
    transformers = ConfigDefaults.load()
    libraries = (transformers, *config_classes(states["sglang"], transformers))
    hub = None if options.offline else hub_of(options)
    cookbook = cookbook_of(states["sgl-cookbook"])
    repositories = repositories_of(
        document.titles,
        local_repositories(options.configs),
        [model.model_path for model in cookbook.models] if hub else (),
    )
    names, without = known_names(
        document, repositories, lambda ids: configurations(ids, options.configs, hub), libraries
    )
    return Known(names, without, dataset, complete=complete)


def read_document(path: Path) -> str:
    """The document with its own line ends; `UsageError` when it can't be read."""
    try:
        content = path.read_bytes()
        if len(content) > MAX_BYTES:
            raise UsageError(f"{path} is larger than {MAX_BYTES} bytes")
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the coverage document {path} can't be read ({error}); name it with --coverage-doc"
        ) from error


def repository_path(path: Path) -> str:
    """The path from the top of the repository that holds the file, else from here."""
    whole = path.resolve()
    for folder in whole.parents:
        if (folder / ".git").exists():
            return whole.relative_to(folder).as_posix()
    here = Path.cwd()
    return whole.relative_to(here).as_posix() if whole.is_relative_to(here) else path.name


def local_repositories(configs: Path | None) -> tuple[str, ...]:
    """The ``ORG/MODEL`` folders with a configuration, sorted."""
    if configs is None:
        return ()
    if not configs.is_dir():
        raise UsageError(f"--configs {configs} is not a folder")
    files = configs.glob("*/*/config.json")
    return tuple(sorted({f"{f.parent.parent.name}/{f.parent.name}" for f in files}))


def repositories_of(
    titles: tuple[str, ...],
    local: Iterable[str],
    listed: Iterable[str],
    tracked: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, tuple[str, ...]]:
    """The repositories that each title means: those with a local configuration, else those listed.

    Quantised ones count only where there are no others. Those that `tracked` gives by title count
    before all.
    """
    said = tracked or {}
    found = {title: said[title] for title in titles if title in said}
    for place in (local, listed):
        matches: dict[str, list[str]] = {}
        for repo_id in dict.fromkeys(place):
            title = tracked_title(repo_id, titles)
            if title is not None:
                matches.setdefault(title, []).append(repo_id)
        for title, repo_ids in matches.items():
            original = [repo_id for repo_id in repo_ids if plain_slugs(repo_id)]
            found.setdefault(title, tuple(original or repo_ids))
    return found


def known_names(
    document: Document,
    repositories: Mapping[str, tuple[str, ...]],
    fetch: Fetch,
    libraries: tuple[ConfigLookup, ...],
) -> tuple[dict[str, Names], dict[str, str]]:
    """What each title's models need, and for the other titles why it is not known."""
    files = fetch([repo_id for repo_ids in repositories.values() for repo_id in repo_ids])
    names: dict[str, Names] = {}
    without: dict[str, str] = {}
    for title in document.titles:
        models, reasons = _models(repositories.get(title, ()), files, libraries)
        if not models:
            without[title] = "; ".join(reasons) or "no configuration"
            continue
        sizes = (block.stated_sizes for block in document.blocks if block.title == title)
        stated = frozenset[int]().union(*sizes)
        each = [frozenset(names_of([model], stated).kernels) for model in models]
        if len(set(each)) > 1 and len(expand_title(title)) == 1:
            repo_ids = ", ".join(model.repo_id for model in models)
            without[title] = f"ambiguous: {repo_ids} need different definitions"
        else:
            names[title] = names_of(models, stated)
    return names, without


def _models(
    repo_ids: Iterable[str],
    files: Mapping[str, ConfigFile | ConfigError],
    libraries: tuple[ConfigLookup, ...],
) -> tuple[list[Model], list[str]]:
    models: list[Model] = []
    reasons: list[str] = []
    for repo_id in repo_ids:
        try:
            file = files[repo_id]
            if isinstance(file, ConfigError):
                raise file
            models.append(Model(repo_id, architecture_of(file, libraries)))
        except ConfigError as error:
            reasons.append(str(error))
    return models, reasons
