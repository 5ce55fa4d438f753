"""What a text decoder's configuration class assumes, whoever defines the class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from discover_models.sources.config_defaults import ClassDefaults, ConfigLookup


def text_defaults(
    config: Mapping[str, Any], path: str, model_type: str, libraries: Sequence[ConfigLookup]
) -> ClassDefaults | None:
    """The defaults of the text decoder's class; None where no library knows it.

    Args:
        config: the whole configuration.
        path: where the text decoder is in it, keys joined by dots; empty for the top.
        model_type: what the text decoder says of itself; may be empty when it is nested.
        libraries: in the order in which they are asked.
    """
    for library in libraries:
        found = _in_library(config, path, model_type, library)
        if found is not None:
            return found
    return None


def _in_library(
    config: Mapping[str, Any], path: str, model_type: str, library: ConfigLookup
) -> ClassDefaults | None:
    """The nested class by way of the outer one, whose defaults for it may differ."""
    if path:
        here: Mapping[str, Any] = config
        found = library.for_model_type(str(config.get("model_type", "")))
        for key in path.split("."):
            here = here[key]
            found = found.sub_config(key, here) if found is not None else None
        if found is not None:
            return found
    return library.for_model_type(model_type) if model_type else None


@dataclass(frozen=True)
class FileDefaults:
    """What a class puts in for the fields that one (sub-)configuration leaves out."""

    cls: ClassDefaults
    published: Mapping[str, Any]

    def lookup(self, name: str) -> tuple[object, str] | None:
        """A field's value, also a computed one, and its source for people."""
        found = self.cls.resolve(name, self.published)
        if found is None:
            return None
        computed = f", computed from {', '.join(found.rests_on)}" if found.rests_on else ""
        return found.value, found.source + computed

    def own_name(self, name: str) -> str:
        """The class's own name of a field."""
        return self.cls.own_name(name)

    def replaces_null(self, name: str) -> bool:
        """Whether a null in the file makes the class compute a value."""
        found = self.cls.resolve(name, self.published)
        return found is not None and bool(found.rests_on) and found.value is not None


def defaults_by_place(
    config: Mapping[str, Any], libraries: Sequence[ConfigLookup]
) -> Callable[[Mapping[str, object], str], FileDefaults | None]:
    """Defaults for the (sub-)configuration at a place in a file: its content, keys joined by dots.

    None where no library knows its class, or where the file has nothing at that place.
    """

    def at(published: Mapping[str, object], path: str) -> FileDefaults | None:
        if not _is_there(config, path):
            return None
        model_type = str(published.get("model_type") or "")
        found = text_defaults(config, path, model_type, libraries)
        return None if found is None else FileDefaults(found, published)

    return at


def _is_there(config: Mapping[str, Any], path: str) -> bool:
    here: object = config
    for key in path.split(".") if path else ():
        here = cast("dict[str, object]", here).get(key) if isinstance(here, dict) else None
    return isinstance(here, dict)
