"""An audit for people, for programs and as annotations on a pull request."""

from collections import Counter

from discover_models.audit.findings import Finding, Report
from discover_models.render.environment import text

_COMMANDS = {"mistake": "error", "doubt": "warning"}


def render_audit_text(report: Report) -> str:
    """What the command prints."""
    return (
        text()
        .get_template("audit.txt.j2")
        .render(
            report=report,
            mistakes=report.of("mistake"),
            doubts=report.of("doubt"),
            not_checked=Counter(f"{item.title}\0{item.reason}" for item in report.not_checked),
        )
    )


def render_audit_json(report: Report) -> str:
    """The report as one JSON object."""
    return report.model_dump_json(indent=2) + "\n"


def render_audit_github(report: Report) -> str:
    """Workflow commands that put each finding on its line."""
    lines = [_annotation(report.document, finding) for finding in report.findings]
    if report.not_checked:
        reasons = Counter(item.reason for item in report.not_checked)
        said = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common())
        lines.append(f"::notice file={_property(report.document)}::{_data(f'not checked: {said}')}")
    return "".join(line + "\n" for line in lines)


def _annotation(path: str, finding: Finding) -> str:
    place = f"file={_property(path)},line={finding.line},title={_property(_title(finding))}"
    return f"::{_COMMANDS[finding.level]} {place}::{_data(finding.message)}"


def _title(finding: Finding) -> str:
    return f"{finding.title}: {finding.rule}"


def _data(value: str) -> str:
    """Escaped as the runner's own toolkit escapes a message."""
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    """Escaped as the runner's own toolkit escapes a property."""
    return _data(value).replace(":", "%3A").replace(",", "%2C")
