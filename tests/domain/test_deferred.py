"""Whether a model that could not be looked at is itself the reason."""

import pytest

from discover_models.domain.kernel import Deferred


@pytest.mark.parametrize(
    ("reason", "skipped", "of_the_model"),
    [("gated", False, True), ("network", False, False), ("network", True, True)],
)
def test_the_reason_lies_in_the_model(reason: str, skipped: bool, of_the_model: bool) -> None:
    deferred = Deferred(
        model_slug="model", hf_repo_id="org/model", reason=reason, message="", skipped=skipped
    )
    assert deferred.of_the_model is of_the_model
