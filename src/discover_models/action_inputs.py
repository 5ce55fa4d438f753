"""What the Actions runner hands over: inputs and surroundings as checked values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError

from discover_models.domain.frozen import Frozen
from discover_models.errors import UsageError
from discover_models.settings import RunOptions
from discover_models.slugs import check_slug
from discover_models.sources.config_file import check_repo_id
from discover_models.sources.since import parse_since
from discover_models.sources.source_spec import parse_source

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_TOKEN = re.compile(r"[!-~]*")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}(\[bot\])?")
_REPOSITORY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*/(?!\.{1,2}$)[A-Za-z0-9._-]+")
_EVENT = re.compile(r"[a-z_]*")


def _flag(value: object) -> object:
    """`true` and `false` as YAML and people write them."""
    text = str(value).strip().casefold()
    if text in (*_TRUE, *_FALSE):
        return text in _TRUE
    raise ValueError("say true or false")


def _count(value: object) -> object:
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]{1,4}", text):
        raise ValueError("say a whole number from 0 to 9999")
    return int(text)


def _lines(value: object) -> tuple[str, ...]:
    """One item a line; blank lines and comments (#) are left out."""
    items = (line.strip() for line in str(value).splitlines())
    return tuple(item for item in items if item and not item.startswith("#"))


def _checked(check: Callable[[str], object]) -> BeforeValidator:
    """The stripped text, if the check, which raises UsageError, has nothing against it."""

    def validator(value: object) -> str:
        text = str(value).strip()
        if text:
            try:
                check(text)
            except UsageError as error:
                raise ValueError(str(error)) from None
        return text

    return BeforeValidator(validator)


def _matches(pattern: re.Pattern[str], what: str, *, quote: bool = True) -> BeforeValidator:
    def validator(value: object) -> str:
        text = str(value).strip()
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}" if quote else f"this is not {what}")
        return text

    return BeforeValidator(validator)


def _since(text: str) -> None:
    parse_since(text, datetime.now(UTC))


def _sources(value: object) -> object:
    items = _lines(value)
    for item in items:
        try:
            parse_source(item)
        except UsageError as error:
            raise ValueError(str(error).removeprefix("--source ")) from None
    return items


def _relative(value: object) -> object:
    text = str(value).strip()
    path = PurePosixPath(text)
    if "\0" in text or path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("say a path inside the repository")
    return path


def _folder(value: object) -> object:
    text = str(value).strip()
    if not text or "\0" in text:
        raise ValueError("say a folder")
    return Path(text)


def _optional_folder(value: object) -> object:
    return _folder(value) if str(value).strip() else None


Flag = Annotated[bool, BeforeValidator(_flag)]
_SECRET = _matches(_TOKEN, "a token", quote=False)


