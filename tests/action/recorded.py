"""Events as GitHub sent them, from the npm package @octokit/webhooks-examples 7.6.1 (MIT)."""

import json
from pathlib import Path
from typing import Any

RECORDED: dict[str, Any] = json.loads(
    Path(__file__).with_name("recorded_events.json").read_text("utf-8")
)
"""By event and action: ``pull_request opened``."""
