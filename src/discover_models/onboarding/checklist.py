"""The checklist of an onboarding pull request: one row per definition that it claims. Pure.

What could not be looked at is `unknown`; it is never taken for wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from discover_models.audit.document import PRESENT, Block, parse
from discover_models.audit.findings import Finding, Report
from discover_models.audit.knowledge import Names
from discover_models.audit.rows import Known
from discover_models.audit.rules import audit
from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import (
    ClassifiedKernel,
    Deferred,
    Inventory,
    RequiredKernel,
)
from discover_models.errors import SourceError
from discover_models.onboarding.change import (
    COVERAGE_PATH,
    Change,
    Claim,
    definition_place,
    requests_linked,
)
from discover_models.sources.dataset import DatasetIndex, Definition, read_definition

Verdict = Literal["ok", "wrong", "unknown", "none"]
"""`none`: there is nothing to check."""
Key = Literal["name", "axes", "dataset", "workloads", "status", "count", "link", "request"]
_NAME_RULES = frozenset({"name", "placeholder", "size"})
_STATUS_RULES = frozenset({"status", "legend", "contradiction", "duplicate"})


class Check(Frozen):
    """One question about one definition."""

    key: Key
    verdict: Verdict
    text: str = ""
    """What is wrong, or why it is not known."""
    numbers: tuple[int, ...] = ()
    """Pull requests of the dataset that are meant."""


class ChecklistRow(Frozen):
    """Everything about one definition."""

    name: str
    titles: tuple[str, ...]
    """The models that the rows belong to."""
    claimed: str
    """The new status; empty where no row of the document is changed."""
    checks: tuple[Check, ...]

    def of(self, *verdicts: Verdict) -> tuple[Check, ...]:
        """The checks that came out so."""
        return tuple(check for check in self.checks if check.verdict in verdicts)

    @property
    def agrees(self) -> bool:
        return not self.of("wrong", "unknown")


class Checklist(Frozen):
    """The whole list of a pull request."""

    rows: tuple[ChecklistRow, ...]
    other_files: tuple[str, ...] = ()
    """Files besides the coverage document, which do not belong into such a pull request."""
    remarks: tuple[str, ...] = ()
    """What else could not be looked at."""

    @property
    def agrees(self) -> bool:
        return all(row.agrees for row in self.rows) and not self.other_files and not self.remarks

    @property
    def wrong(self) -> int:
        """How many definitions have something wrong."""
        return sum(bool(row.of("wrong")) for row in self.rows)


@dataclass(frozen=True)
class LinkedPull:
    """A pull request of the dataset, read as data."""

    number: int
    definitions: Mapping[str, Definition] = field(default_factory=dict[str, Definition])
    unusable: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a definition file that it has can't be used, by name."""
    problem: str = ""
    """Why it could not be read at all."""


@dataclass(frozen=True)
class Checked:
    """A pull request's checklist and the inventories of its models."""

    checklist: Checklist
    dataset: str
    """OWNER/NAME of the dataset whose pull requests count."""
    inventories: tuple[Inventory, ...]
    deferred: tuple[Deferred, ...]
    more_models: tuple[str, ...]
    """Titles whose inventories are left out because there are so many."""
    origins: Mapping[str, str]


@dataclass(frozen=True)
class Ground:
    """What a change is held against."""

    known: Known
    """Its dataset is the one that is published."""
    linked: tuple[LinkedPull, ...] = ()
    support: Callable[[RequiredKernel], ClassifiedKernel] | None = None
    """Whether FlashInfer has a kernel; None where that can't be asked."""
    known_requests: Mapping[str, str] = field(default_factory=dict[str, str])
    """Requests that the configuration names, by kernel or op type."""
    titles_of: Callable[[Definition], tuple[str, ...]] = lambda _: ()
    """The models that a definition's own tags give it to."""


def checklist(change: Change, claimed: Iterable[Claim], ground: Ground) -> Checklist:
    """Every claim checked."""
    checker = _Checker(change, ground)
    rows = tuple(checker.row(claim) for claim in claimed)
    others = tuple(file.path for file in change.files if file.path != COVERAGE_PATH)
    remarks = [f"{path} could not be read: {why}" for path, why in sorted(change.unread.items())]
    if not change.complete:
        remarks.append("GitHub does not list all files of this pull request")
    return Checklist(rows=rows, other_files=others, remarks=tuple(remarks))


