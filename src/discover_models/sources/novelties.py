"""What is new between two commits: registered classes, cookbook models, pages.

Everything is read from commits, not from the checked-out files, and nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from pydantic import Field

from discover_models.domain.candidate import ComparedWith
from discover_models.domain.frozen import Frozen
from discover_models.errors import SourceError
from discover_models.sources.cookbook import CookbookModel
from discover_models.sources.entry_class import registered_classes
from discover_models.sources.git import Git, TreeChange, changes, list_tree, read_blobs
from discover_models.sources.history import Base
from discover_models.sources.pages import CookbookPage, hub_links, read_page
from discover_models.sources.python_source import parse_python
from discover_models.sources.source_spec import SourceName
from discover_models.sources.workspace import (
    GENERATED_FOLDER,
    MODELS_FOLDER,
    PAGES_FOLDER,
    RepoState,
    Workspace,
)


class NewClass(Frozen):
    """A class that was not registered before."""

    name: str
    file: str
    line: int | None
    """1-based, of the class statement; None where the class is defined elsewhere."""
    pooled: bool
    """Its body makes a `Pooler` and no `LogitsProcessor`: it gives vectors, not tokens."""
    links: tuple[str, ...]
    """Repositories on the Hub that its file names, in order."""


class NewRegistrations(Frozen):
    """What SGLang's model folder registers anew."""

    classes: tuple[NewClass, ...] = ()
    helpers: tuple[str, ...] = ()
    """New files that register nothing."""
    not_loaded: tuple[str, ...] = ()
    """New files with an ``EntryClass`` in a sub-folder, which the registry does not look into."""
    errors: dict[str, str] = Field(default_factory=dict)


class NewModels(Frozen):
    """What the cookbook lists anew."""

    models: tuple[CookbookModel, ...] = ()
    listed_before: tuple[CookbookModel, ...] = ()
    """Models of new files that another file listed before already."""
    errors: dict[str, str] = Field(default_factory=dict)


class Novelties(Frozen):
    """Everything new in a workspace; the arguments of `discovery.discover`."""

    registrations: NewRegistrations = NewRegistrations()
    models: NewModels = NewModels()
    pages: tuple[CookbookPage, ...] = ()
    compared: dict[str, ComparedWith] = Field(default_factory=dict)
    errors: dict[str, str] = Field(default_factory=dict)
    """Sources and files that could not be looked at."""


def read_novelties(workspace: Workspace, states: Mapping[SourceName, RepoState]) -> Novelties:
    """Compare SGLang and the cookbook with their bases; what fails stands in `errors`."""
    found = Novelties()
    for name in ("sglang", "sgl-cookbook"):
        state = states.get(name)
        try:
            found = found.model_copy(update=_look(workspace.git(name), name, state, found))
        except SourceError as error:
            found = found.model_copy(update={"errors": {**found.errors, name: str(error)}})
    return found


def _look(
    git: Git, name: SourceName, state: RepoState | None, found: Novelties
) -> dict[str, object]:
    """What one source adds."""
    if state is None or state.commit is None or state.base is None:
        reason = state.error if state is not None else ""
        raise SourceError(reason or f"{name} was not compared with an earlier commit")
    base, head = state.base.commit, state.commit
    compared = ComparedWith(
        base=base, base_date=state.base.date, head=head, note=_base_note(state.base)
    )
    update: dict[str, object] = {"compared": {**found.compared, name: compared}}
    if name == "sgl-cookbook":
        return {**update, "models": new_models(git, base, head)}
    pages, errors = _read_pages(git, new_pages(git, base, head))
    registrations = new_registrations(git, base, head)
    return {**update, "registrations": registrations, "pages": pages, "errors": errors}


def _base_note(base: Base) -> str:
    if base.kind == "root":
        return "the repository's first commit; nothing in it is new"
    if base.kind == "boundary":
        return (
            "the clone's history ends here, inside the window; what was added before this commit "
            "is not known"
        )
    return ""


def _read_pages(git: Git, files: Iterable[str]) -> tuple[tuple[CookbookPage, ...], dict[str, str]]:
    pages: list[CookbookPage] = []
    errors: dict[str, str] = {}
    for file in files:
        try:
            pages.append(read_page(git.folder, file))
        except SourceError as error:
            errors[file] = str(error)
    return tuple(pages), errors


def _changed(git: Git, base: str, head: str, folder: str, ending: str) -> tuple[TreeChange, ...]:
    found = changes(git, base, head, [folder])
    return tuple(change for change in found if change.path.endswith(ending))


def _texts(git: Git, oids: Iterable[str | None]) -> dict[str, str]:
    """Contents by object id, without byte order marks; bytes that are no UTF-8 are replaced."""
    blobs = read_blobs(git, (oid for oid in oids if oid is not None))
    return {oid: content.decode("utf-8-sig", "replace") for oid, content in blobs.items()}


