import pytest

from discover_models.errors import SourceError
from discover_models.sources.entry_class import registered_classes


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("class A: ...\nEntryClass = A", ("A",)),
        ("class A: ...\nclass B: ...\nEntryClass = [A, B]", ("A", "B")),
        ("class A: ...\nclass B: ...\nEntryClass = (A,\n  # not C\n  B,)", ("A", "B")),
        ("from x import A, B as C\nEntryClass: list = [A] + [C]", ("A", "B")),
        ("class A: ...\nclass B: ...\nALL = [A]\nEntryClass = ALL + [B]", ("A", "B")),
        ("class A: ...\nclass B: ...\nALL = [A]\nEntryClass = [*ALL, B]", ("A", "B")),
        ("class A: ...\nB = A\nEntryClass = B", ("A",)),
        ("class A: ...\nEntryClass = []\nEntryClass.append(A)", ("A",)),
        ("class A: ...\nclass B: ...\nEntryClass = [A]\nEntryClass += [B]", ("A", "B")),
        ("class A: ...\nif x:\n  EntryClass = [A]\nelse:\n  EntryClass = []", ("A",)),
        ("try:\n  from x import A\nexcept ImportError:\n  pass\nEntryClass = A", ("A",)),
        ("import m\nEntryClass = [m.sub.A]", ("A",)),
        ("A = type('B', (object,), {})\nEntryClass = A", ("B",)),
        ("EntryClasses = [1]\n# EntryClass = A\nx = 'EntryClass = A'", ()),
        ("def f():\n  EntryClass = A", ()),
    ],
)
def test_forms(source: str, names: tuple[str, ...]) -> None:
    found = registered_classes(source)
    assert (found.names, found.undecided) == (names, ())


@pytest.mark.parametrize(
    "source",
    [
        "EntryClass = make()",
        "EntryClass = [c for c in all_classes]",
        "EntryClass = [Unbound]",
        "from other import EntryClass",
        "a = b\nb = a\nEntryClass = a",
    ],
)
def test_what_can_not_be_followed_is_said(source: str) -> None:
    found = registered_classes(source)
    assert found.names == ()
    assert found.undecided


@pytest.mark.parametrize("source", ["def", "\0", "(" * 5000, "EntryClass = " + "-" * 200_000])
def test_what_can_not_be_parsed_is_a_source_error(source: str) -> None:
    with pytest.raises(SourceError):
        registered_classes(source, "x.py")
