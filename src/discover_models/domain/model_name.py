"""When two names mean the same model, apart from quantisation, tuning and date of release.

Names are read word by word. A word that is not known to be a mere flavour belongs to the model's
identity, so that an unknown word keeps two models apart: listing a model once too often is
cheaper than hiding one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import product, takewhile

from discover_models.domain.frozen import Frozen

_QUANTISATION = re.compile(
    r"(nv|mx)?(fp|int|bf|w|q)\d+|w\d+a(fp|int)?\d+|\d-?bits?|awq|gptq|bnb|gguf|modelopt|autoround"
    r"|quantized|dynamic|static|block|per(tensor|channel|token|group)"
)
_TUNING = re.compile(r"instruct|it|chat|base|thinking|reasoning|exp|hf|pt")
_DATE = re.compile(r"\d{4}|\d{6}|\d{8}")
_CONTEXT = re.compile(r"\d+k")
_RELEASE = re.compile(r"v\d+(\.\d+)*")
_SIZE = re.compile(r"(?:(\d+)x)?([ae]?)(\d+(?:\.\d+)?)([bmt])")
_WORDS = re.compile(r"[^\s_\-–:]+")
_MOST_ALTERNATIVES = 64
_SCALE = {"m": 1e-3, "b": 1.0, "t": 1e3}


class ModelName(Frozen):
    """A name taken apart."""

    words: tuple[str, ...]
    """What tells the model from others, in lower case: ``("qwen3", "30b", "a3b")``."""
    release: str = ""
    """A version behind size or tuning, as in ``Mistral-7B-Instruct-v0.3``."""

    @cached_property
    def identity(self) -> str:
        """The words as one, so that ``NemotronH`` is ``Nemotron-H``; digits stay apart."""
        return _joined(self.words)

    @cached_property
    def unsized(self) -> str:
        """The identity without sizes."""
        return _joined(tuple(w for w in self.words if not _SIZE.fullmatch(w)))

    @cached_property
    def sizes(self) -> tuple[str, ...]:
        """The words that are parameter or expert counts."""
        return tuple(w for w in self.words if _SIZE.fullmatch(w))

    @cached_property
    def series(self) -> str:
        """The leading letters, as in ``qwen`` or ``glm``."""
        letters = re.match(r"[^\W\d]+", self.words[0]) if self.words else None
        return letters[0] if letters else ""


def _joined(words: Sequence[str]) -> str:
    text = ""
    for word in words:
        text += "-" + word if text[-1:].isdigit() and word[:1].isdigit() else word
    return text


@lru_cache(maxsize=10_000)
def read_name(name: str) -> ModelName:
    """Take a model's name apart (a repository id without its organisation, or a title)."""
    words: list[str] = []
    release = ""
    behind = False
    for word in _WORDS.findall(name.casefold()):
        if words and _is_flavour(word):
            behind = True
        elif behind and _RELEASE.fullmatch(word):
            release = release or word
        else:
            words.append(word)
            behind = bool(_SIZE.fullmatch(word))
    return ModelName(words=tuple(words), release=release)


def _is_flavour(word: str) -> bool:
    return any(p.fullmatch(word) for p in (_QUANTISATION, _TUNING, _DATE, _CONTEXT))


@lru_cache(maxsize=10_000)
def read_repository(repo_id: str) -> tuple[ModelName, ...]:
    """The readings of a repository id: as it stands, and without the organisation's own name.

    ``nvidia/NVIDIA-Nemotron-3-Nano`` and ``meta-llama/Meta-Llama-3.1-8B`` repeat it.
    """
    organisation, _, name = repo_id.rpartition("/")
    whole = read_name(name)
    first = organisation.casefold().split("-")[0]
    if len(whole.words) > 1 and whole.words[0] == first:
        return whole, whole.model_copy(update={"words": whole.words[1:]})
    return (whole,)


def plain_slugs(repo_id: str) -> frozenset[str]:
    """How people write a repository's model without tuning or date: ``gemma-3-27b``.

    Empty for a quantised repository, which is not what such a name means.
    """
    name = repo_id.rpartition("/")[2].casefold()
    if any(_QUANTISATION.fullmatch(word) for word in _WORDS.findall(name)):
        return frozenset()
    return frozenset("-".join(reading.words) for reading in read_repository(repo_id))


def same_model(left: str, right: str) -> bool:
    """Whether two repository ids are one model but for quantisation, tuning and date."""
    return any(
        a.identity == b.identity and _releases_agree(a, b)
        for a in read_repository(left)
        for b in read_repository(right)
    )


def _releases_agree(left: ModelName, right: ModelName) -> bool:
    return not left.release or not right.release or left.release == right.release


def expand_title(title: str) -> tuple[str, ...]:
    """The names that a title for people stands for: ``Llama 3.1/3.3 70B`` is two."""
    words = re.sub(r"\([^()]{0,100}\)", " ", title).replace("/", " / ").split()
    names: list[list[str]] = [[]]
    alternatives: list[list[str]] = []
    for at, word in enumerate(words):
        if word != "/" and (at == 0 or words[at - 1] != "/"):
            alternatives.append([word])
        elif word != "/" and alternatives:
            alternatives[-1].append(word)
    for choice in alternatives:
        names = [[*name, word] for name in names for word in choice][:_MOST_ALTERNATIVES]
    return tuple(" ".join(name) for name in names)


def tracked_title(repo_id: str, titles: Sequence[str]) -> str | None:
    """The title among `titles` that means this repository's model, if one does.

    A title may give a size that the repository's name leaves out (``Phi-4 14B``), provided that
    no other title differs from it in size alone.
    """
    names = [(title, read_name(name)) for title in titles for name in expand_title(title)]
    for reading in read_repository(repo_id):
        for title, name in names:
            if reading.identity == name.identity and (
                not name.release or reading.release == name.release
            ):
                return title
        unsized = [(title, name) for title, name in names if name.unsized == reading.identity]
        if len(unsized) == 1 and unsized[0][1].release in ("", reading.release):
            return unsized[0][0]
    return None


def kinship(left: str, right: str) -> tuple[int, int, float] | None:
    """How close two repository ids of one series are, larger is closer; None across series.

    First how many leading characters the identities share, then how few follow, then how near
    the sizes are.
    """
    pairs = product(read_repository(left), read_repository(right))
    return max(
        (_closeness(a, b) for a, b in pairs if a.series and a.series == b.series), default=None
    )


def _closeness(a: ModelName, b: ModelName) -> tuple[int, int, float]:
    both = zip(a.unsized, b.unsized, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], both))
    apart = abs(_log_size(a) - _log_size(b))
    return shared, 2 * shared - len(a.unsized) - len(b.unsized), -apart


def _log_size(name: ModelName) -> float:
    """Natural logarithm of the billions of parameters that a name gives; 0 without any."""
    sizes = (match for word in name.sizes if (match := _SIZE.fullmatch(word)))
    total = next((m for m in sizes if m[2] != "a"), None)
    if total is None:
        return 0.0
    billions = float(total[3]) * float(total[1] or 1) * _SCALE[total[4]]
    return math.log(billions) if billions > 0 else 0.0
