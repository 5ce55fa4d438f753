"""What counts as said: null, 0, false, defaults of the class, and single layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from discover_models.reading.fields import Fields


@dataclass(frozen=True)
class Value:
    value: Any
    source: str = "default of the class"
    rests_on: tuple[str, ...] = ()


class Defaults:
    """A class with `heads` 8, `groups` null, `width` computed, and `list` computed unknowably."""

    def names(self, name: str) -> tuple[str, ...]:
        return ("heads", "n_heads") if name == "heads" else (name,)

    def declares(self, name: str) -> bool:
        return name in ("heads", "groups", "width", "list")

    def resolve(self, name: str, config: Mapping[str, Any]) -> Value | None:
        known = {"heads": Value(8), "groups": Value(None), "width": Value(32, rests_on=("heads",))}
        return known.get(name)


def test_zero_and_false_are_said_and_null_is_left_out() -> None:
    fields = Fields({"a": 0, "b": False, "c": None, "d": 3})
    zero = fields.maybe_dim("a")
    assert zero is not None
    assert zero.value == 0
    assert fields.flag("b") is False
    assert fields.flag("c") is None
    assert fields.dim("c", "d").value == 3


def test_a_truth_value_or_text_is_no_dimension() -> None:
    fields = Fields({"a": True, "b": "64", "c": 4.5, "d": 64.0})
    assert [fields.maybe_dim(name) for name in "abc"] == [None, None, None]
    assert fields.dim("d").value == 64


def test_a_dimension_found_nowhere_names_all_fields_that_were_looked_for() -> None:
    dim = Fields({}, "text_config.").dim("n_embd", "d_model")
    assert dim.value is None
    assert dim.missing == ("text_config.n_embd or d_model",)


def test_the_file_wins_over_the_class_under_any_of_its_names() -> None:
    assert Fields({"n_heads": 2}, "", Defaults()).dim("heads").value == 2
    default = Fields({}, "", Defaults()).dim("heads")
    assert (default.value, default.origins[0].source) == (8, "default of the class")


def test_a_null_in_the_file_undoes_a_constant_default_but_not_a_computed_one() -> None:
    assert Fields({"heads": None}, "", Defaults()).maybe_dim("heads") is None
    assert Fields({"width": None}, "", Defaults()).dim("width").value == 32


def test_open_and_unresolved_are_told_apart() -> None:
    fields = Fields({}, "", Defaults())
    assert fields.class_leaves_open("groups")
    assert not fields.class_leaves_open("heads")
    assert fields.unresolved("list") == "list"
    assert fields.unresolved("groups", "heads") is None
    assert Fields({"list": [1]}, "", Defaults()).unresolved("list") is None
    assert Fields({}).unresolved("list") is None


def test_what_one_layer_says_wins_for_that_layer() -> None:
    layers = {"": {"head_dim": 1}, "9" * 5000: {"head_dim": 2}, "0": {"head_dim": 32}}
    layers["05"] = {"head_dim": 128}
    fields = Fields({"head_dim": 64, "per_layer_config": layers})
    assert fields.at_layer(0).dim("head_dim").value == 32
    here = fields.at_layer(5).dim("head_dim")
    assert (here.value, here.origins[0].field) == (128, "per_layer_config.05.head_dim")
    assert fields.at_layer(4).dim("head_dim").value == 64


def test_lists_are_read_by_layer() -> None:
    fields = Fields({"heads": [4, 8, None]})
    found = fields.layer_dim(1, "heads")
    assert found is not None
    assert (found.value, found.origins[0].field) == (8, "heads[1]")
    assert fields.layer_dim(2, "heads") is None
    assert fields.layer_dim(9, "heads") is None


def test_fields_in_an_object_that_groups_them_are_found_there() -> None:
    found = Fields({"attn_config": {"kv_n_heads": 8}}).dim("kv_n_heads")
    assert found.origins[0].field == "attn_config.kv_n_heads"
