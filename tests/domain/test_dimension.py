"""Numbers that remember their fields: value, formula and origins stay together."""

from discover_models.domain.dimension import Dim, Origin, known, unknown

Q, KV, D = known(32, "heads", "c"), known(8, "kv", "c"), known(128, "dim", "c")
LOST = unknown("lost")


def test_a_formula_is_written_as_a_person_would() -> None:
    width = (Q + 2 * KV) * D
    assert (width.value, width.expression) == (6144, "(heads + 2 · kv) · dim")
    assert (Q * D).expression == "heads · dim"
    assert (Q * D + KV).expression == "heads · dim + kv"
    assert ((Q - KV) // 4).expression == "(heads - kv) / 4"
    assert (Q - KV).value == 24
    assert (Q // 3).value == 10
    assert (Q // 8).at_least(1).expression == "max(1, heads / 8)"


def test_every_field_is_an_origin_once() -> None:
    heads, kv = Origin(field="heads", value=32, source="c"), Origin(field="kv", value=8, source="c")
    assert (Q + 2 * KV + Q).origins == (heads, kv)
    assert (3 * Q).origins == (heads,)
    assert Q.origins == (heads,)


def test_nothing_comes_of_what_is_unknown() -> None:
    results: list[Dim] = [
        Q + LOST,
        LOST * Q,
        2 * LOST,
        LOST - 1,
        LOST // Q,
        LOST.at_least(1),
        Q // 0,
    ]
    assert [r.value for r in results] == [None] * len(results)
    assert (Q + LOST).missing == ("lost",)
    assert not LOST.known
    assert (Q // 1).value == 32
    assert (Q * 0).value == 0
    none = known(0, "none", "c")
    assert [(none + Q).value, (Q + none).value, (none // Q).value] == [32, 32, 0]
    assert known(4, "few", "c").at_least(8).value == 8
    assert Q.at_least(8).value == 32


def test_a_field_says_where_it_was_read_and_where_it_was_not() -> None:
    read, lost = known(7, "a", "config.json"), unknown("b")
    assert (read.value, read.expression) == (7, "a")
    assert read.origins == (Origin(field="a", value=7, source="config.json"),)
    assert (lost.value, lost.expression) == (None, "b")
    assert lost.origins == (Origin(field="b", value=None, source="found nowhere"),)
