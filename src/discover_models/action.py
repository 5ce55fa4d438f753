"""The action: one run inside a GitHub workflow, told what to do by its environment alone.

``python -m discover_models.action`` is the entry point of the image.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from discover_models import manifests, run_record
from discover_models.action_answers import Answers
from discover_models.action_inputs import ActionSettings, Runner, run_options
from discover_models.action_job import Job, choose_job
from discover_models.bot_config import BotConfig, parse_config
from discover_models.demand import Downloads
from discover_models.domain.manifest import from_inventory
from discover_models.errors import DiscoverError, UsageError, of_the_disk
from discover_models.pipeline import RunResult, run
from discover_models.publish.run import Extras, Priority, PublishReport, unread_verdicts
from discover_models.publish.state_value import PublishState
from discover_models.publish.waiting import Timing
from discover_models.publishing import Asking, Desk, Place, settled
from discover_models.render import render_discovery_markdown, render_markdown
from discover_models.render.summary import Summary, job_summary
from discover_models.run_record import Phases, RunRecord
from discover_models.runner import Log, give_back, write_outputs, write_summary
from discover_models.settings import ModelRequest, RunOptions
from discover_models.sources.downloads import downloads_from_hub
from discover_models.sources.since import parse_since
from discover_models.sources.source_spec import merge_sources
from discover_models.world import DatasetError

OUTPUT_FOLDER = "kernel-inventory"
"""Inside the workspace: ``manifests/``, ``report.md`` and ``run.json``."""
EXIT_FAILED, EXIT_BUG = 1, 70
UNPUBLISHED = "Nothing is published, because there is no github-token."


def main() -> None:
    """Run the action; the only place that reads the environment and ends the process."""
    sys.exit(run_action(os.environ, _print, Timing(time.time, time.sleep)))


def run_action(environment: Mapping[str, str], write: Callable[[str], None], timing: Timing) -> int:
    """The exit code of a run: 0, or 1 with an annotation that says why, or 70 for a bug."""
    log = Log(write, _tokens(environment))
    log.mask()
    try:
        settings = ActionSettings.from_environment(environment)
        runner = Runner.from_environment(environment)
        return _Action(settings, runner, log, timing).run()
    except DiscoverError as error:
        log.annotate("error", str(error))
        return EXIT_FAILED
    except Exception as error:
        if refused := of_the_disk(error):
            log.annotate("error", refused)
            return EXIT_FAILED
        for line in traceback.format_exc().splitlines():
            log.say(line)
        log.annotate("error", "This is a bug in discover-models; please report it with the log.")
        return EXIT_BUG


def _print(line: str) -> None:
    print(line.encode("utf-8", "backslashreplace").decode("utf-8"), flush=True)


def _tokens(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Everything that must not appear in the log, checked or not."""
    given = (
        environment.get(f"INPUT_{name}-TOKEN", "").strip()
        for name in ("GITHUB", "HF", "KERNEL-REQUEST")
    )
    return tuple(token for token in given if token)


