"""Say which of SGLang's language models are made of something that nobody has mapped yet.

    uv run scripts/write_architectures.py WORKSPACE VERSION

WORKSPACE holds a checkout of SGLang as ``sglang``, of that version; a minute.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from discover_models.domain.listing import LANGUAGE_ROLES, ListedArchitecture
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.kernel_classes import NON_KERNELS
from discover_models.sources.sglang_models.listing import list_architectures
from discover_models.sources.sglang_models.symbols import ClassSymbol, Symbols
from discover_models.sources.sglang_models.walker import Walker

OUTPUT = Path(__file__).parent.parent / "docs/architectures.md"
TEXT = """# What SGLang's architectures can do

`discover-models architectures` reads every class that SGLang registers, without a configuration:

    discover-models architectures --workspace DIR [--format text|markdown|json]

One reader interprets the constructors with every test on the configuration left open: it gives the
kinds of attention, feed-forward and norms, and under which conditions each is there. A kind that
it can't name is `other:CLASS`; a routing that the configuration names is `moe:undecided`.

| kind | what it stands for |
|---|---|
| `gqa` | softmax attention over keys and values, with any number of heads |
| `sliding_window`, `chunked`, `msa` | restrictions that stand beside `gqa` |
| `mla`, `dsa` | latent attention; with an indexer that chooses tokens |
| `dsv4` | a window and a compressed cache in one layer |
| `gdn`, `kda`, `lightning` | linear attention: decay per head, per channel, fixed |
| `mamba1`, `mamba2`, `short_conv` | state-space mixers and gated short convolutions |
| `cross_attention` | keys and values of an encoder |

Roles: a draft is named or filed as one; `diffusion` and `audio_or_other` are named in SGLang's
code; an encoder without causal attention is `encoder_only`; what pools is `embedding_or_reward`.

The second reader understands nothing. It follows every name that stands for a layer's class from
the registered one on, and each must be a layer with a known kernel, be made of such, or be on the
list of {non_kernels} classes that launch none (`sglang_models/kernel_classes.py`, with reasons).
Everything else is `unmapped`, with the file and line where it is constructed.

Below is what SGLang {version} gives; `scripts/write_architectures.py` writes this page.

{total} architectures: {roles}. Of {language} language models (`text_llm` and `multimodal_llm`)
**{mapped} ({share:.1f} %) are fully mapped**; with the list of non-kernels empty, {bare} are
({bare_share:.1f} %), as nearly every model keeps its layers in a list, which is on it.

| architecture | unmapped | constructed at |
|---|---|---|
{rows}
"""


def page(checkout: Path, version: str) -> str:
    """The whole page for a checkout of SGLang."""
    source = SglangSource(checkout)
    return write_up(source, list_architectures(source).architectures, version)


def write_up(source: SglangSource, everything: Sequence[ListedArchitecture], version: str) -> str:
    """The whole page for a listing that was made already."""
    language = [a for a in everything if a.role in LANGUAGE_ROLES]
    mapped = [a for a in language if not a.unmapped]
    bare = bare_count(source, language)
    return TEXT.format(
        non_kernels=len(NON_KERNELS),
        version=version,
        total=len(everything),
        roles=", ".join(f"{n} `{r}`" for r, n in Counter(a.role for a in everything).most_common()),
        language=len(language),
        mapped=len(mapped),
        share=100 * len(mapped) / len(language),
        bare=bare,
        bare_share=100 * bare / len(language),
        rows="\n".join(row for a in language for row in rows(a)),
    )


def bare_count(source: SglangSource, language: list[ListedArchitecture]) -> int:
    """How many are fully mapped when no class is excused."""
    symbols = Symbols(source)
    walker = Walker(symbols, frozenset())
    count = 0
    for item in language:
        module = item.file.removeprefix("python/").removesuffix(".py").replace("/", ".")
        space = symbols.space(module)
        found = symbols.of(space, item.architecture) if space else ()
        classes = [symbol for symbol in found if isinstance(symbol, ClassSymbol)]
        count += bool(classes) and not walker.reach(classes[0]).unmapped
    return count


def rows(item: ListedArchitecture) -> list[str]:
    """One line for each class that is not mapped."""
    return [
        f"| `{item.architecture}` | {reason(item.architecture, u.name)} | `{u.file}:{u.line}` |"
        for u in item.unmapped
    ]


def reason(architecture: str, name: str) -> str:
    """What a name in the list of unmapped classes says."""
    if name == architecture:
        return "nothing that mixes tokens was found: its layers are chosen when it is loaded"
    return f"`{name}`"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("version")
    options = parser.parse_args()
    OUTPUT.write_text(page(options.workspace / "sglang", options.version), encoding="utf-8")
