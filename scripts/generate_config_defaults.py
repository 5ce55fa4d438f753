"""Generate the table of the defaults of all `transformers` configuration classes.

Published configurations leave out what equals their class's default, so the program carries this
table and never imports `transformers` itself. Run it when a new release is out:

    uv run --with transformers==5.24.0 scripts/generate_config_defaults.py

What an instance without arguments holds is compared with what the class declares, and instances
with one field changed show which fields are computed from which others: those are written as
`derived`, with the fields that they rest on and, where one fits every instance, the formula.
"""

import argparse
import ast
import contextlib
import importlib
import inspect
import itertools
import json
import math
import sys
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from discover_models.sources.config_defaults import Json, evaluate

OUTPUT = Path(__file__).parent.parent / "src/discover_models/data/config_defaults.json"

DROPPED_PARTS = (
    *("token_id", "token_index", "id2label", "label2id", "forced_", "suppress_", "_prompt"),
    *("dropout", "pdrop", "layerdrop", "initializer", "jitter", "_coef"),
    *("_std", "image_mean", "_loss", "loss_", "mask_time", "mask_feature", "use_cache"),
)
"""Names of training, generation and tokenizer settings: none decides the shape of a kernel."""

LANGUAGE_KEYS = ("text", "language", "llm", "thinker", "talker", "decoder", "ffn", "attn")
"""Parts of the sub configuration keys under which language models keep their decoder."""

TASKS = {
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": "causal_lm",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES": "multimodal_lm",
    "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES": "multimodal_lm",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": "seq2seq_lm",
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": "masked_lm",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES": "speech",
    "MODEL_FOR_CTC_MAPPING_NAMES": "speech",
    "MODEL_FOR_RNNT_MAPPING_NAMES": "speech",
    "MODEL_FOR_TDT_MAPPING_NAMES": "speech",
    "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES": "speech",
    "MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES": "speech",
    "MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES": "speech",
}
"""Which of the library's auto mappings say what a model type is for."""

GENERATING = {"causal_lm", "multimodal_lm"}
ABSENT = object()
LONGEST_LIST = 8
"""Lists that are longer and rest on other fields are kept only as a formula."""
LARGEST_CYCLE = 16


@dataclass(frozen=True)
class Variant:
    """An instance of a class with one field set to another value than the default."""

    changed: str
    """The field's own name; empty for the instance without arguments."""
    given: frozenset[str]
    """What is in `values` only because it was an argument or would be read from one."""
    values: dict[str, Json]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output: Path = parser.parse_args().output
    warnings.simplefilter("ignore")  # defaults of some classes are deprecated spellings
    library = importlib.import_module("transformers")
    library.logging.set_verbosity_error()
    output.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(table(library), sort_keys=True, separators=(",", ":"))
    output.write_text(text.replace('"},"', '"},\n"').replace('}},"', '}},\n"') + "\n", "utf-8")
    sys.stderr.write(f"{output}: {output.stat().st_size:,} bytes\n")


def table(library: Any) -> dict[str, Json]:
    """The whole table for one release of the library."""
    auto = importlib.import_module("transformers.models.auto.configuration_auto")
    model_types: dict[str, type] = {}
    for model_type in auto.CONFIG_MAPPING_NAMES:
        model_types[model_type] = auto.CONFIG_MAPPING[model_type]
    tasks = read_tasks(Path(str(auto.__file__)).with_name("modeling_auto.py"))
    classes = sorted(all_classes(library.PreTrainedConfig), key=lambda c: c.__name__)
    language = language_classes(model_types, tasks)
    common = {f.name for f in fields(library.PreTrainedConfig)}
    return {
        "transformers": library.__version__,
        "model_types": {
            model_type: {
                "class": cls.__name__,
                "tasks": sorted(tasks.get(model_type, {"decoder"} if cls in language else ())),
            }
            for model_type, cls in model_types.items()
        },
        "classes": {c.__name__: describe(c, common, full=c in language) for c in classes},
    }


def read_tasks(source: Path) -> dict[str, set[str]]:
    """Which tasks each model type has; the module itself can't be imported without torch."""
    found: dict[str, set[str]] = {}
    for node in ast.parse(source.read_text("utf-8")).body:
        if not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)):
            continue
        task = TASKS.get(node.targets[0].id)
        if task and isinstance(node.value, ast.Call) and isinstance(node.value.args[0], ast.List):
            for pair in node.value.args[0].elts:
                if isinstance(pair, ast.Tuple) and isinstance(pair.elts[0], ast.Constant):
                    found.setdefault(str(pair.elts[0].value), set()).add(task)
    return found


