"""Numbers that remember where they come from."""

from __future__ import annotations

from collections.abc import Callable

from discover_models.domain.frozen import Frozen


class Origin(Frozen):
    """One configuration field that a number rests on."""

    field: str
    """Path of the field, for example ``text_config.hidden_size``."""
    value: int | float | bool | str | None
    """None when the field was found nowhere."""
    source: str
    """``config.json``, ``default of transformers 5.23 Gemma3TextConfig``, ``--tp``, …"""


class Dim(Frozen):
    """A dimension: a number, the expression that gave it and the fields in that expression.

    Arithmetic keeps both. An unknown operand makes the result unknown, so a number that rests on
    a missing field can never come out as a guess; so does division by zero.
    """

    value: int | None
    expression: str
    origins: tuple[Origin, ...] = ()

    @property
    def known(self) -> bool:
        return self.value is not None

    @property
    def missing(self) -> tuple[str, ...]:
        """The fields that were found nowhere."""
        return tuple(o.field for o in self.origins if o.value is None)

    def __add__(self, other: Dim | int) -> Dim:
        return _combine(self, other, "+", lambda a, b: a + b)

    def __sub__(self, other: Dim | int) -> Dim:
        return _combine(self, other, "-", lambda a, b: a - b)

    def __mul__(self, other: Dim | int) -> Dim:
        return _combine(self, other, "·", lambda a, b: a * b)

    def __rmul__(self, other: int) -> Dim:
        return _combine(_literal(other), self, "·", lambda a, b: a * b)

    def __floordiv__(self, other: Dim | int) -> Dim:
        return _combine(self, other, "/", lambda a, b: a // b)

    def at_least(self, least: int) -> Dim:
        """The larger of this and `least`, as in ``max(1, kv/tp)``."""
        value = None if self.value is None else max(least, self.value)
        return self.model_copy(
            update={"value": value, "expression": f"max({least}, {self.expression})"}
        )


def known(value: int, field: str, source: str) -> Dim:
    """A number read from a field of a source."""
    return Dim(
        value=value,
        expression=field,
        origins=(Origin(field=field, value=value, source=source),),
    )


def unknown(field: str, source: str = "found nowhere") -> Dim:
    """A field that was found nowhere."""
    return Dim(
        value=None, expression=field, origins=(Origin(field=field, value=None, source=source),)
    )


def _literal(value: int) -> Dim:
    return Dim(value=value, expression=str(value))


def _combine(left: Dim, right: Dim | int, sign: str, compute: Callable[[int, int], int]) -> Dim:
    other = _literal(right) if isinstance(right, int) else right
    both_known = left.value is not None and other.value is not None
    both_known = both_known and not (sign == "/" and other.value == 0)
    origins = left.origins + tuple(o for o in other.origins if o not in left.origins)
    return Dim(
        value=compute(left.value or 0, other.value or 0) if both_known else None,
        expression=f"{_grouped(left, sign)} {sign} {_grouped(other, sign)}",
        origins=origins,
    )


def _grouped(dim: Dim, sign: str) -> str:
    """The expression, in brackets where the sign binds tighter than it."""
    needs_brackets = sign in ("·", "/") and (" + " in dim.expression or " - " in dim.expression)
    return f"({dim.expression})" if needs_brackets else dim.expression
