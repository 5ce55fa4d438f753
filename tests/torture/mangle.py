"""Strategies that make broken and hostile files out of good ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

TRICKS: tuple[bytes, ...] = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\n", b"-->", b"<!--",
    b"```", b"|", b"`", b"@octo", b"#1", b"::error::x", b"../../x", b"--upload-pack=x",
    b"{{ 7*7 }}",
    b"%s", b"${{ x }}", b"*a", b"&a", b"<<: *a", b"!!python/object/apply:os.system [x]", b"null",
    b"1e999", b"9" * 4200, b"-1", b"0", b"999999999999999999999999", b"NaN", b"[", b"{", b"\"",
    b"'", b"(" * 200,
    b"\\", b"\\ud800", b"---", b"__import__", b"lambda: 0", b"*" * 50, b"x" * 5000, b"\x1b[31m",
    "\u202e\u2066".encode(), "\u2028".encode(), "\U0001f600".encode(),
)  # fmt: skip
"""What has broken parsers of JSON, YAML, Python, Markdown and the runner's log."""

ODD_VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, -1, 1.5, 10**30, -(10**30), float("inf"), "", "\ud800", "\0", "../x", [],
     {}, [[]], ["x"], {"x": {}}, [None] * 50, "x" * 5000, {"": ""}]
)  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of the seeds with up to four cuts, repetitions, flips and insertions."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 400)))
        how = draw(st.sampled_from(("cut", "repeat", "insert", "replace", "truncate")))
        trick = draw(st.sampled_from(TRICKS))
        data = {
            "cut": data[:start] + data[end:],
            "repeat": data[:end] + data[start:end] * 3 + data[end:],
            "insert": data[:start] + trick + data[start:],
            "replace": data[:start] + trick + data[end:],
            "truncate": data[:start],
        }[how]
    return data


@st.composite
def mangled_json(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """One of the seeds, which are JSON, with up to four values replaced, removed or moved."""
    value = json.loads(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        members = list(places(value))
        if not members:
            break
        holder, key = draw(st.sampled_from(members))
        if draw(st.booleans()):
            holder[key] = copy.deepcopy(draw(ODD_VALUES))
        else:
            del holder[key]
    return json.dumps(value).encode()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of every container, as the container and the key."""
    found: list[tuple[Any, Any]] = []
    pairs: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        found.append((value, key))
        found += places(inner)
    return found


def _moe(field: bytes) -> bytes:
    """The configuration of a small mixture of experts with one more field."""
    return (
        b'{"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",'
        b' "vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 64,'
        b' "num_attention_heads": 4, "n_routed_experts": 4, "num_experts_per_tok": 2, '
        + field
        + b"}"
    )


Bomb = Callable[[], bytes]
BOMBS: dict[str, Bomb] = {
    "nothing": lambda: b"",
    "NUL": lambda: b"\0" * 100,
    "JSON 100,000 levels deep": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "lists 100,000 levels deep": lambda: b"[" * 100_000 + b"]" * 100_000,
    "100 MB of one line": lambda: b"a" * 100_000_000,
    "100 MB in a JSON string": lambda: b'{"model_type": "' + b"a" * 100_000_000 + b'"}',
    "alias bomb": lambda: b"".join(
        [b"a0: &a0 [x, x]\n"]
        + [b"a%d: &a%d [%s]\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 12)]
    ),
    "merge bomb": lambda: b"".join(
        [b"a0: &a0 {x: 1}\n"]
        + [
            b"a%d: &a%d {<<: [%s]}\n" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9))
            for i in range(1, 12)
        ]
    ),
    "object tag": lambda: b"families: !!python/object/apply:os.system ['touch stolen']\n",
    "parentheses 100,000 deep": lambda: b"x = " + b"(" * 100_000 + b")" * 100_000,
    "calls 50,000 deep": lambda: b"x = " + b"f(" * 50_000 + b")" * 50_000,
    "a chain of 100,000 operators": lambda: b"x = 1" + b" + 1" * 100_000,
    "100,000 attributes": lambda: b"x = a" + b".b" * 100_000,
    "a million lines": lambda: b"| a | b |\n" * 1_000_000,
    "lone surrogates": lambda: b'{"model_type": "\\ud800", "architectures": ["\\udfff"]}',
    "UTF-16": lambda: '{"model_type": "llama"}'.encode("utf-16"),
    "a number of a million digits": lambda: b'{"hidden_size": ' + b"9" * 1_000_000 + b"}",
    "numbers whose product Python does not write": lambda: (
        b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,'
        b' "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": 64,'
        b' "num_attention_heads": %d, "head_dim": %d}' % (10**4000, 10**4000)
    ),
    "a billion dense layers": lambda: _moe(b'"first_k_dense_replace": 1000000000'),
    "experts up to layer a billion": lambda: _moe(b'"moe_layer_end_index": 1000000000'),
    "fences and backticks": lambda: b"<!--" * 50_000 + b"`" * 50_000 + b"-->" * 50_000,
    "brackets and links": lambda: (
        b"[" * 20_000 + b"](" * 20_000 + b"https://huggingface.co/" * 5_000
    ),
}
"""Small or large files that have brought parsers down, made when they are needed."""
