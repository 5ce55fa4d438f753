"""The configuration file, with which a repository's maintainers correct and steer the bot.

It is YAML without anchors, aliases and tags; whatever is wrong with it is one sentence that
names the line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from discover_models.errors import DiscoverError, UsageError
from discover_models.settings import ModelRequest
from discover_models.slugs import check_slug, slug_of
from discover_models.sources.config_file import check_repo_id

LARGEST = 256 * 1024
"""Bytes that the file may have; one with hundreds of models has some thousand."""
DEEPEST = 10
"""Levels of nesting that the file may have; the schema needs four."""
SCHEMA_URL = "https://json-schema.org/draft/2020-12/schema"

_FORBIDDEN = yaml.reader.Reader.NON_PRINTABLE
_SCALAR_TAGS = re.compile(r"tag:yaml\.org,2002:(null|bool|int|float|str|value|merge)")
_URL = re.compile(r"https://[A-Za-z0-9.-]+(/[!-~]*)?")
_LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})(?:\[bot\])?")
_LABEL = re.compile(r"[^,\x00-\x1f]{1,50}")
_BRANCH = re.compile(r"(?!-)(?!.*(\.\.|//|@\{|\.lock$|/$|\.$))[A-Za-z0-9._/-]{1,200}")


def _usable(check: Callable[[str], str]) -> AfterValidator:
    """A validator out of a function that raises UsageError."""

    def checked(value: str) -> str:
        try:
            return check(value)
        except UsageError as error:
            raise ValueError(str(error)) from None

    return AfterValidator(checked)


def _pattern(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def checked(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(checked)


def _listed(value: object) -> object:
    """One value stands for a list of one."""
    return [value] if isinstance(value, int | str) else value


def _off(value: object) -> object:
    """YAML 1.1 reads a bare ``off`` as false."""
    return "off" if value is False else value


Slug = Annotated[str, _usable(check_slug)]
RepoId = Annotated[str, _usable(check_repo_id)]
Size = Annotated[int, Field(ge=1, le=4096)]
Sizes = Annotated[tuple[Size, ...], BeforeValidator(_listed)]
Url = Annotated[str, _pattern(_URL, "an https:// address")]
Login = Annotated[str, _pattern(_LOGIN, "a GitHub account")]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=lambda name: name.replace("_", "-")
    )


class ModelEntry(_Section):
    """What is known of one model better than the bot finds it."""

    repository: RepoId = Field(description="The model's repository on the Hub, ORG/MODEL.")
    tp: Sizes = Field(default=(), description="Tensor parallel sizes, in place of the cookbook's.")
    ep: Sizes = Field(default=(), description="Expert parallel sizes, in place of the cookbook's.")


class IgnoreRule(_Section):
    """Models to leave out."""

    pattern: Text = Field(
        description="Repository or slug, with * and ? as wildcards; case does not matter."
    )
    reason: Text = Field(description="Why, as the dashboard shows it.")

    def covers(self, repo_id: str) -> bool:
        """Whether a repository is meant, by its whole id or by its slug."""
        pattern = self.pattern.casefold()
        return any(fnmatchcase(n.casefold(), pattern) for n in (repo_id, slug_of(repo_id)))


def _entry(value: object) -> object:
    """A repository alone stands for an entry with nothing else."""
    return {"repository": value} if isinstance(value, str) else value


class BotConfig(_Section):
    """The file ``.github/discover-models.yml``."""

    models: dict[Slug, Annotated[ModelEntry, BeforeValidator(_entry)]] = Field(
        default_factory=dict,
        description="By slug: the repository (alone, or with tp and ep).",
    )
    ignore: tuple[IgnoreRule, ...] = Field(
        default=(), description="Models that the bot leaves out."
    )
    tracked: dict[Text, Annotated[tuple[RepoId, ...], BeforeValidator(_listed)]] = Field(
        default_factory=dict,
        description="By title in the coverage document: repositories that it stands for.",
    )
    known_requests: dict[Text, Url] = Field(
        default_factory=dict,
        description="By kernel family: the issue or pull request that asks for it already.",
    )
    kernel_requests: Annotated[Literal["auto", "approve", "off"], BeforeValidator(_off)] = Field(
        default="auto",
        description="Whether kernel requests are filed (auto), wait for a tick in the dashboard"
        " (approve) or are not made (off).",
    )
    trace_template_requests: bool = Field(
        default=False,
        description="Whether FlashInfer is also asked, in one issue, for missing trace templates.",
    )
    trusted_authors: tuple[Login, ...] = Field(
        default=(),
        description="Further accounts whose issues are the bot's, such as its former one.",
    )
    reopen_closed: bool = Field(
        default=False, description="Whether issues that a person closed are opened again."
    )
    downloads: bool = Field(
        default=False,
        description="Whether the dashboard ranks what is missing also by the models' downloads;"
        " each run then asks the Hub for those of every model.",
    )
    label: Annotated[str, _pattern(_LABEL, "the name of a label")] = Field(
        default="kernel-inventory", description="The label of the bot's issues."
    )
    state_branch: Annotated[str, _pattern(_BRANCH, "the name of a branch")] = Field(
        default="kernel-inventory", description="The branch that keeps the manifests."
    )

    def ignored(self, repo_ids: Iterable[str]) -> dict[str, str]:
        """Reasons by repository, for those that a rule covers; the first rule counts."""
        found: dict[str, str] = {}
        for repo_id in repo_ids:
            rule = next((r for r in self.ignore if r.covers(repo_id)), None)
            if rule is not None:
                found[repo_id] = rule.reason
        return found

    def corrected(self, request: ModelRequest) -> ModelRequest:
        """The request with what the file says of its model."""
        wanted = request.hf_repo_id.casefold()
        for slug, entry in self.models.items():
            if wanted == entry.repository.casefold() or (not wanted and request.slug == slug):
                return ModelRequest(
                    slug=request.slug or slug,
                    hf_repo_id=entry.repository,
                    tp=entry.tp,
                    ep=entry.ep,
                )
        return request

    @property
    def titles(self) -> dict[str, str]:
        """Titles in the coverage document by repository in lower case."""
        return {r.casefold(): title for title, ids in self.tracked.items() for r in ids}


class BotConfigError(DiscoverError):
    """The configuration file can't be used; `line` counts from one (None: no line to name)."""

    def __init__(self, file: str, line: int | None, problem: str) -> None:
        where = f"{file}, line {line}" if line is not None else file
        super().__init__(f"{where}: {problem}.")
        self.line = line


