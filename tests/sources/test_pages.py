import time
from pathlib import Path

import pytest

from discover_models.sources.cookbook import parallelism_for
from discover_models.sources.js_literal import NotDataError, exported_data
from discover_models.sources.pages import CookbookPage, read_page, read_pages

FOLDER = "docs_new/cookbook/autoregressive"
PAGE = """---
title: "Tiny 1"
---

import { Deployment } from "/src/snippets/_deployment.jsx";
import { config }     from "/src/snippets/configs/tiny/tiny-1.jsx";

[Tiny-1](https://huggingface.co/tiny/Tiny-1-8B) beside
[data](https://huggingface.co/datasets/tiny/data), see https://huggingface.co/tiny/Tiny-1-FP8.

- In a list:
  ```bash Command
  $ SGLANG_X=1 python3 -m sglang.launch_server \\
    --model-path tiny/Tiny-1-8B \\
    --tp 8 --dp 8 \\
    --enable-dp-attention \\
    --json '{"a":
      1}' && echo --tp 2
  ```

```shell
docker run --rm image \\
  sglang serve --model tiny/Tiny-1-8B --tensor-parallel-size=4 --ep 4 # --tp 64
docker run image bash -c "sglang serve --model tiny/Tiny-1-FP8 --tp 2"
python -m sglang.launch_server --model tiny/Tiny-1-8B --tool-call-parser x
python -m sglang.launch_server --model $MODEL --tp 16
python -m sglang.launch_server --model tiny/Other --tp ${TP}
python -m sglang.bench_serving --model tiny/Bench --tp 32
```

```python
# python -m sglang.launch_server --model tiny/Python --tp 3
```

`sglang serve --model tiny/Inline --tp 5`
"""
SNIPPET = """// header
export const config = {
  modelName: "Tiny-1", 'quoted': 1.5, list: [null, true, undefined,],
  modelNames: { "big|fp8": "tiny/Tiny-1-FP8", "h200|big|bf16": "tiny/Tiny-1-8B" },
  curl: `curl http://{{HOST}} \\${ESCAPED}`,  /* a comment */
  cells: [
    { match: { hw: "h200", variant: "big", quant: "bf16" },
      flags: ["--model-path {{MODEL_NAME}}", "--tp 8", "--ep 8"] },
    { match: { hw: "b200", variant: "big", quant: "fp8" },
      flags: ["--model-path {{MODEL_NAME}}", "--tp 4"] },
    { match: { hw: "b200", variant: "none", quant: "fp8" },
      flags: ["--model-path {{MODEL_NAME}}", "--tp 1"] },
  ],
};
"""


def page(tmp_path: Path, text: str = PAGE, snippet: str = SNIPPET) -> CookbookPage:
    file = f"{FOLDER}/Tiny/Tiny-1.mdx"
    for name, content in (
        (file, text),
        ("docs_new/src/snippets/configs/tiny/tiny-1.jsx", snippet),
        ("docs_new/src/snippets/_deployment.jsx", "export const Deployment = () => 1"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return read_page(tmp_path, file)


def test_names_and_links(tmp_path: Path) -> None:
    found = page(tmp_path)
    assert (found.name, found.vendor, found.title) == ("Tiny-1", "Tiny", "Tiny 1")
    assert found.links == ("tiny/Tiny-1-8B", "tiny/Tiny-1-FP8")
    assert found.served == ("tiny/Tiny-1-8B", "tiny/Tiny-1-FP8", "tiny/Other")


def test_sizes_in_commands_and_snippets(tmp_path: Path) -> None:
    found = [
        (c.model_path, c.tp, c.ep, c.dp, c.dp_attention, Path(c.file).suffix, c.line)
        for c in page(tmp_path).configurations
    ]
    assert found == [
        ("tiny/Tiny-1-8B", 8, 1, 8, True, ".mdx", 13),
        ("tiny/Tiny-1-8B", 4, 4, None, False, ".mdx", 22),
        ("tiny/Tiny-1-FP8", 2, 1, None, False, ".mdx", 24),
        ("tiny/Tiny-1-8B", 8, 8, None, False, ".jsx", 7),
        ("tiny/Tiny-1-FP8", 4, 1, None, False, ".jsx", 9),
    ]


def test_what_was_not_read_is_said(tmp_path: Path) -> None:
    assert page(tmp_path).unread == (
        "line 26: --model $MODEL",
        "line 27: --tp ${TP}",
        "docs_new/src/snippets/configs/tiny/tiny-1.jsx:11: --model-path $",
    )


def test_pages_give_parallelism(tmp_path: Path) -> None:
    sizes, relation = parallelism_for("tiny/Tiny-1-FP8", page(tmp_path).configurations)
    assert relation == "exact"
    assert [p.tp for p in sizes] == [2, 4]


@pytest.mark.parametrize(
    "snippet",
    [
        "export const Tiny = () => { return 1; };",
        "export const config = { cells: make() };",
        "export const config = { ...other };",
        "export const config = { a: `${x}` };",
        "export const config = { a: 1 + 2 };",
        "export const config = [1].map(x => x);",
        "export const config = { a: [",
        "export const config = { a: " + "9" * 5000 + " };",
        "export const config = " + "[" * 5000,
    ],
)
def test_a_program_is_not_read_and_that_is_said(tmp_path: Path, snippet: str) -> None:
    found = page(tmp_path, snippet=snippet)
    assert all(c.file.endswith(".mdx") for c in found.configurations)
    assert any("tiny-1.jsx" in line for line in found.unread)


def test_an_import_leads_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret.jsx").write_text('export const c = {cells: [{flags: ["--tp 7"]}]};')
    text = 'import { c } from "/src/snippets/../../../secret.jsx";\n'
    found = page(tmp_path, text=text)
    assert found.configurations == ()
    missing = page(tmp_path, text='import { c } from "/src/snippets/gone.jsx";\n')
    assert missing.unread == (
        "docs_new/src/snippets/gone.jsx: docs_new/src/snippets/gone.jsx is not there",
    )


@pytest.mark.parametrize(
    "text",
    [
        "```bash\nsglang serve --model 'open\n```\n",
        "```bash\nsglang serve --tp 8",
        "```bash\n" + "sglang serve ' \"\n" * 20_000 + "```\n",
        "```\n" + "sglang " * 60_000 + "\n```",
        "import " * 60_000,
        "title: " + " " * 400_000 + "x",
        "~~~sh\nsglang serve --model a/b --tp 2\n```\n~~~\n" * 3_000,
    ],
)
def test_hostile_pages_are_read_quickly(tmp_path: Path, text: str) -> None:
    start = time.monotonic()
    page(tmp_path, text=text)
    assert time.monotonic() - start < 8


def test_all_pages(tmp_path: Path) -> None:
    page(tmp_path)
    bad = tmp_path / FOLDER / "Tiny/Bad.mdx"
    bad.write_bytes(b"\xff")
    (tmp_path / FOLDER / "intro.mdx").write_text("no model")
    found = read_pages(tmp_path)
    assert [p.name for p in found.pages] == ["Tiny-1"]
    assert list(found.errors) == [f"{FOLDER}/Tiny/Bad.mdx"]


def test_literals() -> None:
    data = exported_data(SNIPPET)["config"]
    assert data["list"] == [None, True, None]
    assert data["quoted"] == 1.5
    assert data["curl"] == "curl http://{{HOST}} ${ESCAPED}"
    assert exported_data("const a = {x: 1};") == {}
    with pytest.raises(NotDataError, match="line 2"):
        exported_data("export const a = {\n b: c };")
