"""Inputs become settings, or one sentence that names the input."""

from __future__ import annotations

from pathlib import Path

import pytest

from discover_models.action_inputs import ActionSettings, Runner, variable_of
from discover_models.action_job import choose_job
from discover_models.errors import UsageError
from discover_models.settings import ModelRequest


def read(**inputs: str) -> ActionSettings:
    return ActionSettings.from_environment(
        {variable_of(name.replace("_", "-")): value for name, value in inputs.items()}
    )


def test_the_runner_keeps_dashes() -> None:
    assert variable_of("model-name") == "INPUT_MODEL-NAME"
    assert read(model_name=" demo-8b ").model_name == "demo-8b"


def test_values_of_every_kind() -> None:
    settings = read(
        refresh="False",
        dry_run="yes",
        max_new_issues="0",
        sources="# mirrors\n\nsglang=https://example.org/s@main\nflashinfer=/srv/f\n",
        configs="folder",
    )
    assert (settings.refresh, settings.dry_run, settings.max_new_issues) == (False, True, 0)
    assert settings.sources == ("sglang=https://example.org/s@main", "flashinfer=/srv/f")
    assert settings.configs == Path("folder")


def test_an_empty_input_stands_for_its_default() -> None:
    names = [name for name in ActionSettings.model_fields if name != "configs"]
    assert read(**dict.fromkeys(names, " ")) == ActionSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_name", "../x"),
        ("model_name", "--help"),
        ("model_name", "a\nb"),
        ("hf_repo_id", "x/y/z"),
        ("hf_repo_id", "--upload-pack=x"),
        ("since", "yesterday"),
        ("refresh", "perhaps"),
        ("bot_login", "a b"),
        ("config", "/etc/passwd"),
        ("config", "../x.yml"),
        ("sources", "sglang=ssh://x"),
        ("sources", "sglang=https://user:pass@example.org/x"),
        ("sources", "other=https://example.org/x"),
        ("max_new_issues", "-1"),
        ("max_new_issues", "many"),
        ("max_new_issues", "٣"),
        ("workspace", "a\0b"),
    ],
)
def test_a_wrong_input_is_named(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^the input {name.replace('_', '-')}: ") as caught:
        read(**{name: value})
    assert "pydantic" not in str(caught.value)


def test_a_token_shows_nowhere() -> None:
    assert "canary" not in repr(read(github_token="canary", hf_token="canary"))
    with pytest.raises(UsageError) as caught:
        read(github_token="canary\nnext")
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_REPOSITORY", "a/../b"),
        ("GITHUB_REPOSITORY", "octo/.."),
        ("GITHUB_EVENT_NAME", "x\n::error::"),
        ("GITHUB_API_URL", "ftp://example.org"),
        ("GITHUB_SERVER_URL", "https://user@example.org"),
        ("GITHUB_RUN_ID", "1/../2"),
    ],
)
def test_surroundings_that_no_runner_sets_are_refused(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        Runner.from_environment({name: value})


def test_the_runs_page() -> None:
    runner = Runner.from_environment({"GITHUB_REPOSITORY": "octo/bench", "GITHUB_RUN_ID": "7"})
    assert runner.run_url == "https://github.com/octo/bench/actions/runs/7"
    assert Runner.from_environment({}).run_url == ""


ONE = ModelRequest(slug="demo-8b")
JOBS = [
    # event, with a model's name, without one
    ("schedule", "scheduled", "scheduled"),
    ("workflow_dispatch", "one model", "scheduled"),
    ("repository_dispatch", "one model", "scheduled"),
    ("", "one model", "scheduled"),
    ("pull_request", "nothing", "nothing"),
    ("push", "nothing", "nothing"),
    ("issues", "nothing", "nothing"),
]


@pytest.mark.parametrize(("event", "with_model", "without"), JOBS)
def test_each_event_has_its_job(event: str, with_model: str, without: str) -> None:
    named = choose_job(ActionSettings.model_validate({"model-name": "demo-8b"}), event)
    assert named.name == with_model
    assert named.models == ((ONE,) if with_model == "one model" else ())
    plain = choose_job(ActionSettings(), event)
    assert plain.name == without
    assert bool(plain.notice) == (without == "nothing")


def test_a_repository_alone_asks_for_one_model() -> None:
    settings = ActionSettings.model_validate({"hf-repo-id": "x/Y"})
    assert choose_job(settings, "workflow_dispatch").models == (ModelRequest(hf_repo_id="x/Y"),)
