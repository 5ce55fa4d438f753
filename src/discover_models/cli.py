"""The command line: turns arguments into a `RunOptions`, and an outcome into an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar, get_args

import typer

from discover_models.errors import DiscoverError, UsageError, of_the_disk
from discover_models.progress import Progress, Say
from discover_models.settings import (
    AuditFormat,
    ListFormat,
    ModelRequest,
    OutputFormat,
    RunOptions,
    WantedOutput,
    cache_folder,
)
from discover_models.sharding import parse_shard

if TYPE_CHECKING:  # the command line answers --help without them
    from datetime import datetime

    from discover_models.audit.findings import Report
    from discover_models.changes import News
    from discover_models.pipeline import RunResult


class _HasWarnings(Protocol):
    @property
    def warnings(self) -> tuple[str, ...]: ...


Warned = TypeVar("Warned", bound=_HasWarnings)

app = typer.Typer(
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_BUG = 70
EXIT_INTERRUPTED = 130

_FORMATS, _AUDITS, _LISTS = ("|".join(get_args(f)) for f in (OutputFormat, AuditFormat, ListFormat))
_MODEL = "What to look at"
_SOURCES = "Where to look"
_RESULT = "What to do with the result"

Tp = Annotated[
    list[int] | None,
    typer.Option(metavar="N", min=1,
                 help="Tensor parallel size, in place of the cookbook's. Repeatable.",
                 rich_help_panel=_MODEL),
]  # fmt: skip
Ep = Annotated[
    list[int] | None,
    typer.Option(metavar="N", min=1,
                 help="Expert parallel size, in place of the cookbook's. Repeatable.",
                 rich_help_panel=_MODEL),
]  # fmt: skip
HfRepoId = Annotated[
    str,
    typer.Option(metavar="ORG/MODEL", help="The model's repository on the Hugging Face Hub.",
                 rich_help_panel=_MODEL),
]  # fmt: skip
WorkspaceDir = Annotated[
    Path,
    typer.Option(metavar="DIR", rich_help_panel=_SOURCES,
                 help="Folder that holds sglang/ flashinfer/ sgl-cookbook/ flashinfer-trace/."),
]  # fmt: skip
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Take the workspace as it is and use no network.",
                 rich_help_panel=_SOURCES),
]  # fmt: skip
Configs = Annotated[
    Path | None,
    typer.Option(metavar="DIR", rich_help_panel=_SOURCES,
                 help="Folder of ORG/MODEL/config.json, looked up before the Hub."),
]  # fmt: skip
CacheDir = Annotated[
    str,
    typer.Option(metavar="DIR", rich_help_panel=_SOURCES, envvar="DISCOVER_MODELS_CACHE",
                 help="Where what was read of the repositories is kept for the next run; 'none'"
                      " to keep nothing.  [default: discover-models in the user's cache folder]"),
]  # fmt: skip
SourceUrls = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="NAME=URL[@REVISION]", rich_help_panel=_SOURCES,
                 help="Where a repository comes from, in place of the public one. Repeatable."),
]  # fmt: skip


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        print(metadata.version("discover-models"))
        raise typer.Exit


@app.callback(invoke_without_command=True)
def inventory(
    context: typer.Context,
    model_name: Annotated[str, typer.Option(metavar="SLUG", rich_help_panel=_MODEL,
        help="Short name of one model, for example qwen3-235b-a22b.")] = "",
    hf_repo_id: HfRepoId = "",
    models: Annotated[Path | None, typer.Option(metavar="FILE", rich_help_panel=_MODEL,
        help="Many models: one '[SLUG] ORG/MODEL' a line.")] = None,
    discover: Annotated[bool, typer.Option("--discover", rich_help_panel=_MODEL,
        help="Find new models in SGLang and the cookbooks.")] = False,
    since: Annotated[str, typer.Option(metavar="WHEN", rich_help_panel=_MODEL,
        help="How far back --discover looks: an age or a date (00:00 UTC).")] = "30 days ago",
    tp: Tp = None,
    ep: Ep = None,
    shard: Annotated[str, typer.Option(metavar="I/N", rich_help_panel=_MODEL,
        help="Take one of N shares of the models; 'merge' puts the manifests together.")] = "1/1",
    workspace: WorkspaceDir = Path("tmp"),
    offline: Offline = False,
    configs: Configs = None,
    coverage_doc: Annotated[Path, typer.Option(metavar="FILE", rich_help_panel=_SOURCES,
        help="Coverage document whose models --discover leaves out.")] = Path(
            "docs/model_coverage.mdx"),
    source: SourceUrls = None,
    cache_dir: CacheDir = "",
    demo: Annotated[bool, typer.Option("--demo", rich_help_panel=_SOURCES,
        help="Run on a small synthetic workspace inside the package.")] = False,
    manifest: Annotated[str, typer.Option(metavar="FILE", rich_help_panel=_RESULT,
        help="Run manifest to write or update; {model_slug} and {date} are filled in.")] = "",
    manifest_dir: Annotated[Path | None, typer.Option(metavar="DIR", rich_help_panel=_RESULT,
        help="Folder for the manifests, one {slug}.json per model.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", rich_help_panel=_RESULT,
        help="Classify entries again that the manifest already has.")] = False,
    format: Annotated[OutputFormat, typer.Option(metavar=_FORMATS, rich_help_panel=_RESULT,
        help="How the report looks.")] = "text",
    output: Annotated[Path | None, typer.Option(metavar="FILE", rich_help_panel=_RESULT,
        help="Write the report there instead of to standard output.")] = None,
    strict: Annotated[bool, typer.Option("--strict", rich_help_panel=_RESULT,
        help="With several models: exit code 3 if one failed.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True,
        help="Print the version and exit.")] = False,
) -> None:  # fmt: skip
    """Which GPU kernel definitions a language model needs, and who has them."""
    if context.invoked_subcommand is not None:
        return
    options = RunOptions(
        models=_requests(model_name, hf_repo_id, models, none_needed=demo or discover),
        discover=discover,
        since=_moment(since) if discover else None,
        coverage_doc=coverage_doc,
        manifest=manifest,
        manifest_dir=manifest_dir,
        refresh=refresh,
        tp=tuple(tp or ()),
        ep=tuple(ep or ()),
        shard=parse_shard(shard),
        workspace=workspace,
        sources=tuple(source or ()),
        offline=offline,
        configs=configs,
        cache_dir=cache_folder(cache_dir),
        hub_endpoint=os.environ.get("HF_ENDPOINT"),
        hub_token=os.environ.get("HF_TOKEN"),
    )
    wanted = WantedOutput(format=format, output=output, strict=strict)
    if demo:
        _demo(options, wanted)
    else:
        _inventory(options, wanted)


@app.command(short_help="Print the chain of one verdict.")
def explain(
    model_name: Annotated[str, typer.Argument(metavar="SLUG", help="Short name of the model.")],
    definition: Annotated[str, typer.Argument(metavar="DEFINITION",
        help="For example gqa_paged_decode_h8_kv1_d128_ps64.")],
    hf_repo_id: HfRepoId = "",
    tp: Tp = None,
    ep: Ep = None,
    workspace: WorkspaceDir = Path("tmp"),
    offline: Offline = False,
    configs: Configs = None,
    source: SourceUrls = None,
    cache_dir: CacheDir = "",
) -> None:  # fmt: skip
    """The chain of one verdict, from the configuration's field to SGLang's call."""
    from discover_models import outputs
    from discover_models.render import render_explain

    options = RunOptions(
        models=(_request(model_name, hf_repo_id),),
        tp=tuple(tp or ()),
        ep=tuple(ep or ()),
        workspace=workspace,
        sources=tuple(source or ()),
        offline=offline,
        configs=configs,
        cache_dir=cache_folder(cache_dir),
        hub_endpoint=os.environ.get("HF_ENDPOINT"),
        hub_token=os.environ.get("HF_TOKEN"),
    )
    result = _run(options)
    if result.deferred:
        raise DiscoverError(result.deferred[0].message)
    outputs.put(render_explain(result.inventories[0], definition), None)


@app.command(short_help="Put manifests of several runs together.")
def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...",
        help="Folders with manifests (*.json), in any order.")],
    output: Annotated[Path, typer.Option(metavar="DIR",
        help="Folder for all of them; it may be one of the others.")],
) -> None:  # fmt: skip
    """Put manifests of several runs into one folder; of one model the newest stays."""
    from discover_models.commands.merge import merge_folders

    for line in merge_folders(folders, output):
        print(line, file=sys.stderr)


@app.command(short_help="Publish manifests as issues.")
def publish(
    manifest_dir: Annotated[Path, typer.Option("--manifests", metavar="DIR",
        help="Folder with the manifests (*.json) to publish.")],
    repository: Annotated[str, typer.Option(metavar="OWNER/REPO",
        help="Where the issues and the state branch are kept.")],
    dry_run: Annotated[bool, typer.Option("--dry-run",
        help="Show what would change, and change nothing.")] = False,
    bot_login: Annotated[str, typer.Option(metavar="LOGIN",
        help="Account that the token belongs to.")] = "github-actions[bot]",
    config: Annotated[str, typer.Option(metavar="PATH",
        help="The configuration file on the default branch.")] = ".github/discover-models.yml",
    max_new_issues: Annotated[int, typer.Option(min=0, metavar="N",
        help="Tracking issues that may be opened within 24 hours.")] = 10,
) -> None:  # fmt: skip
    """Publish manifests as issues. The token is read from GITHUB_TOKEN."""
    from discover_models.publishing import publish_folder
    from discover_models.render.escape import plain

    report = publish_folder(
        manifest_dir,
        repository,
        os.environ,
        dry_run=dry_run,
        bot_login=bot_login,
        config_file=config,
        max_new_issues=max_new_issues,
    )
    for line in report.lines():
        print(plain(f"would {line}" if dry_run else line))
    if report.saved is not None and not report.saved.stored and not dry_run:
        print(plain(f"warning: the state was not stored: {report.saved.reason}"), file=sys.stderr)
    if report.errors:
        raise DiscoverError(f"publishing is incomplete: {len(report.errors)} changes failed")


@app.command(short_help="Bring manifest files in line with the state branch.")
def sync(
    files: Annotated[list[Path], typer.Argument(metavar="FILE",
        help="Manifests, such as tmp/onboard_*.json.")],
    repository: Annotated[str, typer.Option(metavar="OWNER/REPO",
        help="Where the state branch is kept.")],
    branch: Annotated[str, typer.Option(metavar="NAME",
        help="The branch that holds the manifests.")] = "kernel-inventory",
    dry_run: Annotated[bool, typer.Option("--dry-run",
        help="Show what would change, and change nothing.")] = False,
) -> None:  # fmt: skip
    """Bring manifest files to the state branch, and what it says back to them.

    What others wrote into them is united. The token is read from GITHUB_TOKEN.
    """
    from discover_models.commands.sync import sync_files
    from discover_models.render.escape import plain

    for line in sync_files(files, repository, branch, os.environ, dry_run=dry_run):
        print(plain(line))


@app.command(short_help="Check the coverage document.")
def audit(
    coverage_doc: Annotated[Path, typer.Option(metavar="FILE",
        help="The coverage document.")] = Path("docs/model_coverage.mdx"),
    complete_dataset: Annotated[bool, typer.Option("--complete-dataset",
        help="The dataset is all there is: what has no workloads there has none.")] = False,
    workspace: WorkspaceDir = Path("tmp"),
    offline: Offline = False,
    configs: Configs = None,
    source: SourceUrls = None,
    format: Annotated[AuditFormat, typer.Option(metavar=_AUDITS, rich_help_panel=_RESULT,
        help="For people, for programs, or as annotations on a pull request.")] = "text",
    patch: Annotated[Path | None, typer.Option(metavar="FILE", rich_help_panel=_RESULT,
        help="Write what 'git apply' needs to put the mistakes right; empty without any.")] = None,
) -> None:  # fmt: skip
    """Check the coverage document; exit code 1 when something is wrong in it."""
    from discover_models.audit.run import run_audit

    if patch is not None and not patch.absolute().parent.is_dir():
        raise UsageError(f"--patch: the folder {patch.parent} is not there")
    options = RunOptions(
        coverage_doc=coverage_doc,
        workspace=workspace,
        sources=tuple(source or ()),
        offline=offline,
        configs=configs,
        hub_endpoint=os.environ.get("HF_ENDPOINT"),
        hub_token=os.environ.get("HF_TOKEN"),
    )
    result = _watched(lambda say: run_audit(options, say, complete=complete_dataset))
    if patch is not None:
        patch.write_bytes(result.patch.encode("utf-8"))
    sys.stdout.write(_audit_text(result.report, format))
    if result.report.findings:
        raise typer.Exit(EXIT_FAILED)


@app.command(short_help="Make a static page of manifests.")
def site(
    manifest_dir: Annotated[Path, typer.Option("--manifests", metavar="DIR",
        help="Folder with the manifests (*.json) to show.")],
    output: Annotated[Path, typer.Option(metavar="DIR",
        help="Folder for the page; put it on GitHub Pages as it is.")] = Path("site"),
) -> None:  # fmt: skip
    """Make one static page of manifests: models, kernels, who has them and who needs them."""
    from discover_models.commands.site import write_site

    print(write_site(manifest_dir, output))


@app.command(short_help="List what SGLang's architectures can do.")
def architectures(
    workspace: WorkspaceDir = Path("tmp"),
    offline: Offline = False,
    source: SourceUrls = None,
    cache_dir: CacheDir = "",
    format: Annotated[OutputFormat, typer.Option(metavar=_FORMATS, rich_help_panel=_RESULT,
        help="How the list looks.")] = "text",
) -> None:  # fmt: skip
    """Every architecture that SGLang registers: role, attention, feed-forward, norms, and the
    classes that nothing is known about."""
    from discover_models.commands.architectures import list_from_workspace
    from discover_models.render import architectures as render

    options = RunOptions(
        workspace=workspace,
        sources=tuple(source or ()),
        offline=offline,
        cache_dir=cache_folder(cache_dir),
    )
    listing = _watched(lambda say: list_from_workspace(options, say))
    rendered = {
        "text": render.render_architectures_text,
        "markdown": render.render_architectures_markdown,
        "json": render.render_architectures_json,
    }
    sys.stdout.write(rendered[format](listing))


@app.command(short_help="Rank what is missing by demand.")
def demand(
    manifest_dir: Annotated[Path, typer.Option("--manifests", metavar="DIR",
        help="Folder with the manifests (*.json) to look at.")],
    downloads: Annotated[bool, typer.Option("--downloads",
        help="Ask the Hub for each model's downloads; they are kept for a week.")] = False,
    cache_dir: CacheDir = "",
    format: Annotated[OutputFormat, typer.Option(metavar=_FORMATS, rich_help_panel=_RESULT,
        help="How the ranking looks.")] = "text",
    output: Annotated[Path | None, typer.Option(metavar="FILE", rich_help_panel=_RESULT,
        help="Write the ranking there instead of to standard output.")] = None,
) -> None:  # fmt: skip
    """Rank kernels that are missing somewhere by the models that they hold up."""
    from discover_models.commands.demand import HubAccess, show_demand

    hub = HubAccess(
        endpoint=os.environ.get("HF_ENDPOINT"),
        token=os.environ.get("HF_TOKEN"),
        cache=cache_folder(cache_dir),
    )
    show_demand(manifest_dir, format, output, hub if downloads else None)


@app.command(short_help="Tell what became of a definition.")
def history(
    definition: Annotated[str, typer.Argument(metavar="DEFINITION",
        help="For example gqa_paged_decode_h8_kv1_d128_ps64.")],
    repository: Annotated[str, typer.Option(metavar="DIR|URL",
        help="The repository with the state branch: a clone, or an https address.")] = ".",
    branch: Annotated[str, typer.Option(metavar="NAME",
        help="The branch that holds the manifests.")] = "kernel-inventory",
    format: Annotated[ListFormat, typer.Option(metavar=_LISTS, rich_help_panel=_RESULT,
        help="How the history looks.")] = "text",
) -> None:  # fmt: skip
    """Tell what became of a definition over time, from the branch that holds the manifests."""
    from discover_models.commands.history import show_history

    show_history(definition, repository, branch, format)


def _audit_text(report: Report, format: AuditFormat) -> str:
    from discover_models.render import audit

    render = {
        "text": audit.render_audit_text,
        "json": audit.render_audit_json,
        "github": audit.render_audit_github,
    }
    return render[format](report)


def _requests(
    model_name: str, hf_repo_id: str, models: Path | None, *, none_needed: bool
) -> tuple[ModelRequest, ...]:
    """The models that were asked for; exactly one way of asking."""
    if models is not None and (model_name or hf_repo_id):
        raise UsageError("--models goes without --model-name and --hf-repo-id")
    if models is not None:
        return _model_list(models)
    if model_name or hf_repo_id:
        return (_request(model_name, hf_repo_id),)
    if none_needed:
        return ()
    raise UsageError(
        "say which model: --model-name, --hf-repo-id, --models, --discover or --demo (see --help)"
    )


def _request(slug: str, hf_repo_id: str) -> ModelRequest:
    """What was asked for by name, looked at before anything is cloned."""
    from discover_models.slugs import check_slug
    from discover_models.sources.config_file import check_repo_id

    return ModelRequest(
        slug=check_slug(slug) if slug else "",
        hf_repo_id=check_repo_id(hf_repo_id) if hf_repo_id else "",
    )


def _moment(since: str) -> datetime:
    from datetime import UTC, datetime

    from discover_models.sources.since import parse_since

    return parse_since(since, datetime.now(UTC))


def _model_list(path: Path) -> tuple[ModelRequest, ...]:
    """The lines ``[slug] ORG/MODEL``; blank lines and comments are skipped."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"--models {path}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--models {path}: is not UTF-8 (byte {error.start})") from error
    requests: list[ModelRequest] = []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if len(words) > 2 or (words and "/" not in words[-1]):
            raise UsageError(f"{path}:{number}: expected '[SLUG] ORG/MODEL', not {line.strip()!r}")
        if words:
            slug = words[0] if len(words) == 2 else ""
            requests.append(ModelRequest(slug=slug, hf_repo_id=words[-1]))
    if not requests:
        raise UsageError(f"{path}: names no model")
    return tuple(dict.fromkeys(requests))