class ActionSettings(BaseModel):
    """The inputs of the action; names, defaults and number are those of ``action.yml``."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-")
    )

    model_name: Annotated[str, _checked(check_slug)] = ""
    hf_repo_id: Annotated[str, _checked(check_repo_id)] = ""
    since: Annotated[str, _checked(_since)] = "30 days ago"
    refresh: Flag = True
    github_token: Annotated[SecretStr, _SECRET] = SecretStr("")
    hf_token: Annotated[SecretStr, _SECRET] = SecretStr("")
    bot_login: Annotated[str, _matches(_LOGIN, "a GitHub account")] = "github-actions[bot]"
    config: Annotated[PurePosixPath, BeforeValidator(_relative)] = PurePosixPath(
        ".github/discover-models.yml"
    )
    workspace: Annotated[Path, BeforeValidator(_folder)] = Path("tmp")
    sources: Annotated[tuple[str, ...], BeforeValidator(_sources)] = ()
    offline: Flag = False
    configs: Annotated[Path | None, BeforeValidator(_optional_folder)] = None
    max_new_issues: Annotated[int, BeforeValidator(_count)] = 10
    kernel_request_repo: Annotated[str, _matches(_REPOSITORY, "OWNER/NAME of a repository")] = (
        "flashinfer-ai/flashinfer"
    )
    kernel_request_token: Annotated[SecretStr, _SECRET] = SecretStr("")
    max_new_kernel_requests: Annotated[int, BeforeValidator(_count)] = 3
    dry_run: Flag = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ActionSettings:
        """The settings in ``INPUT_…`` variables; an empty one counts as not given.

        Raises:
            UsageError: the sentence names the input and what is wrong with it.
        """
        given: dict[str, Any] = {}
        for name in input_names():
            value = environment.get(variable_of(name), "")
            if value.strip():
                given[name] = value
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            problem = first["msg"].removeprefix("Value error, ").rstrip(".")
            raise UsageError(f"the input {first['loc'][0]}: {problem}.") from None


def input_names() -> tuple[str, ...]:
    """The names of all inputs, as in ``action.yml``."""
    return tuple(name.replace("_", "-") for name in ActionSettings.model_fields)


def variable_of(name: str) -> str:
    """The environment variable in which the runner hands over an input."""
    return f"INPUT_{name.replace(' ', '_').upper()}"


class Runner(Frozen):
    """Where the action runs and what started it."""

    event_name: str = ""
    """``schedule``, ``workflow_dispatch``, …; empty outside of Actions."""
    event_path: Path | None = None
    repository: str = ""
    """OWNER/NAME; empty outside of Actions."""
    workspace: Path = Path()
    """The checkout, from which relative paths count."""
    output: Path | None = None
    summary: Path | None = None
    api_url: str = "https://api.github.com"
    server_url: str = "https://github.com"
    run_id: str = ""
    run_attempt: str = ""
    hub_endpoint: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Runner:
        """The surroundings in ``GITHUB_…`` variables and ``HF_ENDPOINT``.

        Raises:
            UsageError: one of them is not what a runner sets.
        """
        _check(environment, "GITHUB_REPOSITORY", _REPOSITORY)
        _check(environment, "GITHUB_EVENT_NAME", _EVENT)
        for name in ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"):
            _check(environment, name, re.compile(r"[0-9]+"))
        return cls(
            event_name=environment.get("GITHUB_EVENT_NAME", ""),
            event_path=_path(environment, "GITHUB_EVENT_PATH"),
            repository=environment.get("GITHUB_REPOSITORY", ""),
            workspace=_path(environment, "GITHUB_WORKSPACE") or Path.cwd(),
            output=_path(environment, "GITHUB_OUTPUT"),
            summary=_path(environment, "GITHUB_STEP_SUMMARY"),
            api_url=_address(environment, "GITHUB_API_URL", "https://api.github.com"),
            server_url=_address(environment, "GITHUB_SERVER_URL", "https://github.com"),
            run_id=environment.get("GITHUB_RUN_ID", ""),
            run_attempt=environment.get("GITHUB_RUN_ATTEMPT", ""),
            hub_endpoint=environment.get("HF_ENDPOINT") or None,
        )

    @property
    def run_url(self) -> str:
        """The page of this run; empty when it has none."""
        if not self.run_id or not self.server_url.startswith("https://"):
            return ""
        return f"{self.server_url}/{self.repository}/actions/runs/{self.run_id}"

    def inside(self, path: Path) -> Path:
        """A path of an input, from the checkout when it is relative."""
        return self.workspace / path

    def event(self) -> dict[str, Any]:
        """What GitHub tells of the event; empty when that can't be read."""
        try:
            data: object = json.loads(self.event_path.read_bytes()) if self.event_path else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def run_options(
    settings: ActionSettings, runner: Runner, *, tracked: Mapping[str, str]
) -> RunOptions:
    """Where a run of the action finds everything; what it is to do is still left open."""
    workspace = runner.inside(settings.workspace)
    return RunOptions(
        tracked=tracked,
        refresh=settings.refresh,
        workspace=workspace,
        sources=settings.sources,
        offline=settings.offline,
        configs=runner.inside(settings.configs) if settings.configs else None,
        hub_endpoint=runner.hub_endpoint,
        hub_token=settings.hf_token.get_secret_value() or None,
        hub_cache=workspace / ".hub-cache",
        cache_dir=workspace / ".read-cache",
    )


def _check(environment: Mapping[str, str], name: str, pattern: re.Pattern[str]) -> None:
    value = environment.get(name, "")
    if value and not pattern.fullmatch(value):
        raise UsageError(f"{name} is {value!r}, which no runner sets.")


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(name, "")
    if "\0" in value:
        raise UsageError(f"{name} is no path.")
    return Path(value) if value else None


def _address(environment: Mapping[str, str], name: str, default: str) -> str:
    value = environment.get(name, "") or default
    try:
        parts = urlsplit(value)
    except ValueError:
        raise UsageError(f"{name} is no address.") from None
    if parts.scheme not in ("https", "http", "file") or "@" in parts.netloc:
        raise UsageError(f"{name} is no address without a user name.")
    return value.rstrip("/")