@dataclass(frozen=True)
class _Action:
    settings: ActionSettings
    runner: Runner
    log: Log
    timing: Timing
    phases: Phases = field(default_factory=Phases)

    def run(self) -> int:
        job = choose_job(self.settings, self.runner.event_name, self.runner.event())
        self.log.say(f"event {self.runner.event_name or '(none)'}: {job.name}")
        if job.name == "nothing":
            self.log.annotate("notice", job.notice)
            write_outputs(self.runner.output, {"changed": "false"})
            return 0
        if not job.takes_inventory:
            return self._answer(job)
        desk = self._desk()
        try:
            return self._inventory(job, desk)
        finally:
            if desk is not None:
                desk.close()
            give_back(self._workspace, like=self.runner.workspace)

    def _answer(self, job: Job) -> int:
        try:
            Answers(self.settings, self.runner, self.log, self.timing).run(job)
        finally:
            give_back(self._workspace, like=self.runner.workspace)
        return 0

    @property
    def _workspace(self) -> Path:
        return self.runner.inside(self.settings.workspace)

    @property
    def _output(self) -> Path:
        return self._workspace / OUTPUT_FOLDER

    def _desk(self) -> Desk | None:
        """Where to publish; None without a token."""
        token = self.settings.github_token.get_secret_value()
        if not token:
            self.log.annotate("warning", UNPUBLISHED)
            return None
        if not self.runner.repository:
            raise UsageError("GITHUB_REPOSITORY is not set: where are the issues to be kept?")
        place = Place(
            repository=self.runner.repository,
            token=token,
            timing=self.timing,
            api_url=self.runner.api_url,
            server_url=self.runner.server_url,
            dry_run=self.settings.dry_run,
        )
        with self.phases.phase("configuration"):
            return Desk(place, str(self.settings.config))

    def _config(self, desk: Desk | None) -> BotConfig:
        """The default branch's configuration; without a token that of the checkout."""
        if desk is not None:
            return desk.config
        file = self.runner.inside(Path(self.settings.config))
        if not file.is_file():
            return BotConfig()
        return parse_config(file.read_bytes(), str(self.settings.config))

    def _inventory(self, job: Job, desk: Desk | None) -> int:
        started = datetime.fromtimestamp(self.timing.clock(), UTC)
        config = self._config(desk)
        with self.phases.phase("state"):
            state = desk.state if desk is not None else PublishState()
        self._lay_out(state)
        with self.phases.phase("inventory"):
            result, undecided = self._look(job, config, state, started)
        result = _settle(result, state)
        self._write_files(result, started)
        ignored = config.ignored(_repositories(result, state))
        report = None
        if desk is not None:
            with self.phases.phase("publishing"):
                report = self._publish(desk, result, ignored)
        record = self._record(job, result, report, ignored, started, desk)
        return self._finish(record, result, report, undecided)

    def _look(
        self, job: Job, config: BotConfig, state: PublishState, started: datetime
    ) -> tuple[RunResult, tuple[str, ...]]:
        """The inventories, and why there can be none: that much is then said and published."""
        options = self._options(job, config, state, started)
        try:
            result = run(
                options,
                self.log.say,
                lambda request: None if _ignored(config, request) else config.corrected(request),
            )
        except DatasetError as error:
            origins = {spec.name: spec.url for spec in merge_sources(options.sources)}
            unread = {"flashinfer-trace": str(error)}
            warnings = (f"flashinfer-trace: {error}",)
            return RunResult((), (), origins, warnings, unread), (str(error),)
        return result, ()

    def _options(
        self, job: Job, config: BotConfig, state: PublishState, now: datetime
    ) -> RunOptions:
        scheduled = job.name == "scheduled"
        requests = _known(config, state) if scheduled else map(config.corrected, job.models)
        since = parse_since(self.settings.since, now) if scheduled else None
        if since is not None and state.last_complete_run is not None:
            since = min(since, state.last_complete_run)
        return replace(
            run_options(self.settings, self.runner, tracked=config.titles),
            models=tuple(requests),
            discover=scheduled,
            since=since,
            coverage_doc=self.runner.inside(Path("docs/model_coverage.mdx")),
            manifest_dir=self._output / "manifests",
        )

    def _lay_out(self, state: PublishState) -> None:
        """The manifests of the state as files, for names to be found in and to be merged with."""
        for slug, manifest in state.manifests.items():
            path = self._output / "manifests" / f"{slug}.json"
            if not path.exists():
                manifests.save(path, manifest)

    def _write_files(self, result: RunResult, now: datetime) -> None:
        for item in result.inventories:
            manifests.update(
                self._output / "manifests" / f"{item.model_slug}.json",
                from_inventory(item, now.date()),
                refresh=self.settings.refresh,
                failed=unread_verdicts(item, result.unread),
            )
        found = result.discovery
        text = render_discovery_markdown(found, origins=result.origins) if found else ""
        text += render_markdown(result.inventories, result.deferred, origins=result.origins)
        self._write("report.md", text)

    def _write(self, name: str, text: str) -> None:
        self._output.mkdir(parents=True, exist_ok=True)
        data = text.encode("utf-8", errors="backslashreplace")
        (self._output / name).write_bytes(data)

    def _publish(self, desk: Desk, result: RunResult, ignored: Mapping[str, str]) -> PublishReport:
        settings = desk.settings(
            bot_login=self.settings.bot_login,
            max_new_issues=self.settings.max_new_issues,
            refresh=self.settings.refresh,
            origins=result.origins,
            run_url=self.runner.run_url,
        )
        extras = Extras(
            ignored=ignored,
            priorities=_priorities(result),
            discovery=result.discovery,
            downloads=self._downloads(desk, result),
            unread=result.unread,
        )
        asking = Asking(
            repository=self.settings.kernel_request_repo,
            token=self.settings.kernel_request_token.get_secret_value(),
            max_new=self.settings.max_new_kernel_requests,
        )
        report = desk.publish(result.inventories, result.deferred, settings, extras, asking)
        if self.settings.dry_run:
            return report
        for slug, manifest in report.state.manifests.items():  # with the addresses of requests
            path = self._output / "manifests" / f"{slug}.json"
            if path.exists():
                manifests.save(path, manifest)
        return report

    def _downloads(self, desk: Desk, result: RunResult) -> Downloads:
        """Of the models on the dashboard, where the configuration asks for it."""
        options = run_options(self.settings, self.runner, tracked={})
        if options.offline or not desk.config.downloads:
            return Downloads()
        names = [m.hf_repo_id for m in desk.state.manifests.values()]
        names += [i.hf_repo_id for i in result.inventories]
        found, failed = downloads_from_hub(
            names,
            endpoint=options.hub_endpoint,
            token=options.hub_token,
            cache=options.hub_cache,
            today=datetime.now(UTC).date(),
        )
        if failed:
            self.log.annotate("warning", f"The downloads of {len(failed)} models are not known.")
        return found

    def _record(
        self,
        job: Job,
        result: RunResult,
        report: PublishReport | None,
        ignored: Mapping[str, str],
        started: datetime,
        desk: Desk | None,
    ) -> RunRecord:
        plan = run_record.plan_of(report)
        return RunRecord(
            version=run_record.program_version(),
            event=self.runner.event_name,
            job=job.name,
            repository=self.runner.repository,
            dry_run=self.settings.dry_run,
            started=started.isoformat(timespec="seconds"),
            seconds=self.phases.seconds,
            requests=desk.requests if desk is not None else 0,
            published=report is not None and not report.errors,
            sources=run_record.sources_of(result.origins, result.inventories),
            models=run_record.models_of(result.inventories),
            deferred=result.deferred,
            ignored=dict(ignored),
            discovery=result.discovery,
            plan=plan,
            held_back=tuple(sorted(p.key for p in plan if p.action == "held back")),
            warnings=self._warnings(result, report),
        )

    def _warnings(self, result: RunResult, report: PublishReport | None) -> tuple[str, ...]:
        found = list(result.warnings)
        if result.discovery is not None:
            found += [f"{name}: {why}" for name, why in result.discovery.errors.items()]
        saved = report.saved if report is not None else None
        if saved is not None and not saved.stored and not self.settings.dry_run:
            found.append(
                "the state branch could not be written, so the manifests are only in the run's"
                f" artifact: {saved.reason}"
            )
        return tuple(found)

    def _finish(
        self,
        record: RunRecord,
        result: RunResult,
        report: PublishReport | None,
        undecided: tuple[str, ...],
    ) -> int:
        """Tell everyone: the files, the log, the summary and the outputs."""
        self._write("run.json", record.text())
        lines = report.lines() if report is not None else ()
        for line in lines:
            self.log.say(f"would {line}" if self.settings.dry_run else line)
        for warning in record.warnings:
            self.log.annotate("warning", warning)
        for model in result.deferred:
            if not model.skipped:
                self.log.annotate("warning", f"{model.model_slug}: {model.message}")
        full = (self._output / "report.md").read_text("utf-8")
        summary = Summary(record=record, published=report is not None, note=UNPUBLISHED)
        write_summary(self.runner.summary, job_summary(summary, full))
        write_outputs(self.runner.output, self._outputs(record, report))
        errors = (*undecided, *(report.errors if report is not None else ()))
        for error in errors:
            self.log.annotate("error", error)
        return EXIT_FAILED if errors else 0

    def _outputs(self, record: RunRecord, report: PublishReport | None) -> dict[str, str]:
        files = [f"{self._output / 'manifests' / model.slug}.json" for model in record.models]
        opened = run_record.changed_issues(record.plan, "create")
        updated = run_record.changed_issues(record.plan, "update", "close")
        return {
            "manifests": "\n".join(self._from_checkout(Path(file)) for file in files),
            "report": self._from_checkout(self._output / "report.md"),
            "run-record": self._from_checkout(self._output / "run.json"),
            "folder": self._from_checkout(self._output),
            "slugs": json.dumps([model.slug for model in record.models]),
            "counts": json.dumps(run_record.total(record.models)),
            "issues-opened": json.dumps(opened),
            "issues-updated": json.dumps(updated),
            "changed": "true" if report is not None and report.changed else "false",
        }

    def _from_checkout(self, path: Path) -> str:
        """The path as later steps, which are not in the container, can use it."""
        try:
            return str(path.resolve().relative_to(self.runner.workspace.resolve()))
        except ValueError:
            return str(path)