def _demo(options: RunOptions, wanted: WantedOutput) -> None:
    import tempfile

    from discover_models import demo

    with tempfile.TemporaryDirectory(prefix="discover-models-demo-") as folder:
        print(demo.NOTICE, file=sys.stderr)
        everything = tuple(ModelRequest(hf_repo_id=repo_id) for repo_id in demo.MODELS)
        synthetic = replace(
            options,
            workspace=demo.prepare(Path(folder)),
            configs=demo.CONFIGS,
            offline=True,
            cache_dir=None,
            models=options.models or everything,
        )
        _inventory(synthetic, wanted)


def _inventory(options: RunOptions, wanted: WantedOutput) -> None:
    from datetime import UTC, datetime

    from discover_models import outputs

    several = options.discover or len(options.models) > 1
    outputs.check_outputs(options, wanted, several=several)
    result = _run(options)
    written, failed, changed = outputs.write_manifests(
        result.inventories, options, datetime.now(UTC)
    )
    result = replace(result, inventories=written, deferred=(*result.deferred, *failed))
    outputs.put(_rendered(result, changed, wanted.format), wanted.output)
    for model in result.deferred:
        print(f"{model.model_slug}: {model.message}", file=sys.stderr)
    if result.deferred and not several:
        raise typer.Exit(EXIT_FAILED)
    if result.deferred and wanted.strict:
        raise typer.Exit(EXIT_SOME_FAILED)


