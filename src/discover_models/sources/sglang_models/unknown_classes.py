"""The classes that a model is made of and that nothing is known about."""

from __future__ import annotations

from collections.abc import Mapping

from discover_models.domain.listing import UnmappedClass
from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.config_value import Defaults
from discover_models.sources.sglang_models.machine import Machine
from discover_models.sources.sglang_models.model_source import read_model
from discover_models.sources.sglang_models.symbols import ClassSymbol, Symbols
from discover_models.sources.sglang_models.walker import Reached, Walker


class UnknownClasses:
    """What the registered classes of one checkout construct without any known kernel."""

    def __init__(self, source: SglangSource) -> None:
        self._source = source
        self._walker = Walker(Symbols(source))

    def of_class(self, path: str, name: str) -> tuple[UnmappedClass, ...]:
        """All that a class may construct, whatever its configuration says."""
        cls = self._symbol(path, name)
        return _shown(self._walker.reach(cls)) if cls is not None else ()

    def of_model(
        self,
        path: str,
        name: str,
        config: Mapping[str, object],
        defaults: Defaults,
        machine: Machine,
    ) -> tuple[UnmappedClass, ...]:
        """What remains of that where a configuration decides.

        A class whose constructor was followed to its end with this configuration constructs what it
        was seen to call; of one that was not followed everything counts.
        """
        cls = self._symbol(path, name)
        if cls is None:
            return ()
        try:
            read_model(self._source, config, defaults, machine)
        except SourceError:
            return _shown(self._walker.reach(cls))
        taken = self._walker.reach(
            cls, lambda holder, part: holder not in machine.entered or part in machine.called
        )
        return _shown(taken)

    def _symbol(self, path: str, name: str) -> ClassSymbol | None:
        symbols = self._walker.symbols
        dotted = path.removeprefix("python/").removesuffix(".py").replace("/", ".")
        space = symbols.space(dotted.removesuffix(".__init__"))
        found = symbols.of(space, name) if space is not None else ()
        return next((symbol for symbol in found if isinstance(symbol, ClassSymbol)), None)


def _shown(reached: Reached) -> tuple[UnmappedClass, ...]:
    return tuple(UnmappedClass(name=u.name, file=u.path, line=u.line) for u in reached.unmapped)
