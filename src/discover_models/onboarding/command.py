"""The command that a maintainer writes into a comment: ``/discover-models MODEL [ORG/REPO]``. Pure.

What follows the name is checked as strictly as the command line's own arguments before anything
is done with it.
"""

from __future__ import annotations

from discover_models.domain.frozen import Frozen
from discover_models.errors import UsageError
from discover_models.slugs import check_slug
from discover_models.sources.config_file import check_repo_id

NAME = "/discover-models"
USAGE = "Write /discover-models MODEL or /discover-models MODEL ORG/REPO on the first line."


class Command(Frozen):
    """What is asked for; with a `problem` only how to ask for it."""

    slug: str = ""
    hf_repo_id: str = ""
    problem: str = ""


def parse_command(body: str) -> Command | None:
    """The command on the first line of a comment; None when there is none."""
    words = body.partition("\n")[0].split()
    if not words or words[0] != NAME:
        return None
    if len(words) not in (2, 3):
        return Command(problem=USAGE)
    try:
        if len(words) == 2 and "/" in words[1]:
            return Command(hf_repo_id=check_repo_id(words[1]))
        repo_id = check_repo_id(words[2]) if len(words) == 3 else ""
        return Command(slug=check_slug(words[1]), hf_repo_id=repo_id)
    except UsageError as error:
        return Command(problem=f"{error} {USAGE}")
