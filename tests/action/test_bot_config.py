"""The configuration file: what it can say, and one clear sentence for everything else."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from discover_models.bot_config import LARGEST, BotConfig, BotConfigError, json_schema, parse_config
from discover_models.settings import ModelRequest

FULL = b"""\
models:
  sample-8b: sample-org/Sample-8B
  2026:
    repository: sample-org/Sample-MoE
    tp: [4, 8]
    ep: 1
ignore:
  - pattern: '*-GGUF'
    reason: quantised elsewhere
  - {pattern: 'other-org/*', reason: not ours}
tracked:
  Sample 7B: [sample-org/Sample-7B-v2]
  Sample 9B: sample-org/Sample-9B
known-requests:
  gdn: https://github.com/octo/kernels/issues/7
kernel-requests: off
trusted-authors: ['old-bot[bot]', somebody]
reopen-closed: true
downloads: true
label: kernels
state-branch: bot/state
"""


def parse(text: bytes | str) -> BotConfig:
    data = text.encode() if isinstance(text, str) else text
    return parse_config(data, "bot.yml")


def test_everything_can_be_said() -> None:
    config = parse(FULL)
    assert config.models["2026"].tp == (4, 8)
    assert config.models["2026"].ep == (1,)
    assert config.kernel_requests == "off"
    assert config.downloads
    assert config.trusted_authors == ("old-bot[bot]", "somebody")
    assert config.titles["sample-org/sample-9b"] == "Sample 9B"
    assert (config.label, config.state_branch, config.reopen_closed) == (
        "kernels",
        "bot/state",
        True,
    )


@pytest.mark.parametrize("text", ["", "# only a comment\n", "\ufeff"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert parse(text) == BotConfig()


def test_a_model_is_corrected_by_repository_and_by_slug() -> None:
    config = parse(FULL)
    by_repository = config.corrected(ModelRequest(hf_repo_id="SAMPLE-ORG/sample-moe"))
    assert by_repository == ModelRequest(
        slug="2026", hf_repo_id="sample-org/Sample-MoE", tp=(4, 8), ep=(1,)
    )
    by_slug = config.corrected(ModelRequest(slug="sample-8b"))
    assert by_slug.hf_repo_id == "sample-org/Sample-8B"
    other = ModelRequest(slug="sample-8b", hf_repo_id="else/Where")
    assert config.corrected(other) == other


def test_the_first_rule_that_covers_a_model_is_the_reason() -> None:
    config = parse(FULL)
    ids = ["sample-org/sample-8b-gguf", "other-org/X-GGUF", "other-org/Y", "sample-org/Z"]
    assert config.ignored(ids) == {
        "sample-org/sample-8b-gguf": "quantised elsewhere",
        "other-org/X-GGUF": "quantised elsewhere",
        "other-org/Y": "not ours",
    }


WRONG = {
    "unknown setting": ("models: {}\nkernel_requests: off\n", 2, "no setting 'kernel_requests'"),
    "unknown in a model": ("models:\n  a:\n    repository: x/y\n    dp: 2\n", 4, "no setting 'dp'"),
    "missing repository": ("models:\n  a:\n    tp: 2\n", 2, "models.a.repository"),
    "bad repository": ("models:\n  b: x/y\n  a: --upload-pack=x\n", 3, "ORG/MODEL"),
    "bad slug": ("models:\n  ../a: x/y\n", 2, "model name"),
    "bad size": ("models:\n  a:\n    repository: x/y\n    tp: [2, 0]\n", 4, "tp"),
    "no reason": ("ignore:\n  - reason: x\n    pattern: y\n  - pattern: '*'\n", 4, "reason"),
    "bad choice": ("kernel-requests: maybe\n", 1, "'auto', 'approve' or 'off'"),
    "no https": ("known-requests:\n\n  gdn: javascript:alert(1)\n", 3, "https://"),
    "bad account": ("trusted-authors:\n  - ok\n  - 'a b'\n", 3, "GitHub account"),
    "bad branch": ("state-branch: a..b\n", 1, "branch"),
    "twice": ("label: a\nignore: []\nlabel: b\n", 3, "comes twice"),
    "a list": ("\n- a\n", 2, "mapping"),
    "bad YAML": ("label: 'a\n", 2, ""),
    "alias": ("a: &x [1]\nb: *x\n", 1, "anchors and aliases"),
    "object": ("label: !!python/object/apply:os.system [id]\n", 1, "tags"),
    "merge": ("<<: {label: x}\n", 1, "merge keys"),
    "list as key": ("? [a]\n: 1\n", 1, "a key must be text"),
    "deep": ("label: x\nmodels: " + "[" * 100_000, 2, "nested deeper"),
    "NUL": ("label: x\nmodels: \0", 2, "does not allow"),
    "two documents": ("label: x\n---\nlabel: y\n", 2, "document"),
    "a date": ("label: 2026-13-45\nstate-branch: 5\n", 2, "state-branch"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_one_sentence_with_its_line(case: str) -> None:
    text, line, words = WRONG[case]
    with pytest.raises(BotConfigError) as caught:
        parse(text)
    said = str(caught.value)
    assert said.startswith(f"bot.yml, line {line}: ")
    assert words in said
    assert "\n" not in said
    assert len(said) < 700


def test_not_utf8_and_too_large() -> None:
    with pytest.raises(BotConfigError, match=r"line 2: this is not UTF-8"):
        parse(b"label: x\nmodels: \xff\n")
    with pytest.raises(BotConfigError, match="larger than"):
        parse(b"#" * (LARGEST + 1))


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
@settings(max_examples=300, deadline=None)
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    said = ""
    try:
        parse(data)
    except BotConfigError as error:
        said = str(error)
    assert "\n" not in said


def test_the_published_schema_takes_what_the_program_takes() -> None:
    published = Path(__file__).parents[2] / "docs" / "discover-models.schema.json"
    schema = json.loads(published.read_text("utf-8"))
    assert schema == json_schema()
    check = jsonschema_rs.Draft202012Validator(schema).is_valid
    assert check({str(k): v for k, v in yaml.safe_load(FULL).items() if k != "models"})
    assert check({"models": {"a": "x/y", "b": {"repository": "x/z", "tp": 2, "ep": [1]}}})
    assert not check({"modles": {}})
    assert not check({"models": {"a": {"tp": 2}}})
