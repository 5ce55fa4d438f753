"""The two bodies as a whole, so that no change of what people read goes unseen."""

import pytest

from render.goldens import FOLDER, GOLDENS


@pytest.mark.parametrize("name", GOLDENS)
def test_the_body_is_the_one_that_was_looked_at(name: str):
    expected = (FOLDER / name).read_text(encoding="utf-8")
    assert GOLDENS[name]() == expected, (
        "the body changed: look at it, and if it is right run `python tests/render/goldens.py`"
    )
