"""Write docs/kernels.md: what the program knows of each kernel.

A test holds it to the code; `uv run python scripts/write_kernels.py` brings it up to date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from discover_models.domain.dimension import Dim
from discover_models.ops import SPECS
from discover_models.ops.base import CodePath, Dump, KernelSpec, Limit

PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"
HEAD = """# Kernels

Written from the declarations in `src/discover_models/ops/` by `scripts/write_kernels.py`; a test
keeps the two together. [Names of definitions](definition-names.md) has the names, and how a verdict
follows from this is in [classes](classes.md).

A limit is what one of FlashInfer's code paths demands of a shape. The line that states it is looked
for in the FlashInfer at hand, whichever file it is in; where it is nowhere, the limit refuses
nothing. What it takes is shown for the sizes {sizes}.
"""
SIZES = (1, 2, 3, 4, 5, 8, 16, 17, 32, 48, 64, 80, 96, 128, 192, 256, 320, 512, 576, 1024)


def page_text() -> str:
    """The whole page."""
    head = HEAD.replace("{sizes}", ", ".join(map(str, SIZES)))
    return head + "".join(
        "\n" + "\n".join(_kernel(spec)) + "\n" for _, spec in sorted(SPECS.items())
    )


def _kernel(spec: KernelSpec) -> Iterator[str]:
    yield f"## {spec.key}\n"
    yield f"{spec.title} (`{spec.op_type}`, {spec.data_type})\n"
    yield from (f"- {name}: {text}" for name, text in _facts(spec) if text)
    for path in spec.paths:
        yield from _path(path)
    yield from (_dump(dump) for dump in spec.dumps)


def _facts(spec: KernelSpec) -> Iterator[tuple[str, str]]:
    yield "FlashInfer", _names(spec.apis)
    yield "always there", "PyTorch is the reference" if spec.always_supported else ""
    yield "only with the argument", _names(filter(None, [spec.passes]))
    yield "only without the argument", _names(filter(None, [spec.omits]))
    yield "needs besides", _names(spec.requires)
    yield "template for", _names(filter(None, [spec.traced_as]))
    yield "an API for it would contain", _names(spec.sought)
    yield "not in FlashInfer as read at", spec.read_at
    yield "FlashInfer may have of it", "; ".join(f"{what}: {_code(api)}" for what, api in spec.near)
    yield "SGLang's own", _names(spec.sglang)
    yield "not asked for, the same step is", _names(filter(None, [spec.also_by]))
    if spec.asked_as is not None:
        yield "asked for as", f"{_code(spec.asked_as[0])}, {spec.asked_as[1]}"


def _names(names: Any) -> str:
    return ", ".join(map(_code, names))


def _code(text: str) -> str:
    return f"``` {text} ```" if "`" in text else f"`{text}`"


def _path(path: CodePath) -> Iterator[str]:
    gpus = ""
    if path.gpus is not None:
        gpus = (
            f" on {', '.join(path.gpus.names)} ({_code(path.gpus.file)}: {_code(path.gpus.text)})"
        )
    about = "" if path.checked else ", compiled or outside the checked sources"
    yield f"- through {path.name}{gpus}{about}"
    for limit in path.limits:
        yield from _limit(limit)


def _limit(limit: Limit, before: str = "") -> Iterator[str]:
    axes = _Axes()
    measure = cast("Dim", limit.measure(cast("Any", axes))).expression
    if limit.accepts is not None:
        takes = ", ".join(str(size) for size in SIZES if limit.accepts(size))
    else:
        takes = f"what {_code(limit.listed)} lists"
    doubtful = limit.doubtful
    doubts = ", ".join(str(size) for size in SIZES if doubtful(size)) if doubtful else ""
    yield (
        f"  - {limit.what} ({measure}){before} takes {takes or 'none of these'}"
        + (f", doubtful {doubts}" if doubts else "")
        + f"; {limit.version}: {_code(limit.file)}: {_code(limit.text)}"
    )
    if limit.earlier is not None:
        yield from _limit(limit.earlier, f" before {limit.version}")


class _Axes:
    """Axes whose numbers know their names."""

    def __getitem__(self, name: str) -> Dim:
        return Dim(value=len(name) * 720720, expression=name)


def _dump(dump: Dump) -> str:
    inputs = ", ".join(f"{name} {kind} {list(axes)}" for name, (kind, axes) in dump.inputs.items())
    equal = " = ".join(dump.needs_equal or ())
    return (
        f"- dumped as `{dump.name}` in {', '.join(dump.op_types)}: {inputs}"
        + (f"; from {dump.api}" if dump.api else "")
        + (f"; {equal}" if equal else "")
    )


if __name__ == "__main__":
    PAGE.write_text(page_text(), "utf-8")
