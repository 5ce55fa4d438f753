import time
from pathlib import Path

import pytest

from discover_models.domain.kernel import Parallelism
from discover_models.errors import SourceError
from discover_models.sources.cookbook import (
    ServingConfig,
    parallelism_for,
    read_cookbook,
)
from discover_models.sources.cookbook_yaml import parse_cookbook
from discover_models.sources.launch_args import read_launch_args

FILE = "data/models/generated/v0.5.6/tiny.yaml"
TINY = """vendor: tiny
families:
- name: Tiny-1
  models:
  - name: Tiny-1-8B
    model_path: tiny/Tiny-1-8B
    attributes:
      llm: {thinking_capability: thinking}
    hardware:
      H100:
        configurations:
        - name: default
          attributes: &a {quantization: fp8}
          quantized_model_path: null
          engine: {tp: 2, dp: null, ep: null, enable_dp_attention: null, extra_args: []}
          prefill: null
          decode: null
        - name: dp
          attributes: *a
          quantized_model_path: tiny/Tiny-1-8B-FP8
          engine: {tp: 8, dp: 4, ep: 8, enable_dp_attention: true}
        - name: split
          attributes: {}
          engine: null
          prefill: {tp: 4, extra_args: [--ep-size, '4', --enable-dp-attention, --dp=2]}
          decode: {tp: 1, extra_args: [--tensor-parallel-size 16]}
  - name: Draw
    model_path: tiny/Draw
    attributes: {diffusion: {}}
    hardware: {}
"""


def configs(text: str = TINY) -> tuple[ServingConfig, ...]:
    return tuple(c for model in parse_cookbook(text, FILE) for c in model.configurations)


def test_models() -> None:
    llm, draw = parse_cookbook(TINY, FILE)
    assert (llm.model_path, llm.family, llm.kind, llm.line) == (
        "tiny/Tiny-1-8B",
        "Tiny-1",
        "llm",
        5,
    )
    assert (draw.kind, draw.configurations) == ("diffusion", ())


def test_sizes_of_every_phase_and_of_extra_arguments() -> None:
    found = [
        (c.name, c.phase, c.model_path, c.tp, c.ep, c.dp, c.dp_attention, c.line) for c in configs()
    ]
    assert found == [
        ("default", "engine", "tiny/Tiny-1-8B", 2, 1, None, False, 12),
        ("dp", "engine", "tiny/Tiny-1-8B-FP8", 8, 8, 4, True, 18),
        ("split", "prefill", "tiny/Tiny-1-8B", 4, 4, 2, True, 22),
        ("split", "decode", "tiny/Tiny-1-8B", 16, 1, None, False, 22),
    ]


@pytest.mark.parametrize("value", ["true", "0", "-1", "8.5", "eight", "[8]", "99999999"])
def test_a_size_that_makes_no_sense_is_said(value: str) -> None:
    config = configs(TINY.replace("tp: 2,", f"tp: {value},"))[0]
    assert config.tp == 1
    assert config.unread


def sizes(repo_id: str) -> tuple[list[tuple[int, int, int | None, bool]], str]:
    found, relation = parallelism_for(repo_id, configs())
    return [(p.tp, p.ep, p.dp, p.dp_attention) for p in found], relation


def test_own_configurations_come_first() -> None:
    assert sizes("tiny/Tiny-1-8B") == (
        [(2, 1, None, False), (4, 4, 2, True), (16, 1, None, False)],
        "exact",
    )
    assert sizes("TINY/tiny-1-8b-fp8") == ([(8, 8, 4, True)], "exact")


def test_then_those_of_the_same_model() -> None:
    found, relation = sizes("other/Tiny-1-8B-Instruct-2507-AWQ")
    assert relation == "variant"
    assert len(found) == 4


def test_then_those_of_the_closest_relative() -> None:
    found, relation = parallelism_for("tiny/Tiny-2-9B", configs())
    assert relation == "relative"
    assert found[0].source == f"{FILE} (closest relative tiny/Tiny-1-8B)"


