"""Events, comments and issue bodies that strangers made up: nothing comes of them but text."""

from __future__ import annotations

import copy
import json
import os
import re
from datetime import UTC, datetime
from typing import Any

import pytest
import requests.adapters
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from action.fake_runner import FakeRunner
from action.recorded import RECORDED
from discover_models.action import run_action
from discover_models.action_inputs import ActionSettings
from discover_models.action_job import MAY_COMMAND, Job, choose_job
from discover_models.onboarding.command import NAME, parse_command
from discover_models.publish import markers
from discover_models.publish.markers import Damaged, Marker, Section
from discover_models.publish.plan import untouchable
from discover_models.render.onboarding import answer_body
from discover_models.slugs import check_slug
from discover_models.sources import git as git_source
from discover_models.sources.config_file import check_repo_id
from emulator.server import Emulator
from hosts import BOT, FakeTime
from markdown_tree import STRINGS, shown, structure
from torture.mangle import ODD_VALUES, TRICKS, places

EXAMPLES = int(os.environ.get("DISCOVER_MODELS_EXAMPLES", "100"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="DISCOVER_MODELS_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
EVENTS = ("pull_request_target", "issue_comment", "pull_request", "push", "$(id)")
TEXT = st.one_of(
    STRINGS,
    st.sampled_from([trick.decode("utf-8", "replace") for trick in TRICKS]),
    st.text(max_size=40),
)


def _comment(start: str, words: list[str], end: str) -> str:
    return f"{start}{NAME} {' '.join(words)}{end}"


COMMANDS = st.builds(
    _comment,
    st.sampled_from(["", " ", "> ", "\ufeff", "\0"]),
    st.lists(TEXT | st.sampled_from(["qwen3-8b", "Qwen/Qwen3-8B", "--offline"]), max_size=4),
    st.sampled_from(["", "\n@octo #1", "\r\n<!-- discover-models:end -->", "\u2028::error::x"]),
)
ASSOCIATIONS = st.sampled_from(
    [
        *sorted(MAY_COMMAND),
        "CONTRIBUTOR",
        "NONE",
        "FIRST_TIMER",
        "MANNEQUIN",
        "member",
        "OWNER ",
        "",
    ]
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """A recorded event with a command, whose values were replaced, removed or made up."""
    payload = copy.deepcopy(RECORDED[draw(st.sampled_from(sorted(RECORDED)))])
    payload["action"] = draw(st.sampled_from(["created", "opened", "edited", "deleted", "\0"]))
    if "comment" in payload:
        payload["comment"]["body"] = draw(COMMANDS)
        payload["comment"]["author_association"] = draw(ASSOCIATIONS)
        payload["comment"]["user"]["login"] = draw(st.sampled_from(["octo", BOT, BOT.upper()]))
    for _ in range(draw(st.integers(0, 3))):
        holder, key = draw(st.sampled_from(list(places(payload))))
        if draw(st.booleans()):
            holder[key] = copy.deepcopy(draw(ODD_VALUES | TEXT))
        else:
            del holder[key]
    return payload


def commanded(payload: dict[str, Any]) -> bool:
    """Whether somebody who may wrote a command, said here once more."""
    said: Any = payload.get("comment")
    return (
        payload.get("action") == "created"
        and said["author_association"] in ("OWNER", "MEMBER", "COLLABORATOR")
        and str((said.get("user") or {}).get("login", "")).lower() != BOT
        and said["body"].split("\n")[0].split()[:1] == [NAME]
    )


@BOUNDED
@given(st.sampled_from(EVENTS), events())
def test_an_event_decides_nothing_but_which_number_is_looked_at(
    event: str, payload: dict[str, Any]
) -> None:
    inputs = ActionSettings.model_validate({"model-name": "of-the-workflow"})
    job = choose_job(inputs, event, payload)
    assert job.models == ()
    assert not job.takes_inventory
    if job.name == "comment":
        assert event == "issue_comment"
        assert commanded(payload)
    if job.name == "pull request":
        assert event == "pull_request_target"
        assert job.number == payload["pull_request"]["number"]


@BOUNDED
@given(COMMANDS)
@example(f"{NAME} " + "9" * 5000)
def test_a_command_names_a_model_or_says_how_to(body: str) -> None:
    command = parse_command(body)
    if command is None:
        return
    if not command.problem:
        assert (command.slug and check_slug(command.slug)) or check_repo_id(command.hf_repo_id)
        return
    answer = answer_body((), (), {}, 60_000, problem=command.problem)
    harmless = answer_body((), (), {}, 60_000, problem="It is no name.")
    assert {item[0] for item in structure(answer)} <= {item[0] for item in structure(harmless)} | {
        "html_inline"
    }
    assert not re.search(r"@[A-Za-z0-9]|#\d", shown(answer))
    assert "<!--" not in answer


@BOUNDED
@given(st.sampled_from(EVENTS[:2]), events())
def test_what_nobody_may_ask_for_reaches_neither_github_nor_a_model(
    tmp_path_factory: pytest.TempPathFactory, event: str, payload: dict[str, Any]
) -> None:
    """The action itself, which must not send a single request or start a single process."""
    job = choose_job(ActionSettings(), event, payload)
    if job.name != "nothing":
        return
    folder = tmp_path_factory.mktemp("run")
    runner = FakeRunner(folder)
    (folder / "event.json").write_bytes(json.dumps(payload).encode("utf-8", "surrogatepass"))
    environment = runner.environment(
        event,
        {"github-token": Emulator.token(BOT)},
        GITHUB_EVENT_PATH=str(folder / "event.json"),
        GITHUB_API_URL="http://127.0.0.1:9",
    )
    log: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.adapters.HTTPAdapter, "send", _never)
        patch.setattr(git_source, "run", _never)
        assert run_action(environment, log.append, FakeTime().timing()) == 0
    assert [line for line in log if line.startswith("::notice::")]
    assert not [line for line in log if line.startswith("::error::")]
    assert all("\n" not in line and "\r" not in line for line in log)
    assert runner.outputs == {"changed": "false"}
    assert sorted(path.name for path in runner.workspace.iterdir()) == []


def _never(*_arguments: Any, **_more: Any) -> Any:
    raise AssertionError("something was asked for")


MARKER = Marker(kind="tracking", key="org/model")
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
OURS = markers.compose(
    MARKER, f"Text\n{markers.box('a', 'one')}\n{markers.box('b', 'two')}", {"a": [1]}, NOW
)
NEW = markers.compose(MARKER, f"Other\n{markers.box('b', 'two')}", {"a": [2]}, NOW)
FORGED = st.sampled_from(
    ["<!-- discover-models:begin v1 tracking org/model -->", "<!-- discover-models:end -->",
     "<!-- discover-models:begin v999999 dashboard all -->",
     "- [x] z <!-- discover-models:box z -->",
     '<!-- discover-models:facts {"facts": {}, "written": "2026-01-01T00:00:00+00:00"} -->',
     '<!-- discover-models:facts {"facts": {"n": ' + "9" * 5000 + "}} -->",
     "<!-- discover-models:facts " + '{"a":' * 2000 + "}" * 2000 + " -->",
     "[x]", "-->", "<!--", "\r\n", "\n"]
)  # fmt: skip


@st.composite
def edited_bodies(draw: st.DrawFn) -> str:
    """Our body as somebody left it who may edit it: cut, doubled, with more fences."""
    text = f"Above.\n\n{OURS}\n\nBelow.\n"
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 120)))
        piece = draw(FORGED | TEXT)
        how = draw(st.sampled_from(["cut", "double", "insert", "line", "truncate"]))
        text = {
            "cut": text[:start] + text[end:],
            "double": text[:end] + text[start:end] + text[end:],
            "insert": text[:start] + piece + text[start:],
            "line": text[:start] + f"\n{piece}\n" + text[start:],
            "truncate": text[:start],
        }[how]
    return text