def parse_config(data: bytes, file: str) -> BotConfig:
    """The configuration in these bytes; `file` is for the error's sentence.

    Raises:
        BotConfigError: something is wrong with it.
    """
    try:
        value, lines = _read(data)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(str(error.problem or error.context).split())
        raise BotConfigError(file, mark.line + 1 if mark else None, problem) from None
    except _UnusableError as error:
        raise BotConfigError(file, error.line, str(error)) from None
    try:
        return BotConfig.model_validate(value)
    except ValidationError as error:
        path, problem = _first_problem(error)
        raise BotConfigError(file, _line_of(path, lines), problem) from None


def json_schema() -> dict[str, Any]:
    """The schema that editors check the file with, as published."""
    schema = BotConfig.model_json_schema(mode="validation")
    entry = schema["properties"]["models"]["additionalProperties"]
    schema["properties"]["models"]["additionalProperties"] = {
        "anyOf": [entry, {"type": "string", "description": "The repository, ORG/MODEL."}]
    }
    one_or_more = schema["properties"]["tracked"]["additionalProperties"]
    schema["properties"]["tracked"]["additionalProperties"] = {
        "anyOf": [one_or_more, {"type": "string"}]
    }
    for name in ("tp", "ep"):
        sizes = schema["$defs"]["ModelEntry"]["properties"][name]
        sizes["anyOf"] = [
            {"type": sizes.pop("type"), "items": sizes["items"]},
            sizes.pop("items"),
        ]
    # An editor that reads YAML 1.1 takes a bare `off` for false.
    choices = schema["properties"]["kernel-requests"]
    choices["enum"] = [*choices["enum"], False]
    choices.pop("type")
    return {"$schema": SCHEMA_URL, **schema, "title": "discover-models configuration"}


_Path = tuple[str | int, ...]


class _UnusableError(Exception):
    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Plain values only: what looks like a date stays text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own class attribute, replaced whole)
        first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _read(data: bytes) -> tuple[object, Mapping[_Path, int]]:
    """The values in the file, and the line on which each stands."""
    if len(data) > LARGEST:
        raise _UnusableError(f"the file is larger than {LARGEST // 1024} KiB", None)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _UnusableError("this is not UTF-8", line) from None
    if (bad := _FORBIDDEN.search(text)) is not None:
        line = text[: bad.start()].count("\n") + 1
        raise _UnusableError("a character that YAML does not allow", line)
    _refuse_tricks(text)
    loader = _Loader(text)
    try:
        return _built(loader)
    except (ValueError, OverflowError) as error:  # a number with thousands of digits
        raise _UnusableError(f"a value can't be read ({error})", None) from None
    finally:
        loader.dispose()


def _built(loader: yaml.SafeLoader) -> tuple[object, Mapping[_Path, int]]:
    node = loader.get_single_node()
    if node is None:
        return {}, {}
    lines: dict[_Path, int] = {}
    _note_lines(node, (), lines)
    # PyYAML's stubs leave the argument's type open.
    value: object = loader.construct_document(node)  # pyright: ignore[reportUnknownMemberType]
    return value, lines


def _refuse_tricks(text: str) -> None:
    """Refuse what makes small files large or runs code, before anything is built from it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else None
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _UnusableError("anchors and aliases are not allowed", line)
        if getattr(event, "tag", None):
            raise _UnusableError("tags (!…) are not allowed", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise _UnusableError(f"nested deeper than {DEEPEST} levels", line)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _note_lines(node: yaml.Node, path: _Path, lines: dict[_Path, int]) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_lines(item, (*path, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or not _SCALAR_TAGS.fullmatch(key.tag):
                raise _UnusableError("a key must be text", line)
            if key.tag.endswith(":merge"):
                raise _UnusableError("merge keys (<<) are not allowed", line)
            here = (*path, str(key.value))
            if here in lines:
                raise _UnusableError(f"the key {key.value[:80]!r} comes twice", line)
            key.tag = "tag:yaml.org,2002:str"  # a slug such as 2026 stays text
            _note_lines(value, here, lines)
            lines[here] = line


def _line_of(path: _Path, lines: Mapping[_Path, int]) -> int | None:
    """The line of a value, or of the nearest one around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _first_problem(error: ValidationError) -> tuple[_Path, str]:
    """Where the first mistake is and what it is, in one sentence without its full stop."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = tuple(part for part in first["loc"] if part != "[key]")
    name = ".".join(str(part) for part in path) or "the whole file"
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "extra_forbidden":
        message = f"there is no setting {str(path[-1])[:80]!r}"
        around = path[:-1]
        name = ".".join(str(part) for part in around)
    elif first["type"] == "model_type":
        message = "this must be a mapping of settings"
    text = f"{name}: {message}" if name else message
    return path, " ".join(text.split())[:500]
