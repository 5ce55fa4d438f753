"""What an audit says: findings with their place, and what it could not judge."""

from typing import Literal

from discover_models.domain.frozen import Frozen

Rule = Literal[
    "name", "placeholder", "size", "op_type", "status", "count", "summary",
    "contradiction", "legend", "duplicate", "prose",
]  # fmt: skip


class Finding(Frozen):
    """One mistake or doubt."""

    line: int
    """1-based."""
    level: Literal["mistake", "doubt"]
    """A doubt is what only a person can settle: the document disagrees with itself, its legend or
    a configuration in a sentence. The patch leaves it alone."""
    rule: Rule
    title: str
    """The model's title."""
    subject: str
    """What is wrong: a definition, a count, a model."""
    right: str = ""
    """What should be there; empty when nothing says."""
    message: str
    """One sentence with the reason."""


class FollowUp(Frozen):
    """A line that agrees with the rows as they are and has to change with them."""

    line: int
    found: str
    right: str


class NotChecked(Frozen):
    """Something that could not be judged."""

    line: int
    title: str
    subject: str
    reason: str


class Report(Frozen):
    """The whole audit of one document."""

    document: str
    """Path as it was given."""
    models: dict[str, tuple[str, ...]]
    """Title → the repositories whose configurations it was checked against."""
    findings: tuple[Finding, ...]
    follow_ups: tuple[FollowUp, ...]
    not_checked: tuple[NotChecked, ...]

    def of(self, level: str) -> tuple[Finding, ...]:
        """The findings of one level, by line."""
        return tuple(finding for finding in self.findings if finding.level == level)