def new_registrations(git: Git, base: str, head: str) -> NewRegistrations:
    """Compare the names in ``EntryClass`` at two commits.

    A class that only moved to another file is not new. A file that can't be parsed at either
    commit stands in `errors`, and nothing is said about its classes.
    """
    changed = _changed(git, base, head, MODELS_FOLDER, ".py")
    texts = _texts(git, (oid for c in changed for oid in (c.old, c.new)))
    top = [c for c in changed if _is_top(c.path)]
    errors: dict[str, str] = {}
    before = _names({c.path: texts[c.old] for c in top if c.old}, errors)
    after = _names({c.path: texts[c.new] for c in top if c.new}, errors)
    appeared = {
        name: path
        for path, names in after.items()
        for name in names
        if path not in errors and not any(name in old for old in before.values())
    }
    untouched = _registered_elsewhere(git, head, {c.path for c in changed}, appeared, errors)
    added = {c.path: texts[c.new] for c in changed if c.new and not c.old}
    nested = {path: text for path, text in added.items() if not _is_top(path)}
    registering = {p for p, names in {**after, **_names(nested, errors)}.items() if names}
    return NewRegistrations(
        classes=tuple(
            _new_class(name, path, _text_of(path, top, texts))
            for name, path in sorted(appeared.items(), key=lambda item: (item[1], item[0]))
            if name not in untouched
        ),
        helpers=tuple(sorted(p for p in added if p not in registering and p not in errors)),
        not_loaded=tuple(sorted(p for p in nested if p in registering)),
        errors=errors,
    )


def _is_top(path: str) -> bool:
    return str(PurePosixPath(path).parent) == MODELS_FOLDER


def _text_of(path: str, changed: Iterable[TreeChange], texts: Mapping[str, str]) -> str:
    return next(texts[c.new] for c in changed if c.path == path and c.new)


def _names(sources: Mapping[str, str], errors: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Registered names by file."""
    found: dict[str, tuple[str, ...]] = {}
    for path, text in sources.items():
        found[path] = ()
        if "EntryClass" not in text:
            continue
        try:
            registered = registered_classes(text, path)
        except SourceError as error:
            errors[path] = str(error)
            continue
        found[path] = registered.names
        if registered.undecided:
            errors[path] = f"{path}: EntryClass holds {registered.undecided[0]!r}, not followed"
    return found


def _registered_elsewhere(
    git: Git, head: str, changed: set[str], names: Iterable[str], errors: dict[str, str]
) -> set[str]:
    """Which of the names unchanged files register, so that they were registered before too."""
    wanted = list(names)
    if not wanted:
        return set()
    entries = {
        entry.path: entry.oid
        for entry in list_tree(git, head, [MODELS_FOLDER])
        if _is_top(entry.path) and entry.regular and entry.path not in changed
    }
    texts = _texts(git, entries.values())
    suspects = {p: texts[o] for p, o in entries.items() if any(n in texts[o] for n in wanted)}
    registered = _names({p: text for p, text in suspects.items() if p.endswith(".py")}, errors)
    return {name for names_ in registered.values() for name in names_}


def _new_class(name: str, path: str, text: str) -> NewClass:
    tree = parse_python(text, path)
    found = (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)
    body = next(found, None)
    used = {n.id for n in ast.walk(body) if isinstance(n, ast.Name)} if body else set[str]()
    return NewClass(
        name=name,
        file=path,
        line=body.lineno if body else None,
        pooled="Pooler" in used and "LogitsProcessor" not in used,
        links=hub_links(text),
    )


def new_models(git: Git, base: str, head: str) -> NewModels:
    """The models whose paths the generated cookbook files name at `head` and not at `base`."""
    changed = _changed(git, base, head, GENERATED_FOLDER, ".yaml")
    before = {
        entry.path: entry.oid
        for entry in list_tree(git, base, [GENERATED_FOLDER])
        if entry.regular and entry.path.endswith(".yaml")
    }
    texts = _texts(git, (*(c.new for c in changed), *(before.values() if changed else ())))
    errors: dict[str, str] = {}
    old = [m for path, oid in before.items() for m in _parsed(texts.get(oid, ""), path, errors)]
    known = {model.model_path.casefold() for model in old}
    fresh: list[CookbookModel] = []
    again: list[CookbookModel] = []
    for change in changed:
        if change.new is None or not _is_generated(change.path):
            continue
        for model in _parsed(texts[change.new], change.path, errors):
            if model.model_path.casefold() not in known:
                fresh.append(model)
            elif change.old is None:
                again.append(model)
    return NewModels(models=tuple(fresh), listed_before=tuple(again), errors=errors)


def _is_generated(path: str) -> bool:
    return str(PurePosixPath(path).parent.parent) == GENERATED_FOLDER


def _parsed(text: str, path: str, errors: dict[str, str]) -> tuple[CookbookModel, ...]:
    from discover_models.sources.cookbook_yaml import parse_cookbook  # most runs compare nothing

    if not text:
        return ()
    try:
        return parse_cookbook(text, path)
    except SourceError as error:
        errors[path] = str(error)
        return ()


def new_pages(git: Git, base: str, head: str) -> tuple[str, ...]:
    """The pages of SGLang's cookbook that are there at `head` and not at `base`."""
    changed = _changed(git, base, head, PAGES_FOLDER, ".mdx")
    depth = PAGES_FOLDER.count("/") + 2
    return tuple(c.path for c in changed if c.new and not c.old and c.path.count("/") == depth)
