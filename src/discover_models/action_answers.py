"""The jobs that strangers' events cause: a comment on a pull request, an answer to a command.

The change is read through the API as data. Nothing of it is checked out, run, or made a path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from discover_models.action_inputs import ActionSettings, Runner, run_options
from discover_models.action_job import Job
from discover_models.bot_config import BotConfig, parse_config
from discover_models.errors import SourceError, UsageError
from discover_models.onboarding.change import (
    COVERAGE_PATH,
    Change,
    ChangedFile,
    touches_onboarding,
)
from discover_models.onboarding.checklist import Checked, Checklist
from discover_models.onboarding.run import Wishes, check
from discover_models.pipeline import run
from discover_models.publish.comments import WantedComment, keep
from discover_models.publish.issues import BODY_LIMIT, RefusedError
from discover_models.publish.pulls import MOST_FILES, GitHubPulls, Pull
from discover_models.publish.waiting import Timing
from discover_models.render.onboarding import answer_body, onboarding_body, onboarding_facts
from discover_models.runner import Log, write_outputs, write_summary
from discover_models.settings import ModelRequest, RunOptions

ONBOARDING, ANSWER = "onboarding", "answer"
MOST_DEFINITIONS = 60
"""Definition files of one change that are read; each costs a request."""


@dataclass(frozen=True)
class Answers:
    """One run for one event."""

    settings: ActionSettings
    runner: Runner
    log: Log
    timing: Timing

    def run(self, job: Job) -> None:
        """Do the job; GitHub's refusal of a comment puts it into the job summary.

        Raises:
            PublishError: GitHub can't be used.
            SourceError: the dataset can't be read.
            UsageError: the workspace or the configuration can't be used.
        """
        if not self.runner.repository:
            raise UsageError("GITHUB_REPOSITORY is not set: where is the pull request?")
        github = GitHubPulls(
            self.runner.repository,
            self.settings.github_token.get_secret_value(),
            self.timing,
            api_url=self.runner.api_url,
        )
        try:
            file = str(self.settings.config)
            data = github.file(file)
            config = parse_config(data, file) if data is not None else BotConfig()
            changed = (
                self._pull_request(job.number, github, config)
                if job.name == "pull request"
                else self._answer(job, github, config)
            )
        finally:
            github.close()
        write_outputs(self.runner.output, {"changed": "true" if changed else "false"})

    def _pull_request(self, number: int, github: GitHubPulls, config: BotConfig) -> bool:
        pull = github.pull(number)
        if pull is None or pull.state == "closed":
            self.log.annotate("notice", f"There is nothing to do: #{number} is not open.")
            return False
        files = github.changed_files(number)
        labelled = config.label.casefold() in {label.casefold() for label in pull.labels}
        checked = None
        if touches_onboarding(files) or labelled:
            wishes = Wishes(config.tracked, config.known_requests)
            change = replace(change_of(pull, files, github), labelled=labelled)
            checked = check(change, wishes, self._options(config), self.log.say)
        if checked is None:
            self.log.annotate("notice", f"#{number} claims nothing of any definition.")
        wanted = _onboarding(number, checked or _NOTHING, only_update=checked is None)
        return self._keep(number, wanted, github, config, locked=pull.locked)

    def _answer(self, job: Job, github: GitHubPulls, config: BotConfig) -> bool:
        command = job.command
        assert command is not None, "a comment's job has its command"
        if command.problem:
            return self._say(job, github, config, lambda limit: _problem(command.problem, limit))
        asked = config.corrected(ModelRequest(slug=command.slug, hf_repo_id=command.hf_repo_id))
        try:
            result = run(replace(self._options(config), models=(asked,)), self.log.say)
        except UsageError as error:
            problem = str(error)
            return self._say(job, github, config, lambda limit: _problem(problem, limit))
        return self._say(
            job,
            github,
            config,
            lambda limit: answer_body(result.inventories, result.deferred, result.origins, limit),
        )

    def _say(
        self, job: Job, github: GitHubPulls, config: BotConfig, render: Callable[[int], str]
    ) -> bool:
        """Answer a comment once: a run that is started again finds the answer there."""
        facts = {"answers": job.comment}
        wanted = WantedComment(ANSWER, str(job.comment), facts, render)
        return self._keep(job.number, wanted, github, config)

    def _options(self, config: BotConfig) -> RunOptions:
        return run_options(self.settings, self.runner, tracked=config.titles)

    def _keep(
        self,
        number: int,
        wanted: WantedComment,
        github: GitHubPulls,
        config: BotConfig,
        *,
        locked: bool = False,
    ) -> bool:
        """Whether anything was written on GitHub."""
        unwritten = self._unwritten(locked=locked)
        authors = frozenset({self.settings.bot_login, *config.trusted_authors})
        now = datetime.fromtimestamp(self.timing.clock(), UTC)
        if not unwritten:
            try:
                plan = keep(number, wanted, github, authors, now)
                self.log.say(f"comment on #{number}: {plan.action} ({plan.reason})")
                return plan.action in ("create", "update") or bool(plan.younger)
            except RefusedError as error:
                unwritten = f"GitHub does not let the comment be written: {error}"
        if not wanted.only_update:
            self.log.annotate("warning", f"{unwritten} It is in the job summary.")
            write_summary(self.runner.summary, wanted.render(BODY_LIMIT) + "\n")
        return False

    def _unwritten(self, *, locked: bool) -> str:
        """Why nothing is to be written; empty when it is."""
        if self.settings.dry_run:
            return "This is a dry run, so there is no comment."
        if not self.settings.github_token.get_secret_value():
            return "There is no github-token, so there is no comment."
        return "The conversation is locked, so there is no comment." if locked else ""


_NOTHING = Checked(
    checklist=Checklist(rows=()),
    dataset="",
    inventories=(),
    deferred=(),
    more_models=(),
    origins={},
)


def _onboarding(number: int, checked: Checked, *, only_update: bool) -> WantedComment:
    return WantedComment(
        kind=ONBOARDING,
        key=str(number),
        facts=onboarding_facts(checked),
        render=lambda limit: onboarding_body(checked, limit),
        only_update=only_update,
    )


def _problem(problem: str, limit: int) -> str:
    return answer_body((), (), {}, limit, problem=problem)


def change_of(pull: Pull, files: tuple[ChangedFile, ...], github: GitHubPulls) -> Change:
    """The pull request as data: its files at its own commit, and the document it branched from.

    A pull request of a fork is read from the repository itself, which has its commits too.
    """
    texts = _Texts(github, {})
    after = texts.read(COVERAGE_PATH, pull.head)
    before = after
    if any(COVERAGE_PATH in (file.path, file.previous_path) for file in files):
        before = texts.read(COVERAGE_PATH, github.branched_at(pull))
    definitions = [file.path for file in files if file.definition]
    read = {path: texts.read(path, pull.head) for path in definitions[:MOST_DEFINITIONS]}
    for path in definitions[MOST_DEFINITIONS:]:
        texts.unread[path] = f"only {MOST_DEFINITIONS} definition files are looked at"
    return Change(
        number=pull.number,
        body=pull.body,
        files=files,
        before=before or "",
        after=after or "",
        definitions={path: text for path, text in read.items() if text is not None},
        unread=texts.unread,
        complete=len(files) >= pull.changed_files or len(files) < MOST_FILES,
    )


@dataclass(frozen=True)
class _Texts:
    github: GitHubPulls
    unread: dict[str, str]

    def read(self, path: str, commit: str) -> str | None:
        """The text; None where there is none, with the reason where it can't be read."""
        try:
            return self.github.text(path, commit)
        except SourceError as error:
            self.unread[path] = str(error)
            return None
