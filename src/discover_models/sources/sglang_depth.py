"""How SGLang comes to a FlashInfer kernel, for which model, and what it runs otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from discover_models.domain.depth import Depth, Provider, Question, Reach
from discover_models.domain.evidence import Evidence
from discover_models.sources.sglang_files import KERNEL
from discover_models.sources.sglang_ways import (
    Place,
    Setting,
    Way,
    Ways,
    flag,
    for_other_hardware,
)

_LONGEST = 160
"""Characters of a condition that are kept."""
_MODES = re.compile(r"_(prefill|decode|verify)_backend$")
_OPEN_VALUES = ("auto", "")


@dataclass(frozen=True)
class Used:
    """One use of an API."""

    api: str
    path: str
    owner: str
    condition: str
    place: Place
    through: str = ""
    """The function of the kernel package in between, with its condition."""


@dataclass(frozen=True)
class _Settings:
    """What chooses an option."""

    certain: list[Setting]
    """Those that hold with no option given."""
    any: bool
    """Whether there are others, of which that is not known."""


class Depths:
    """Answers over the ways of one checkout."""

    def __init__(self, ways: Ways, commit: str | None) -> None:
        self._ways = ways
        self._commit = commit

    def of(self, question: Question, uses: Sequence[Used], kernel_uses: Sequence[Place]) -> Depth:
        """`uses` of the question's APIs, and of the kernel package's functions of their names."""
        uses = [use for use in uses if not self._ways.for_another(use.path, question.model)]
        every = _together(r for use in uses for r in self._reaches(question, use))
        reach = _of_mode(every, question.mode)
        return Depth(
            reach=reach,
            call_site=self._call_site(question, bool(uses)),
            served_by=tuple(self._providers(question, reach, uses, kernel_uses)),
        )

    def _call_site(self, question: Question, used: bool) -> tuple[Evidence, ...]:
        lines = self._ways.layer_lines(question.model, question.layers) if used else ()
        return tuple(map(self._evidence, lines))

    # Reach -------------------------------------------------------------------------------------

    def _reaches(self, question: Question, use: Used) -> Iterator[Reach]:
        ways = self._ways.to(use.path, use.owner, use.condition, use.api.rpartition(".")[2])
        for way in ways:
            if _fits(way, question) and not self._refused(way, question):
                yield from self._by_option(question, use, way)
        if not ways:
            condition = use.through or use.condition
            yield Reach(
                how="condition" if condition else "direct",
                api=use.api,
                condition=_short(condition),
                evidence=(self._evidence(use.place),),
            )

    def _refused(self, way: Way, question: Question) -> bool:
        return self._ways.refuses(way.option, way.value, question.model)

    def _by_option(self, question: Question, use: Used, way: Way) -> Iterator[Reach]:
        evidence = (self._evidence(use.place), self._evidence(way.place))
        settings = self._settings(question, way.option)
        chosen = [s for s in settings.certain if s.value == way.value]
        for setting in chosen:
            generic = "some_gpus" if setting.gpus else "default"
            yield Reach(
                how="some_models" if setting.models else generic,
                api=use.api,
                flag=way.flag,
                gpus=setting.gpus,
                condition=_short(setting.asked),
                evidence=(*evidence, self._evidence(setting.place)),
            )
        if not chosen:
            declared = self._declared(way.option) == way.value and not settings.any
            how = "default" if declared else "flag"
            yield Reach(how=how, api=use.api, flag=way.flag, evidence=evidence)

    def _settings(self, question: Question, option: str) -> _Settings:
        """What chooses an option: for the model where anything does, else for all.

        What is chosen for the model on some GPUs says nothing of the others. Where it depends on
        what is not known of the model, nothing is certain on those GPUs.
        """
        fitting = [
            (s, self._ways.holds(s, question.model))
            for s in self._ways.settings
            if s.option == option
            and not s.elsewhere
            and s.latent in (None, question.latent)
            and s.traits <= question.traits
            and not self._ways.refuses(option, s.value, question.model)
        ]
        own = [(s, holds) for s, holds in fitting if question.model in s.models and holds != "no"]
        general = [
            (s, holds) for s, holds in fitting if s.general and not s.models and holds != "no"
        ]
        if all(s.gpus for s, _ in own):
            taken = {gpu for s, _ in own for gpu in s.gpus}
            own += [(s, holds) for s, holds in general if not taken & set(s.gpus)]
        return _Settings([s for s, holds in own if holds != "open"], any=bool(own))

    def _declared(self, option: str) -> str:
        """The value that an option has by itself, or that the option for all modes has."""
        for name in (option, _MODES.sub("_backend", option)):
            value = self._ways.options.get(name, ("", None))[0]
            if value:
                return value
        return ""

    # Providers ---------------------------------------------------------------------------------

    def _providers(
        self,
        question: Question,
        reach: Sequence[Reach],
        uses: Sequence[Used],
        kernel_uses: Sequence[Place],
    ) -> Iterator[Provider]:
        flags = dict.fromkeys(r.flag for r in reach)  # in their order, run after run
        for option in dict.fromkeys(_option(f) for f in flags if f):
            yield from self._alternatives(question, option, flags)
        if uses:
            return
        for name in question.own:
            for dotted, place in self._ways.definitions_of(name):
                yield Provider(name="SGLang", function=dotted, evidence=(self._evidence(place),))
        for place in kernel_uses[:1]:
            yield Provider(name=KERNEL, evidence=(self._evidence(place),))
        for names in question.apis:
            for dotted, place in self._ways.imports_of(names[0].rpartition(".")[2]):
                if self._ways.for_another(place.path, question.model):
                    continue
                yield Provider(name="SGLang", function=dotted, evidence=(self._evidence(place),))

    def _alternatives(
        self, question: Question, option: str, flags: Iterable[str]
    ) -> Iterator[Provider]:
        settings = self._settings(question, option)
        by_value: dict[str, list[Setting]] = {}
        for setting in settings.certain:
            if flag(option, setting.value) not in flags and setting.value not in _OPEN_VALUES:
                by_value.setdefault(setting.value, []).append(setting)
        for value, chosen in by_value.items():
            yield Provider(
                name=value,
                flag=flag(option, value),
                gpus=tuple(dict.fromkeys(g for s in chosen for g in s.gpus)),
                condition=_short(chosen[0].asked),
                evidence=tuple(self._evidence(s.place) for s in chosen),
            )
        declared = self._declared(option)
        if declared in (*_OPEN_VALUES, *by_value) or flag(option, declared) in flags:
            return
        place = self._ways.options[option][1]
        yield Provider(
            name=declared, flag=flag(option, declared), evidence=(self._evidence(place),)
        )

    def _evidence(self, place: Place) -> Evidence:
        return Evidence(
            repository="sglang",
            commit=self._commit,
            path=place.path,
            line=place.line,
            looked_for=place.text,
        )


def _together(ways: Iterable[Reach]) -> tuple[Reach, ...]:
    """Each way once, with the lines of all uses that it leads to."""
    found: dict[Reach, list[Evidence]] = {}
    for way in ways:
        lines = found.setdefault(way.model_copy(update={"evidence": ()}), [])
        lines += (line for line in way.evidence if line not in lines)
    return tuple(way.model_copy(update={"evidence": tuple(lines)}) for way, lines in found.items())


def _of_mode(ways: tuple[Reach, ...], mode: str) -> tuple[Reach, ...]:
    """Without what chooses another mode's kernel, where an option chooses that of the mode."""
    modes = [(way, _MODES.search(_option(way.flag))) for way in ways if way.flag]
    if not any(found and found[1] == mode for _, found in modes):
        return ways
    others = [way for way, found in modes if found and found[1] != mode]
    return tuple(way for way in ways if way not in others)


def _fits(way: Way, question: Question) -> bool:
    """Whether a way is for that kind of attention, and for hardware that FlashInfer is for."""
    other = way.latent is not None and way.latent != question.latent
    return not other and not for_other_hardware(way.value)


def _option(text: str) -> str:
    return text.split()[0].removeprefix("--").replace("-", "_")


def _short(condition: str) -> str:
    return condition if len(condition) <= _LONGEST else condition[: _LONGEST - 1] + "…"