def test_else_nothing() -> None:
    assert parallelism_for("other/Big-3B", configs()) == ((), "none")


def test_equal_sizes_stand_once_and_name_every_file() -> None:
    other = tuple(c.model_copy(update={"file": "b.yaml"}) for c in configs()[:1])
    (only,), relation = parallelism_for("tiny/Tiny-1-8B", (*configs()[:1], *other, *other))
    assert relation == "exact"
    assert only == Parallelism(tp=2, ep=1, source=f"{FILE}, b.yaml")


def test_every_version_folder_is_read_and_a_bad_file_stands_alone(tmp_path: Path) -> None:
    for version, text in (("v0.5.6", TINY), ("v0.5.8", TINY), ("v9", "families: [")):
        folder = tmp_path / "data/models/generated" / version
        folder.mkdir(parents=True)
        (folder / "tiny.yaml").write_text(text)
    found = read_cookbook(tmp_path)
    assert len(found.models) == 4
    assert list(found.errors) == ["data/models/generated/v9/tiny.yaml"]


BOMB = "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else '{model_path: x/y}'}]"
    for i in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "families: [",
        "[" * 400_000,
        "{a: " * 400_000,
        "- " * 300_000,
        "x: &x [*x]",
        "families: []\nx: !!python/object/apply:os.system ['true']",
        "a: &a {b: c}\nfamilies: []\nd:\n  <<: *a",
        "families: [{models: &m [" + "{name: x}," * 900 + "]}" + ", {models: *m}" * 900 + "]",
        "families: [" + "1," * 400_000 + "]",
        "families:\n- models: &m\n  - hardware: &h\n      x: &c\n        configurations:\n"
        + "        - &e {engine: {}}\n"
        + "        - *e\n" * 20_000,
        "a: \0",
        "a: \ud800",
        "x" * 900_000,
    ],
)
def test_hostile_files_are_source_errors_and_quick(text: str) -> None:
    start = time.monotonic()
    with pytest.raises(SourceError):
        parse_cookbook(text, FILE)
    assert time.monotonic() - start < 5


def test_an_alias_bomb_does_not_go_off() -> None:
    assert parse_cookbook(f"{BOMB}\nfamilies: *a11", FILE) == ()


@pytest.mark.parametrize(
    "text", ["families: 1", "families: [1, {models: 2}, {models: [3, {hardware: [4]}]}]"]
)
def test_odd_shapes_give_nothing_and_no_crash(text: str) -> None:
    assert all(not model.configurations for model in parse_cookbook(text, FILE))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--tp 8", (8, None, None, False)),
        ("--tp-size=4 --ep 2", (4, 2, None, False)),
        ("--tensor-parallel-size 4 --tp 8", (8, None, None, False)),
        ("--tp 8 --dp-size 8 --enable-dp-attention", (8, None, 8, True)),
        ("--tp 8 --attn-dp-size 4", (8, None, 4, True)),
        ("--tp 8 --attn-dp-size 1", (8, None, None, False)),
        ("--data-parallel-size 2 --expert-parallel-size 4", (None, 4, 2, False)),
        ("--tp", (None, None, None, False)),
        ("--tp $TP --ep 4", (None, 4, None, False)),
        ("--tp-ratio 8 --mem 0.8", (None, None, None, False)),
    ],
)
def test_launch_arguments(
    words: str, found: tuple[int | None, int | None, int | None, bool]
) -> None:
    args = read_launch_args(words.split())
    assert (args.tp, args.ep, args.dp, args.dp_attention) == found


def test_what_is_a_variable_is_said() -> None:
    args = read_launch_args(["--model-path", "$MODEL", "--tp", "${TP}"])
    assert args.model is None
    assert args.unread == ("--model-path $MODEL", "--tp ${TP}")