@BOUNDED
@given(edited_bodies())
@example(OURS + "\n" + OURS)
@example(OURS.replace("begin v1", "begin v2"))
def test_of_an_edited_body_only_what_is_certainly_ours_is_replaced(body: str) -> None:
    found = markers.parse(body)
    if isinstance(found, Damaged):
        assert untouchable(found, ("tracking", "org/model"))
        with pytest.raises(ValueError, match="fences"):
            markers.replace(body, NEW)
        return
    after = markers.replace(body, NEW)
    again = markers.parse(after)
    assert isinstance(again, Section), after
    assert (again.marker, again.facts, again.written) == (MARKER, {"a": [2]}, NOW)
    if isinstance(found, Section):
        assert (again.before, again.after) == (found.before, found.after)
        assert markers.ticked(again.text) == markers.ticked(found.text) & {"b"}
    else:
        assert after.startswith(body.rstrip())
        assert after.endswith(NEW)
    assert markers.replace(after, NEW) == after


def test_the_events_reach_every_job() -> None:
    """So that the tests above say something."""
    reached: set[str] = set()

    @settings(BOUNDED, max_examples=400)
    @given(st.sampled_from(EVENTS), events())
    def look(event: str, payload: dict[str, Any]) -> None:
        job: Job = choose_job(ActionSettings(), event, payload)
        reached.add(job.name)

    look()
    assert reached == {"nothing", "comment", "pull request"}