def all_classes(base: type) -> set[type]:
    found: set[type] = set()
    for cls in base.__subclasses__():
        if cls.__module__.startswith("transformers.models."):
            found |= {cls}
        found |= all_classes(cls)
    return found


def language_classes(
    model_types: Mapping[str, type], tasks: Mapping[str, set[str]]
) -> frozenset[type]:
    """The classes of text generating models, and those of the decoders inside them."""
    waiting = [cls for name, cls in model_types.items() if tasks.get(name, set()) & GENERATING]
    found: set[type] = set()
    while waiting:
        cls: Any = waiting.pop()
        if cls in found:
            continue
        found.add(cls)
        for key, spec in cls.sub_configs_defaults.items():
            target = spec_class(spec, model_types)
            if target and any(part in key for part in LANGUAGE_KEYS):
                waiting.append(target)
    return frozenset(found)


def spec_class(spec: Any, model_types: Mapping[str, type]) -> type | None:
    """The class that fills a sub configuration when nothing is given for it."""
    if hasattr(spec.config_class, "attribute_map"):
        return spec.config_class
    return model_types.get(spec.model_type)


def describe(cls: Any, common: set[str], *, full: bool) -> dict[str, Json]:
    """One class; only what identifies it unless it is a language model's."""
    entry: dict[str, Json] = {"model_type": cls.model_type}
    if not full:
        return entry
    entry["sub_configs"] = {k: describe_sub(s) for k, s in cls.sub_configs_defaults.items()}
    entry["attribute_map"] = dict(cls.attribute_map)
    entry["checkpoint"] = checkpoint(cls)
    legacy = legacy_defaults(cls)
    plain, derived = split_fields(cls, common, legacy)
    entry["fields"] = plain
    entry["derived"] = derived
    entry["legacy"] = {k: v for k, v in legacy.items() if k not in plain and wanted(k)}
    return {key: value for key, value in entry.items() if value not in ({}, None)}


def describe_sub(spec: Any) -> dict[str, Json]:
    """A nested configuration; no class where the published `model_type` chooses it."""
    entry: dict[str, Json] = {"model_type": spec.model_type}
    if hasattr(spec.config_class, "attribute_map"):
        entry["class"] = spec.config_class.__name__
    if spec.init_kwargs:
        entry["given"] = {k: v for k, v in jsonable(spec.init_kwargs).items() if wanted(k)}
    return entry


def checkpoint(cls: type) -> str | None:
    """The checkpoint that the class documents: ``@auto_docstring(checkpoint=…)``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "checkpoint":
            return node.value.value if isinstance(node.value, ast.Constant) else None  # type: ignore[return-value]  # the library only writes strings here
    return None


def legacy_defaults(cls: type) -> dict[str, Json]:
    """Fields that are no attributes but are read from published files, with their defaults."""
    found: dict[str, Json] = {}
    for owner in reversed(cls.__mro__):
        if not owner.__module__.startswith("transformers.models."):
            continue
        for name in ("__init__", "__post_init__", "convert_rope_params_to_dict"):
            method = vars(owner).get(name)
            if method is not None and not hasattr(method, "__wrapped__"):
                found |= kwargs_defaults(method)
    return found


def kwargs_defaults(method: Any) -> dict[str, Json]:
    """Literal defaults in ``kwargs.get("x", 1)``, ``.pop`` and ``.setdefault``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    except OSError:  # generated by the dataclass decorator: it has no source
        return {}
    found: dict[str, Json] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="kwargs"), attr="get" | "pop" | "setdefault"),
                args=[ast.Constant(value=str(name)), default],
            ):
                with contextlib.suppress(ValueError):
                    found[name] = ast.literal_eval(default)
            case _:
                pass
    return found