def titles_claimed(change: Change, claimed: Iterable[Claim], ground: Ground) -> tuple[str, ...]:
    """The models that the claims are about, in their order."""
    checker = _Checker(change, ground)
    return tuple(dict.fromkeys(title for claim in claimed for title in checker.titles(claim)))


@dataclass(frozen=True)
class _Found:
    """A definition and where it is."""

    definition: Definition
    place: Literal["dataset", "linked", "change"]
    number: int = 0
    """Of the linked pull request."""


@dataclass(frozen=True)
class _Checker:
    change: Change
    ground: Ground

    def row(self, claim: Claim) -> ChecklistRow:
        titles = self.titles(claim)
        signs = tuple(dict.fromkeys(r.row.sign or r.row.status.text for r in claim.rows))
        return ChecklistRow(
            name=claim.name,
            titles=titles,
            claimed=" ".join(signs),
            checks=(
                self._name(claim, titles),
                self._axes(claim, titles),
                self._dataset(claim),
                self._workloads(claim),
                self._status(claim),
                self._count(claim),
                self._link(claim),
                self._request(claim, titles),
            ),
        )

    def titles(self, claim: Claim) -> tuple[str, ...]:
        """The models whose sections it changes, else those that its own tags name."""
        changed = tuple(dict.fromkeys(r.block.title for r in claim.rows))
        found = None if changed else self._found(claim.name)
        return self.ground.titles_of(found.definition) if found else changed

    @cached_property
    def _reports(self) -> tuple[Report, Report]:
        """The document against the dataset alone, and against it with what is to come.

        A definition's own tags must not prove its name, so names are judged by the first.
        """
        document = parse(self.change.after)
        known = self.ground.known
        alone, _ = audit(document, known, COVERAGE_PATH)
        with_all, _ = audit(document, replace(known, dataset=self._overlay), COVERAGE_PATH)
        return alone, with_all

    @cached_property
    def _overlay(self) -> DatasetIndex:
        """The dataset with the definitions of the change and of the linked pull requests."""
        published = self.ground.known.dataset
        found: dict[str, Definition] = dict(published.definitions)
        for name, definition in self._files.items():
            if name not in found and not isinstance(definition, str):
                found[name] = definition
        for pull in self.ground.linked:
            for name, definition in pull.definitions.items():
                earlier = published.find(name)
                workloads = definition.has_workloads or bool(earlier and earlier.has_workloads)
                found[name] = replace(definition, has_workloads=workloads)
        return DatasetIndex(found, published.commit)

    @cached_property
    def _files(self) -> dict[str, Definition | str]:
        """The change's own definition files by name; a text says why one can't be used."""
        found: dict[str, Definition | str] = {}
        for path, text in self.change.definitions.items():
            place = definition_place(path)
            if place is not None:
                try:
                    found[place[1]] = read_definition(text, path)
                except SourceError as error:
                    found[place[1]] = str(error)
        return found

    @property
    def _unread(self) -> str:
        """Why a linked pull request could not be read; empty when all could."""
        problems = (
            f"pull request {p.number} of the dataset could not be read ({p.problem})"
            for p in self.ground.linked
            if p.problem
        )
        return next(problems, "")

    def _found(self, name: str) -> _Found | None:
        """The newest form of a definition: what is to come counts before what is there."""
        for pull in self.ground.linked:
            if name in pull.definitions:
                return _Found(pull.definitions[name], "linked", pull.number)
        file = self._files.get(name)
        if isinstance(file, Definition):
            return _Found(file, "change")
        published = self.ground.known.dataset.find(name)
        return None if published is None else _Found(published, "dataset")

    def _names(self, titles: Iterable[str]) -> Iterator[Names]:
        names = (self.ground.known.names.get(title) for title in titles)
        return (found for found in names if found is not None)

    def _kernel(self, claim: Claim, titles: tuple[str, ...]) -> RequiredKernel | None:
        found = (names.kernels.get(claim.name) for names in self._names(titles))
        return next((kernel for kernel in found if kernel is not None), None)

    def _name(self, claim: Claim, titles: tuple[str, ...]) -> Check:
        alone, _ = self._reports
        if not claim.rows:
            return self._name_of_file(claim, titles)
        lines = {r.row.line for r in claim.rows}
        wrong = _on(alone.findings, lines, _NAME_RULES)
        if wrong:
            return Check(key="name", verdict="wrong", text=_sentence(f.message for f in wrong))
        open_questions = [
            f"{item.title}: {item.reason.removeprefix('name: ')}"
            for item in alone.not_checked
            if item.line in lines and item.reason.startswith("name: ")
        ]
        if open_questions:
            return Check(key="name", verdict="unknown", text=_sentence(open_questions))
        return Check(key="name", verdict="ok")

    def _name_of_file(self, claim: Claim, titles: tuple[str, ...]) -> Check:
        known = list(self._names(titles))
        if any(claim.name in n.kernels or claim.name in n.aliases for n in known):
            return Check(key="name", verdict="ok")
        if known and len(known) == len(titles):
            models = " or ".join(repo for names in known for repo in names.repo_ids)
            text = f"no formula yields {claim.name} for {models}, which its tags name"
        elif titles:
            text = "; ".join(f"{t}: {self.ground.known.without.get(t, '')}" for t in titles)
        else:
            text = "no row of the document names it, and its tags name no model of the document"
        return Check(key="name", verdict="unknown", text=text)

    def _axes(self, claim: Claim, titles: tuple[str, ...]) -> Check:
        _, with_all = self._reports
        said = [f.message for f in _on(with_all.findings, _lines(claim), {"op_type"})]
        broken = self._broken(claim)
        if broken or said:
            return Check(key="axes", verdict="wrong", text=_sentence([*broken, *said]))
        found = self._found(claim.name)
        if found is None:
            return Check(key="axes", verdict="none")
        kernel = self._kernel(claim, titles)
        problems = list(_contradictions(claim, found.definition, kernel))
        if problems:
            return Check(key="axes", verdict="wrong", text=_sentence(problems))
        if kernel is None:
            return Check(key="axes", verdict="unknown", text="no formula says what its axes are")
        return Check(key="axes", verdict="ok")

    def _broken(self, claim: Claim) -> list[str]:
        """Definition files that can't be used."""
        file = self._files.get(claim.name)
        said = [file] if isinstance(file, str) else []
        pulls = (p.unusable.get(claim.name) for p in self.ground.linked)
        return said + [why for why in pulls if why]

    def _dataset(self, claim: Claim) -> Check:
        published = self.ground.known.dataset.find(claim.name)
        if published is not None:
            return Check(key="dataset", verdict="ok")
        found = self._found(claim.name)
        if found is not None and found.place == "linked":
            return Check(key="dataset", verdict="ok", numbers=(found.number,))
        if not claim.file and not _present(claim):
            return Check(key="dataset", verdict="none")
        if self._unread:
            return Check(key="dataset", verdict="unknown", text=self._unread)
        text = "the dataset does not have it"
        text += ", it is only in this change" if claim.file else ""
        return Check(key="dataset", verdict="wrong", text=text)

    def _workloads(self, claim: Claim) -> Check:
        signs = {r.row.sign for r in claim.rows}
        found = self._overlay.find(claim.name)
        if found is not None and found.has_workloads:
            return Check(key="workloads", verdict="ok")
        if "✅" not in signs:
            return Check(key="workloads", verdict="none")
        if self._unread:
            return Check(key="workloads", verdict="unknown", text=self._unread)
        if not self.ground.known.complete:
            text = "none in the dataset at hand, which need not be complete"
            return Check(key="workloads", verdict="unknown", text=text)
        where = (
            "the dataset and the linked pull request have" if self._linked else "the dataset has"
        )
        return Check(key="workloads", verdict="wrong", text=f"{where} none")

    def _status(self, claim: Claim) -> Check:
        if not claim.rows:
            return Check(key="status", verdict="none")
        _, with_all = self._reports
        found = _on(with_all.findings, _lines(claim), _STATUS_RULES)
        wrong = [f.message for f in found if f.level == "mistake"]
        if wrong and self._unread and _present(claim):
            return Check(key="status", verdict="unknown", text=self._unread)
        if wrong:
            return Check(key="status", verdict="wrong", text=_sentence(wrong))
        if found:
            text = _sentence(f.message for f in found)
            return Check(key="status", verdict="unknown", text=text)
        if self._kernel_is_wrong(claim):
            return Check(key="status", verdict="none")
        return Check(key="status", verdict="ok")

    def _kernel_is_wrong(self, claim: Claim) -> bool:
        alone, _ = self._reports
        return bool(_on(alone.findings, _lines(claim), {"name", "placeholder"}))

    def _count(self, claim: Claim) -> Check:
        """The count lines of the tables that the rows are in, and the Summary's rows."""
        _, with_all = self._reports
        blocks = list(dict.fromkeys(r.block for r in claim.rows if r.changed))
        wrong = [f.message for block in blocks for f in _counted(with_all, block)]
        if wrong:
            return Check(key="count", verdict="wrong", text=_sentence(wrong))
        return Check(key="count", verdict="ok" if any(b.counts for b in blocks) else "none")

    @property
    def _linked(self) -> bool:
        return bool(self.ground.linked)

    def _link(self, claim: Claim) -> Check:
        if not _present(claim) and not claim.file:
            return Check(key="link", verdict="none")
        having = tuple(p.number for p in self.ground.linked if claim.name in p.definitions)
        if having:
            return Check(key="link", verdict="ok", numbers=having)
        if self._unread:
            return Check(key="link", verdict="unknown", text=self._unread)
        if self.ground.known.dataset.find(claim.name) is not None:
            return Check(key="link", verdict="none")
        if self._linked:
            text = "the linked pull request of the dataset does not have it"
            numbers = tuple(pull.number for pull in self.ground.linked)
            return Check(key="link", verdict="wrong", text=text, numbers=numbers)
        text = "no pull request of the dataset is linked"
        return Check(key="link", verdict="wrong", text=text)

    def _request(self, claim: Claim, titles: tuple[str, ...]) -> Check:
        """A kernel that FlashInfer lacks needs a request, and it is linked."""
        kernel = self._kernel(claim, titles)
        found = self._overlay.find(claim.name)
        asked = _present(claim) or bool(claim.file)
        if kernel is None or not asked or (found is not None and found.has_workloads):
            return Check(key="request", verdict="none")
        if self.ground.support is None:
            return Check(key="request", verdict="unknown", text="FlashInfer could not be looked at")
        support = self.ground.support(kernel)
        if support.fi_status == "fi_supported":
            return Check(key="request", verdict="none")
        if support.fi_status is None:
            text = next(iter(support.notes), "FlashInfer could not be looked at")
            return Check(key="request", verdict="unknown", text=text)
        numbers = requests_linked(self.change.body)
        named = {kernel.spec, kernel.op_type} & set(self.ground.known_requests)
        if numbers or named:
            return Check(key="request", verdict="ok")
        text = "FlashInfer lacks the kernel, and no kernel request is linked"
        return Check(key="request", verdict="wrong", text=text)


