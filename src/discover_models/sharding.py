"""Which of the models one of several runners takes. Pure."""

import re
from dataclasses import dataclass
from hashlib import sha256

from discover_models.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """One of `count` shares; together they hold every model exactly once."""

    number: int
    """From 1 on."""
    count: int

    def takes(self, repo_id: str) -> bool:
        """Whether a repository is in this share: told by its id alone, so always by the same."""
        digest = sha256(repo_id.casefold().encode()).digest()
        return int.from_bytes(digest[:8]) % self.count == self.number - 1


EVERYTHING = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """``I/N`` with 1 ≤ I ≤ N; `UsageError` for anything else."""
    match = re.fullmatch(r"(\d{1,5})/(\d{1,5})", text, re.ASCII)
    shard = Shard(int(match[1]), int(match[2])) if match else Shard(0, 0)
    if not 1 <= shard.number <= shard.count:
        raise UsageError(f"--shard {text}: I/N is wanted, for example 2/8, with I from 1 to N")
    return shard