def split_fields(
    cls: Any, common: set[str], legacy: Mapping[str, Json]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """What holds whatever else is given, and what is computed from other fields."""
    declared = {f.name: declared_default(f) for f in fields(cls) if f.name not in common}
    made = instance(cls, {}, legacy)
    if made is None:
        return {k: v for k, v in declared.items() if wanted(k) and v is not ABSENT}, {}
    variants = list(perturbed(cls, declared, made, legacy))
    plain: dict[str, Json] = {}
    derived: dict[str, Json] = {}
    for name, value in made.values.items():
        if name in made.given or not wanted(name) or name in common:
            continue
        rests_on = {
            v.changed for v in variants if v.values.get(name, value) != value and v.changed != name
        }
        if not rests_on and declared.get(name, ABSENT) == value:
            plain[name] = value
        else:
            derived[name] = derived_entry(name, sorted(rests_on), made, variants)
    return plain, derived


def declared_default(field: Any) -> Json:
    factory = field.default_factory
    value = factory() if callable(factory) else field.default
    return jsonable(value, ABSENT)


def instance(cls: Any, given: dict[str, Json], legacy: Mapping[str, Json]) -> Variant | None:
    """What an instance holds and what it was made with; None where the class refuses that."""
    try:
        made = cls(**given)
    except Exception:  # validators of any kind, from 800 classes
        return None
    attributes = cast("dict[str, Any]", vars(made))
    public = {k: jsonable(v, ABSENT) for k, v in attributes.items() if not k.startswith("_")}
    kept = {k: v for k, v in public.items() if v is not ABSENT}
    changed = "".join(cls.attribute_map.get(name, name) for name in given)
    arguments = {**legacy, **given}
    return Variant(changed, frozenset(arguments) - frozenset(kept), {**arguments, **kept})


def perturbed(
    cls: Any, declared: Mapping[str, Json], made: Variant, legacy: Mapping[str, Json]
) -> Iterator[Variant]:
    """Instances with one field changed each, so far as the class accepts it."""
    changeable = {**legacy, **{k: made.values.get(k, v) for k, v in declared.items()}}
    changeable |= {"rope_theta": 12345.0} if "rope_parameters" in made.values else {}
    for name, value in changeable.items():
        for other in other_values(value):
            variant = instance(cls, {name: other}, legacy)
            if variant is not None:
                yield variant


def other_values(value: Json) -> tuple[Json, ...]:
    """Values that differ from a default but that divisibility checks still accept."""
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int) and 0 <= value < 1_000_000:
        return (value * 2, value * 4) if value else (1, 2)
    if isinstance(value, float):
        return (value / 2 if value else 1.0,)
    return ()


def derived_entry(
    name: str, rests_on: list[str], made: Variant, variants: list[Variant]
) -> dict[str, Json]:
    """What a computed field rests on, its formula, and its value when nothing is given."""
    value = made.values[name]
    entry: dict[str, Json] = {"from": rests_on}
    switches = {n: made.values[n] for n in rests_on if isinstance(made.values.get(n), bool)}
    used = [made, *(v for v in variants if v.changed != name)]
    for conditions in ({}, switches) if switches else ({},):
        fitting = [v for v in used if v.changed not in conditions]
        formula = find_formula(name, [n for n in rests_on if n not in conditions], fitting)
        if formula:
            entry |= {"formula": formula} | ({"if": conditions} if conditions else {})
            break
    if not (isinstance(value, list) and rests_on and len(made.values[name]) > LONGEST_LIST):
        entry["value"] = value
    return entry


def find_formula(name: str, rests_on: list[str], variants: list[Variant]) -> dict[str, Json] | None:
    """The simplest formula over the fields that gives every instance's value."""
    for formula in candidates(variants[0].values[name], rests_on, variants[0].values):
        if all(v.values.get(name, ABSENT) == evaluate(formula, v.values) for v in variants):
            return formula
    return None


def candidates(
    value: Json, names: list[str], values: Mapping[str, Json]
) -> Iterator[dict[str, Json]]:
    if isinstance(value, list):
        yield from list_candidates(cast("list[Json]", value), names, values)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield from ({"same": a} for a in names)
        for a, b in itertools.product(names, names):
            yield from ({operation: [a, b]} for operation in ("quotient", "product", "sum"))
        for a in names:
            whole = values.get(a) or 1
            yield {"product": [a, value // whole]}
            yield {"quotient": [a, whole // (value or 1)]}


def list_candidates(
    value: list[Json], names: list[str], values: Mapping[str, Json]
) -> Iterator[dict[str, Json]]:
    """A repeated block, one entry every so many layers, or the indexes of such layers."""
    kinds = [k for i, k in enumerate(value) if k not in value[:i]]
    for length in names:
        if values.get(length) == len(value):
            sizes = range(1, min(LARGEST_CYCLE, len(value)) + 1)
            yield from ({"cycle": value[:size], "length": length} for size in sizes)
        for period in names:
            yield {"steps": period, "length": length}
            for special, rest in itertools.permutations(kinds[:2], 2):
                kind = {"special": special, "rest": rest, "length": length}
                yield from ({key: period} | kind for key in ("every", "first"))


def wanted(name: str) -> bool:
    return not name.startswith("_") and not any(part in name for part in DROPPED_PARTS)


def jsonable(value: Json, otherwise: Json = None) -> Json:
    """The value as JSON holds it; `otherwise` for objects and for infinite numbers."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else otherwise
        case list() | tuple():
            return [jsonable(v) for v in value]  # type: ignore[misc]  # any items
        case dict():
            return {str(k): jsonable(v) for k, v in value.items()}  # type: ignore[misc]  # any items
        case _:
            return otherwise


if __name__ == "__main__":
    main()