def _run(options: RunOptions) -> RunResult:
    from discover_models.pipeline import run

    return _watched(lambda say: run(options, say))


def _watched(work: Callable[[Say], Warned]) -> Warned:
    """What a long piece of work gives; its progress and its warnings go to standard error."""
    progress = Progress(sys.stderr)
    try:
        result = work(progress.say)
    finally:
        progress.done()
    for warning in result.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return result


def _rendered(result: RunResult, changed: Mapping[str, News], format: OutputFormat) -> str:
    from discover_models import render

    models = (result.inventories, result.deferred)
    found = result.discovery
    if format == "json":
        return render.render_json(*models, discovery=found)
    if format == "markdown":
        new = render.render_discovery_markdown(found, origins=result.origins) if found else ""
        said = render.render_changes_markdown(changed)
        return new + said + render.render_markdown(*models, origins=result.origins)
    new = render.render_discovery_text(found) if found else ""
    return new + render.render_text(*models) + render.render_changes_text(changed)


def main() -> None:
    """Run the command; the one place that turns errors into exit codes."""
    sys.exit(_guarded(app))


def _guarded(command: Callable[[], object]) -> int:
    """The exit code: expected errors are one sentence, everything else is a bug with its trace."""
    try:
        command()
    except SystemExit as stop:  # --help, a wrong option, an exit code of ours, Ctrl-C
        return stop.code if isinstance(stop.code, int) else EXIT_BUG
    except UsageError as error:
        return _say(error, EXIT_USAGE)
    except DiscoverError as error:
        return _say(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if refused := of_the_disk(error):
            return _say(refused, EXIT_FAILED)
        import traceback

        traceback.print_exc()
        print("This is a bug in discover-models; please report it with the lines above.",
              file=sys.stderr)  # fmt: skip
        return EXIT_BUG
    return 0


def _say(error: DiscoverError | str, code: int) -> int:
    print(f"discover-models: {error}", file=sys.stderr)
    return code
