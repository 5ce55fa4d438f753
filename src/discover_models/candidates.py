"""New models: what was not tracked yet, with the repository that its configuration confirms."""

from collections.abc import Mapping
from typing import Any

from discover_models.discovery import class_stem, discover, settle, with_hints
from discover_models.discovery import resolve as resolve_candidate
from discover_models.domain.candidate import Candidate, Discovery
from discover_models.errors import ConfigError, SourceError
from discover_models.one_model import configurations
from discover_models.progress import Say
from discover_models.settings import RunOptions
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.coverage_doc import read_tracked
from discover_models.sources.novelties import read_novelties
from discover_models.sources.registered import registered_names
from discover_models.sources.workspace import Workspace
from discover_models.world import World

COVERAGE = "coverage document"


def discover_new(workspace: Workspace, world: World, options: RunOptions, say: Say) -> Discovery:
    """What is new, each candidate with the repository that its configuration confirms.

    With a coverage document that can't be read nothing is: nobody can say what is tracked already.
    """
    say("looking for new models")
    new = read_novelties(workspace, world.repositories)
    tracked = options.coverage_doc.is_file()
    try:
        titles = read_tracked(options.coverage_doc) if tracked else ()
    except SourceError as error:
        return Discovery(errors={**new.errors, COVERAGE: str(error)})
    unread = f"{options.coverage_doc} is not there: no model counts as tracked already"
    found = discover(
        registrations=new.registrations,
        models=new.models,
        pages=new.pages,
        titles=titles,
        compared=new.compared,
        tracked_as=options.tracked,
        errors=new.errors if tracked else {**new.errors, COVERAGE: unread},
    )
    resolver = _Resolver(world)
    return settle(found, map(resolver.resolve, found.candidates), titles, options.tracked)


class _Resolver:
    """Finds candidates' repositories, asking for each configuration once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listed = [(model.model_path, "cookbook") for model in world.cookbook.models]
        self._listed += [(repo_id, "page") for page in world.pages.pages for repo_id in page.served]
        self._configs: dict[str, Mapping[str, Any] | None] = {}
        self._registered: frozenset[str] | None = None
        self._checkpoints: dict[str, str] | None = None

    def resolve(self, candidate: Candidate) -> Candidate:
        if candidate.origin != "day0":
            return resolve_candidate(candidate, self._config, self._names())
        documented = self._documented().get(class_stem(candidate.name))
        hinted = with_hints(candidate, listed=self._listed, documented=documented)
        found = resolve_candidate(hinted, self._config, self._names())
        if found.hf_repo_id is None and self._world.hub is not None:
            searched = with_hints(hinted, searched=self._search(candidate.name))
            found = resolve_candidate(searched, self._config, self._names())
        return found

    def _documented(self) -> Mapping[str, str]:
        """The checkpoint that each configuration class documents, by the stem of its name."""
        if self._checkpoints is None:
            library = ConfigDefaults.load()
            classes = (library.for_class(name) for name in library.class_names())
            self._checkpoints = {
                class_stem(f"{found.class_name.removesuffix('Config')}Model"): found.checkpoint
                for found in classes
                if found is not None and found.checkpoint
            }
        return self._checkpoints

    def _search(self, class_name: str) -> list[str]:
        try:
            return self._world.hub.search(class_stem(class_name)) if self._world.hub else []
        except ConfigError:
            return []

    def _config(self, repo_id: str) -> Mapping[str, Any] | None:
        if repo_id not in self._configs:
            file = configurations([repo_id], self._world.configs, self._world.hub)[repo_id]
            self._configs[repo_id] = None if isinstance(file, ConfigError) else file.config
        return self._configs[repo_id]

    def _names(self) -> frozenset[str]:
        """All classes that SGLang registers today."""
        if self._registered is None:
            state = self._world.repositories["sglang"]
            self._registered = registered_names(state.path) if state.usable else frozenset()
        return self._registered
