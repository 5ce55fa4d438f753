"""What each model needs, against expectations that were read by hand in the sources."""

import pytest

from discover_models.domain.kernel import RequiredKernel
from discover_models.reading.traits import TRAITS
from golden_files import GOLDEN, required, rows

MODELS = sorted(GOLDEN)


def kernels(model: str) -> dict[str, RequiredKernel]:
    golden = GOLDEN[model]
    found = required(model, golden["tp"], golden["ep"]).kernels
    return {kernel.definition_name: kernel for kernel in found}


@pytest.mark.parametrize("model", MODELS)
def test_exactly_the_definitions_read_by_hand(model: str) -> None:
    assert sorted(kernels(model)) == sorted(rows(GOLDEN[model]))


@pytest.mark.parametrize("model", MODELS)
def test_none_of_the_names_that_look_right_and_are_wrong(model: str) -> None:
    traps = {trap["name"] for trap in GOLDEN[model].get("absent", ())}
    assert not traps & set(kernels(model))


@pytest.mark.parametrize("model", MODELS)
def test_layers_and_op_types(model: str) -> None:
    found = kernels(model)
    for name, row in rows(GOLDEN[model]).items():
        assert (name, found[name].layers) == (name, row.get("layers"))
        assert (name, found[name].op_type) == (name, row["op_type"])


@pytest.mark.parametrize("model", MODELS)
def test_axes_where_they_were_read_by_hand(model: str) -> None:
    found = kernels(model)
    for name, row in rows(GOLDEN[model]).items():
        values = {axis: value.value for axis, value in found[name].axes.items()}
        wanted = row.get("axes", {})
        common = values.keys() & wanted.keys()
        assert {a: values[a] for a in common} == {a: wanted[a] for a in common}, name
        assert not wanted or common, name


@pytest.mark.parametrize("model", MODELS)
def test_the_sizes_that_a_definition_belongs_to(model: str) -> None:
    found = kernels(model)
    for name, row in rows(GOLDEN[model]).items():
        for wanted in row["parallelism"]:
            assert any(
                all(getattr(sizes, key) == value for key, value in wanted.items())
                for sizes in found[name].parallelism
            ), (name, wanted)
        if not row["parallelism"]:
            assert found[name].parallelism == (), name


def test_every_listed_model_type_names_its_source_file() -> None:
    assert all(traits.source.endswith(".py") for traits in TRAITS.values())
