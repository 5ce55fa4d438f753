"""The sizes in the arguments of an SGLang server."""

from __future__ import annotations

from collections.abc import Sequence

from discover_models.domain.frozen import Frozen

# SGLang declares `tp_size` and the like (srt/arg_groups/fields/parallel.py); argparse takes
# unambiguous prefixes, which is where --tp and --dp come from.
_NUMBERS = {
    "--tp": "tp",
    "--tp-size": "tp",
    "--tensor-parallel-size": "tp",
    "--ep": "ep",
    "--ep-size": "ep",
    "--expert-parallel-size": "ep",
    "--dp": "dp",
    "--dp-size": "dp",
    "--data-parallel-size": "dp",
    "--attn-dp-size": "attn_dp",
    "--attention-data-parallel-size": "attn_dp",
}
_MODEL = ("--model-path", "--model")
_LARGEST = 4096


class LaunchArgs(Frozen):
    """What the arguments say; None where they don't."""

    model: str | None = None
    tp: int | None = None
    ep: int | None = None
    dp: int | None = None
    dp_attention: bool = False
    unread: tuple[str, ...] = ()
    """Arguments whose value is a variable or no sensible size."""


def read_launch_args(words: Sequence[str]) -> LaunchArgs:
    """Read model and sizes; the last of equal options wins, as with argparse."""
    values: dict[str, int] = {}
    model: str | None = None
    unread: list[str] = []
    for option, value in _pairs(words):
        if option in _MODEL and value and _literal(value):
            model = value
        elif option in _NUMBERS and (size := as_size(value)) is not None:
            values[_NUMBERS[option]] = size
        elif option in _NUMBERS or option in _MODEL:
            unread.append(f"{option} {value}".strip())
    attention = values.get("attn_dp")
    return LaunchArgs(
        model=model,
        tp=values.get("tp"),
        ep=values.get("ep"),
        dp=attention if attention and attention > 1 else values.get("dp"),
        dp_attention="--enable-dp-attention" in words or (attention or 1) > 1,
        unread=tuple(unread),
    )


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Each option with the word behind it, or behind its ``=``."""
    pairs: list[tuple[str, str]] = []
    for word, after in zip(words, [*words[1:], ""], strict=False):
        option, equals, value = word.partition("=")
        pairs.append((option, value if equals else after))
    return pairs


def _literal(value: str) -> bool:
    return not any(sign in value for sign in "${}<>`")


def as_size(value: object) -> int | None:
    """A number of GPUs, given as a number or as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 6:
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST:
        return value
    return None