def _ignored(config: BotConfig, request: ModelRequest) -> bool:
    return bool(config.ignored([request.hf_repo_id]))


def _known(config: BotConfig, state: PublishState) -> list[ModelRequest]:
    """Every model of the state and of the configuration, each once, without the ignored ones.

    Those that could not be looked at last time are tried again.
    """
    found = {
        manifest.hf_repo_id.casefold(): ModelRequest(slug=slug, hf_repo_id=manifest.hf_repo_id)
        for slug, manifest in state.manifests.items()
    }
    for slug, entry in config.models.items():
        request = ModelRequest(slug=slug, hf_repo_id=entry.repository)
        found.setdefault(entry.repository.casefold(), request)
    for repository in state.sightings.deferred:
        found.setdefault(repository.casefold(), ModelRequest(hf_repo_id=repository))
    return [config.corrected(r) for r in found.values() if not _ignored(config, r)]


def _settle(result: RunResult, state: PublishState) -> RunResult:
    return replace(result, inventories=settled(result.inventories, state))


def _repositories(result: RunResult, state: PublishState) -> set[str]:
    """Every repository that this run knows of."""
    found = result.discovery.candidates if result.discovery is not None else ()
    return {
        *(m.hf_repo_id for m in state.manifests.values()),
        *(c.hf_repo_id for c in found if c.hf_repo_id),
        *(i.hf_repo_id for i in result.inventories),
    }


def _priorities(result: RunResult) -> dict[str, Priority]:
    found = result.discovery.candidates if result.discovery is not None else ()
    return {c.hf_repo_id: Priority(day0=c.origin == "day0") for c in found if c.hf_repo_id}


if __name__ == "__main__":
    main()
