"""All model classes that a checkout of SGLang registers."""

from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.entry_class import registered_classes
from discover_models.sources.files import read_text, walk

MODELS = "python/sglang/srt/models/*.py"


def registered_names(checkout: Path) -> frozenset[str]:
    """The names in every file's ``EntryClass``; files that can't be parsed count for nothing."""
    names: set[str] = set()
    for file in walk(checkout, MODELS):
        try:
            names.update(registered_classes(read_text(checkout, file), file).names)
        except SourceError:
            continue
    return frozenset(names)