def _lines(claim: Claim) -> set[int]:
    return {r.row.line for r in claim.rows}


def _present(claim: Claim) -> bool:
    """Whether the change says that the definition is there."""
    return any(r.row.sign in PRESENT for r in claim.rows)


def _on(findings: Iterable[Finding], lines: set[int], rules: Iterable[str]) -> list[Finding]:
    return [f for f in findings if f.line in lines and f.rule in rules]


def _counted(report: Report, block: Block) -> Iterator[Finding]:
    lines = {count.line for count in block.counts}
    for finding in report.findings:
        here = finding.rule == "count" and finding.line in lines
        if here or (finding.rule == "summary" and finding.title == block.title):
            yield finding


def _contradictions(
    claim: Claim, definition: Definition, kernel: RequiredKernel | None
) -> Iterator[str]:
    """Where a definition's own words differ from its name, its folder and the formula."""
    if definition.name != claim.name:
        yield f"the file calls itself {definition.name}"
    place = definition_place(definition.path)
    folder = place[0] if place else definition.op_type
    right = kernel.op_type if kernel else folder
    if definition.op_type != right:
        yield f"its op_type is {definition.op_type}, not {right}"
    elif folder != right:
        yield f"it is in the folder {folder}, not {right}"
    if kernel is not None:
        for name, axis in kernel.axes.items():
            value = definition.axes.get(name, axis.value)
            if value != axis.value:
                yield f"its axis {name} is {value}, and its name says {axis.value}"


def _sentence(parts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(parts))
