"""Manifest files of people and later phases, and those of the state, brought in line. Pure.

What we read is taken from the side that was looked at last, of one day from the file. What others
wrote, a phase's result or an address, is united; where both sides say something else, the file
counts, for somebody brings it.
"""

from __future__ import annotations

from collections.abc import Sequence

from discover_models.domain.manifest import Manifest
from discover_models.manifests import merge
from discover_models.publish.state_value import PublishState, assign_slugs, with_news


def with_files(
    state: PublishState, files: Sequence[Manifest], day: str, repository: str
) -> PublishState:
    """The state with these manifests brought in, each under the slug that its model has there.

    `day` is that of the news, `repository` the one (OWNER/NAME) of a state that has none yet.
    """
    slugs = slugs_of(state, files)
    brought = {slugs[f.hf_repo_id]: _called(f, slugs[f.hf_repo_id]) for f in files}
    united = {slug: _united(state.manifests.get(slug), file) for slug, file in brought.items()}
    changed = state.model_copy(
        update={
            "repository": state.repository or repository,
            "manifests": {**state.manifests, **united},
            "slugs": {**slugs, **state.slugs},
        }
    )
    return with_news(changed, state.manifests, day)


def brought_back(state: PublishState, file: Manifest) -> Manifest:
    """What the state says of a file's model, under the slug that the file has."""
    slug = slugs_of(state, (file,))[file.hf_repo_id]
    return _called(state.manifests[slug], file.model_slug)


def slugs_of(state: PublishState, files: Sequence[Manifest]) -> dict[str, str]:
    """The slug in the state of each file's model, by repository."""
    return assign_slugs(state, ((f.hf_repo_id, f.model_slug) for f in files))


def _united(stored: Manifest | None, file: Manifest) -> Manifest:
    if stored is None:
        return file
    newest = stored if stored.date > file.date else merge(stored, file, refresh=True)
    united = merge(file, newest, refresh=True)
    return stored if united == stored else united


def _called(manifest: Manifest, slug: str) -> Manifest:
    if manifest.model_slug == slug:
        return manifest
    return Manifest.of({**manifest.known(), "model_slug": slug}, manifest.foreign())
