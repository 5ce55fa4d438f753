"""Write a configuration from the defaults of every causal language model class of `transformers`.

    uv run --with transformers==5.24.0 scripts/generate_config_samples.py FOLDER

The folder gets ``transformers/MODEL_TYPE/config.json`` for each, as a published repository would
have it: nothing left out, `architectures` set. ``left_out.json`` beside them says which classes
gave none, and why. `discover-models --configs FOLDER` can then be run over all of them.
"""

import argparse
import ast
import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

ORG = "transformers"
MAPPINGS = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--multimodal", action="store_true", help="image-text models too")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # defaults of some classes are deprecated spellings
    importlib.import_module("transformers").logging.set_verbosity_error()
    auto = importlib.import_module("transformers.models.auto.configuration_auto")
    source = Path(str(auto.__file__)).with_name("modeling_auto.py").read_text("utf-8")
    wanted = MAPPINGS if arguments.multimodal else MAPPINGS[:1]
    left_out: dict[str, str] = {}
    models = {k: v for name in wanted for k, v in model_classes(source, name).items()}
    for model_type, class_name in models.items():
        try:
            write(arguments.folder, model_type, class_name, auto.CONFIG_MAPPING[model_type]())
        except Exception as error:  # whatever 200 classes object to in their own defaults
            left_out[model_type] = f"{type(error).__name__}: {error}"
    report = json.dumps(left_out, indent=1, sort_keys=True)
    (arguments.folder / "left_out.json").write_text(report + "\n", "utf-8")
    sys.stderr.write(f"{len(models) - len(left_out)} written, {len(left_out)} left out\n")


def model_classes(source: str, mapping: str) -> dict[str, str]:
    """Model type → model class in one mapping of ``modeling_auto.py``, read without torch."""
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(args=[ast.List(elts=pairs)])
            ) if name == mapping:
                found |= dict(ast.literal_eval(p) for p in pairs if isinstance(p, ast.Tuple))
            case _:
                pass
    return found


def write(folder: Path, model_type: str, class_name: Any, config: Any) -> None:
    """One configuration; `class_name` is a name or, rarely, several of them."""
    names = [class_name] if isinstance(class_name, str) else list(class_name)
    content = config.to_dict() | {"architectures": names}
    file = folder / ORG / model_type / "config.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main()
