"""SGLang's uses of FlashInfer, on hand-written miniature packages."""

from pathlib import Path
from textwrap import dedent

import pytest

from discover_models.domain.kernel import CallLookup
from discover_models.errors import SourceError
from discover_models.sources.sglang import SglangIndex

COMMIT = "a" * 40
RMSNORM = "flashinfer.norm.rmsnorm"
WRAPPER = "flashinfer.prefill.BatchPrefillWithPagedKVCacheWrapper"


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    write(tmp_path, "python/sglang/__init__.py", "")
    return tmp_path


def write(checkout: Path, path: str, text: str | bytes) -> None:
    file = checkout / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())


def srt(checkout: Path, text: str, name: str = "layers/a.py") -> None:
    write(checkout, f"python/sglang/srt/{name}", text)


def kernel(checkout: Path, **files: str) -> None:
    for name, text in files.items():
        write(checkout, f"sgl-kernel/python/sgl_kernel/{name}.py", text)


def calls(checkout: Path, api: str = RMSNORM, *aliases: str) -> CallLookup:
    return SglangIndex.open(checkout, COMMIT).calls(api, aliases)


def places(lookup: CallLookup) -> list[tuple[str, int | None]]:
    return [(e.path.removeprefix("python/sglang/srt/"), e.line) for e in lookup.evidence]


MAPPINGS = {
    "literal": ("extra = {'backend': 1} if fast else {}\n    extra['counter'] = 2", False),
    "with the key": ("extra = dict(backend=1, topk=2)", True),
    "key set later": ("extra = {}\n    extra['topk'] = 2", True),
    "handed on": ("extra = {}\n    fill(extra)", True),
    "updated": ("extra = {}\n    extra.update(given)", True),
    "not written out": ("extra = made(x)", True),
    "from another mapping": ("extra = {**given}", True),
    "a variable key": ("extra = {given: 1}", True),
}


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_of_the_same_function_says_what_is_passed(checkout: Path, name: str) -> None:
    lines, may = MAPPINGS[name]
    text = f"from flashinfer.norm import rmsnorm\ndef f(x, given, fast):\n    {lines}\n"
    srt(checkout, f"{text}    return rmsnorm(x, **extra)\n")
    index = SglangIndex.open(checkout, COMMIT)
    assert index.calls(RMSNORM, passes="topk").used is may


def test_a_mapping_with_the_argument_is_of_the_kernel_that_takes_it(checkout: Path) -> None:
    text = "from flashinfer.norm import rmsnorm\ndef f(x):\n    extra = dict(topk=x)\n"
    srt(checkout, f"{text}    return rmsnorm(x, **extra)\n")
    index = SglangIndex.open(checkout, COMMIT)
    assert index.calls(RMSNORM, omits="topk").used is False
    assert index.calls(RMSNORM, omits="other").used is True


# Every way to import and use --------------------------------------------------------------------

USES = {
    "import": ("import flashinfer\nflashinfer.norm.rmsnorm(x)", [1, 2]),
    "import of the module": ("import flashinfer.norm\nflashinfer.norm.rmsnorm(x)", [1, 2]),
    "import as": ("import flashinfer.norm as n\nn.rmsnorm(x)", [1, 2]),
    "from": ("from flashinfer.norm import rmsnorm\nrmsnorm(x)", [1, 2]),
    "from as": ("from flashinfer.norm import (\n  rmsnorm as r,\n)\nr(x)", [2, 4]),
    "from the package": ("from flashinfer import norm\nnorm.rmsnorm(x)", [1, 2]),
    "top-level name": ("from flashinfer import rmsnorm\nrmsnorm(x)", [1, 2]),
    "continued line": ("from \\\n  flashinfer.norm import rmsnorm\nrmsnorm(x)", [2, 3]),
    "several imports": ("import os, flashinfer\nflashinfer.norm.rmsnorm(x)", [1, 2]),
    "star": ("from flashinfer.norm import *\nrmsnorm(x)", [1, 2]),
    "in a function": (
        "def f(x):\n  from flashinfer.norm import rmsnorm\n  return rmsnorm(x)",
        [2, 3],
    ),
    "in try": (
        "try:\n  from flashinfer.norm import rmsnorm\nexcept ImportError:\n  rmsnorm = None\n"
        "def f(x):\n  return rmsnorm(x)",
        [2, 6],
    ),
    "in with and for": (
        "def f(xs):\n  with torch.no_grad():\n    import flashinfer.norm as n\n"
        "    for x in xs:\n      y = n.rmsnorm(x)",
        [3, 5],
    ),
    "in match": (
        "def f(x):\n  match x:\n    case 1:\n      import flashinfer.norm as n\n      n.rmsnorm(x)",
        [4, 5],
    ),
    "lazy": (
        'from sglang.utils import LazyImport\nr = LazyImport("flashinfer.norm", "rmsnorm")\n'
        "def f(x):\n  return r(x)",
        [2, 4],
    ),
    "getattr": ('import flashinfer.norm\ngetattr(flashinfer.norm, "rmsnorm")(x)', [1, 2]),
    "import_module": (
        'import importlib\nn = importlib.import_module("flashinfer.norm")\nn.rmsnorm(x)',
        [2, 3],
    ),
    "alias": ("import flashinfer\n_f = flashinfer.norm.rmsnorm\ndef f(x):\n  _f(x)", [1, 4]),
    "alias of an alias": (
        "import flashinfer\nn = flashinfer.norm\nr = n.rmsnorm\nr(x)",
        [1, 4],
    ),
    "choice": (
        "from flashinfer.norm import rmsnorm\nf = rmsnorm if fast else slow\nf(x)",
        [1, 3],
    ),
    "global": (
        "_r = None\ndef load():\n  global _r\n  from flashinfer.norm import rmsnorm\n"
        "  _r = rmsnorm\ndef f(x):\n  return _r(x)",
        [4, 7],
    ),
    "subscript call": ("from flashinfer.norm import rmsnorm\nrmsnorm[grid](x)", [1, 2]),
    "inside another expression": (
        "from flashinfer.norm import rmsnorm\ny = [1 + rmsnorm(x) for x in xs if x]",
        [1, 2],
    ),
    "custom operator": (
        "from flashinfer.norm import rmsnorm\n"
        "@register_custom_op(fake_impl=g)\ndef op(x):\n  return rmsnorm(x)",
        [1, 4],
    ),
}


@pytest.mark.parametrize(("text", "lines"), USES.values(), ids=list(USES))
def test_import_and_call_are_found_with_their_lines(
    checkout: Path, text: str, lines: list[int]
) -> None:
    srt(checkout, text)
    lookup = calls(checkout)
    assert lookup.used
    assert [e.line for e in lookup.evidence][:2] == lines
    assert {e.commit for e in lookup.evidence} == {COMMIT}
    assert lookup.notes == ()


def test_evidence_quotes_the_lines(checkout: Path) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm\n\ndef f(x):\n    return rmsnorm(x)\n")
    assert [(e.looked_for, e.note) for e in calls(checkout).evidence] == [
        ("from flashinfer.norm import rmsnorm", "import"),
        ("return rmsnorm(x)", "called"),
    ]


def test_the_nearest_import_is_the_evidence(checkout: Path) -> None:
    srt(checkout, "import flashinfer\nimport flashinfer.norm\nflashinfer.norm.rmsnorm(x)\n")
    assert [e.line for e in calls(checkout).evidence] == [2, 3]


def test_conditions_around_a_use_stand_in_its_note(checkout: Path) -> None:
    srt(
        checkout,
        """
        if is_cuda:
            from flashinfer.norm import rmsnorm
        def f(x, out):
            if out is None:
                return slow(x)
            if x.wide:
                pass
            else:
                rmsnorm(x)
        """,
    )
    assert calls(checkout).evidence[1].note == "called if not (out is None) and not (x.wide)"


def test_calls_come_before_other_uses(checkout: Path) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm\nT = {1: rmsnorm}\n", "layers/a.py")
    srt(checkout, "from flashinfer.norm import rmsnorm\nrmsnorm(x)\n", "layers/b.py")
    assert places(calls(checkout)) == [
        ("layers/b.py", 1),
        ("layers/b.py", 2),
        ("layers/a.py", 1),
        ("layers/a.py", 2),
    ]


# Uses other than a call -------------------------------------------------------------------------

OTHER_USES = {
    "passed": "run(rmsnorm)",
    "passed by name": "run(op=rmsnorm)",
    "stored in a dictionary": 'T = {"a": rmsnorm}',
    "stored on an object": "config.norm = rmsnorm",
    "stored as a default": "def f(x, op=rmsnorm): ...",
    "returned": "def f():\n  return rmsnorm",
    "subclassed": "class A(rmsnorm): ...",
}


@pytest.mark.parametrize("text", OTHER_USES.values(), ids=list(OTHER_USES))
def test_other_uses_count_and_say_so(checkout: Path, text: str) -> None:
    srt(checkout, f"from flashinfer.norm import rmsnorm\n{text}\n")
    lookup = calls(checkout)
    assert lookup.used
    (note,) = lookup.notes
    assert note.endswith("not called by name there")


def test_a_function_returned_in_a_tuple_is_followed_to_its_call(checkout: Path) -> None:
    srt(
        checkout,
        """
        def load():
            from flashinfer.norm import rmsnorm, layernorm
            return True, rmsnorm, layernorm

        class Norm:
            def __init__(self):
                ok, norm, other = load()
                self._norm = norm

            def forward(self, x):
                return self._norm(x)
        """,
    )
    lookup = calls(checkout)
    assert places(lookup)[:2] == [("layers/a.py", 3), ("layers/a.py", 12)]
    assert calls(checkout, "flashinfer.norm.layernorm").notes


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n  def f(self, x):\n    self.op = self.op or rmsnorm\n    self.op(x)",
        "op = op or rmsnorm\nop(x)",
        "def op():\n  return op() or rmsnorm\nop()(x)",
        "a = b or rmsnorm\nb = a\nb(x)",
    ],
)
def test_names_that_lead_back_to_themselves(checkout: Path, text: str) -> None:
    srt(checkout, f"from flashinfer.norm import rmsnorm\n{text}\n")
    evidence = calls(checkout).evidence
    assert "called" in {e.note for e in evidence}


def test_a_long_chain_of_branches_is_read(checkout: Path) -> None:
    branches = "\n".join(f"elif x == {n}:\n  pass" for n in range(400))
    srt(checkout, f"import flashinfer.norm as n\nif x:\n  pass\n{branches}\nelse:\n  n.rmsnorm(x)")
    assert calls(checkout).used


def test_a_wrapped_function_is_followed_to_its_call(checkout: Path) -> None:
    srt(
        checkout,
        """
        from flashinfer.norm import rmsnorm as _raw
        op = register_custom_op_from_extern(_raw, out_shape="x")
        def f(x):
            return op(x)
        """,
    )
    assert places(calls(checkout))[:2] == [("layers/a.py", 2), ("layers/a.py", 5)]


def test_a_class_counts_through_its_members(checkout: Path) -> None:
    srt(
        checkout,
        """
        from flashinfer import BatchPrefillWithPagedKVCacheWrapper
        BatchPrefillWithPagedKVCacheWrapper.plan = fast_plan
        """,
    )
    assert not calls(checkout, WRAPPER).used
    srt(
        checkout,
        """
        from flashinfer import BatchPrefillWithPagedKVCacheWrapper as Wrapper
        plan(Wrapper.run.__wrapped__, Wrapper.Mode.causal)
        """,
    )
    assert calls(checkout, WRAPPER).used


def test_a_function_in_a_module_of_its_name_counts(checkout: Path) -> None:
    srt(checkout, "from flashinfer.mamba.update import update\nupdate(x)\n")
    assert calls(checkout, "flashinfer.mamba.update").used


# What is no use ---------------------------------------------------------------------------------

NO_USE = {
    "import only": "from flashinfer.norm import rmsnorm",
    "unused alias": "from flashinfer.norm import rmsnorm\nr = rmsnorm",
    "module only": "import flashinfer.norm  # noqa: F401",
    "comment and string": '# flashinfer.norm.rmsnorm(x)\nS = "flashinfer.norm.rmsnorm(x)"',
    "docstring": 'import flashinfer\ndef f():\n  """Calls flashinfer.norm.rmsnorm(x)."""',
    "neighbour": "from flashinfer.norm import rmsnorm_quant\nrmsnorm_quant(x)",
    "namesake elsewhere": "from inference.norm import rmsnorm\nimport flashinfer\nrmsnorm(x)",
    "namesake in another module": "from flashinfer.other import rmsnorm\nrmsnorm(x)",
    "own function": "import flashinfer\ndef rmsnorm(x): ...\nrmsnorm(1)",
    "parameter": ("from flashinfer.norm import rmsnorm\ndef f(rmsnorm, x):\n  return rmsnorm(x)"),
    "another function's import": (
        "def f():\n  from flashinfer.norm import rmsnorm\ndef g(x):\n  return rmsnorm(x)"
    ),
    "hasattr": 'import flashinfer.norm\nOK = hasattr(flashinfer.norm, "rmsnorm")',
    "getattr check": (
        'import flashinfer.norm\nOK = getattr(flashinfer.norm, "rmsnorm", None) is not None'
    ),
    "none check": "from flashinfer.norm import rmsnorm\nif rmsnorm is not None:\n  ok = 1",
    "truth check": "from flashinfer.norm import rmsnorm\nif rmsnorm:\n  ok = 1",
    "signature": "import inspect\nfrom flashinfer.norm import rmsnorm\ninspect.signature(rmsnorm)",
    "isinstance": "from flashinfer.norm import rmsnorm\nok = isinstance(x, rmsnorm)",
    "annotation": (
        "from flashinfer.norm import rmsnorm\ndef f(a: rmsnorm) -> rmsnorm: ...\nb: rmsnorm"
    ),
    "availability": (
        "def ok():\n  try:\n    import flashinfer.norm\n    flashinfer.norm.rmsnorm\n"
        "  except (ImportError, AttributeError):\n    return False\n  return True"
    ),
}


@pytest.mark.parametrize("text", NO_USE.values(), ids=list(NO_USE))
def test_what_is_no_use(checkout: Path, text: str) -> None:
    srt(checkout, text)
    lookup = calls(checkout)
    assert not lookup.used
    (evidence,) = lookup.evidence
    assert not evidence.found
    assert RMSNORM in evidence.looked_for


def test_a_longer_name_is_another_function(checkout: Path) -> None:
    srt(checkout, "from flashinfer.gdn import decode_pre\ndecode_pre(x)\n")
    assert not calls(checkout, "flashinfer.gdn.decode").used
    assert calls(checkout, "flashinfer.gdn.decode_pre").used


@pytest.mark.parametrize(
    "path",
    [
        "python/sglang/test/a.py",
        "python/sglang/srt/layers/tests/a.py",
        "python/sglang/srt/benchmark/deep/a.py",
        "python/sglang/bench_one.py",
        "python/sglang/srt/bench_norm/a.py",
        "python/sglang/srt/test_norm.py",
        "python/sglang/multimodal_gen/a.py",
        "python/sglang/kernels/ops/diffusion/a.py",
        "python/sglang/jit_kernel/diffusion/triton/a.py",
        "benchmark/a.py",
        "test/a.py",
    ],
)
def test_files_that_serve_no_language_model_are_left_out(checkout: Path, path: str) -> None:
    write(checkout, path, "from flashinfer.norm import rmsnorm\nrmsnorm(x)\n")
    assert not calls(checkout).used


def test_kernels_and_language_model_diffusion_count(checkout: Path) -> None:
    write(checkout, "python/sglang/kernels/a.py", "import flashinfer.norm as n\nn.rmsnorm(x)\n")
    srt(checkout, "import flashinfer.norm as n\nn.layernorm(x)\n", "diffusion/a.py")
    assert calls(checkout).used
    assert calls(checkout, "flashinfer.norm.layernorm").used


def test_aliases_name_the_same_object(checkout: Path) -> None:
    srt(checkout, "import flashinfer.mla\nflashinfer.mla.decode_mla(x)\n")
    api = "flashinfer.decode.decode_mla"
    assert not calls(checkout, api).used
    assert calls(checkout, api, "flashinfer.mla.decode_mla").used


# Through other files of SGLang ------------------------------------------------------------------


def test_reexport_inside_sglang(checkout: Path) -> None:
    srt(checkout, "try:\n  from flashinfer.norm import rmsnorm\nexcept ImportError: ...\n")
    srt(checkout, "from sglang.srt.layers.a import rmsnorm as r\nr(x)\n", "models/b.py")
    lookup = calls(checkout)
    assert places(lookup) == [("models/b.py", 1), ("models/b.py", 2), ("layers/a.py", 2)]


@pytest.mark.parametrize(
    "text",
    [
        "from .a import rmsnorm\nrmsnorm(x)",
        "from . import a\na.rmsnorm(x)",
        "from ..layers import a as norms\nnorms.rmsnorm(x)",
        "import sglang.srt.layers.a\nsglang.srt.layers.a.rmsnorm(x)",
        "from sglang.srt.layers.a import *\nrmsnorm(x)",
        "def f(x):\n  from sglang.srt.layers import rmsnorm\n  rmsnorm(x)",
    ],
)
def test_reexport_forms(checkout: Path, text: str) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm\n")
    srt(checkout, "from sglang.srt.layers.a import rmsnorm\n", "layers/__init__.py")
    srt(checkout, text, "layers/b.py")
    assert calls(checkout).used


def test_reexport_over_three_files(checkout: Path) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm as _one\n")
    srt(checkout, "from sglang.srt.layers.a import _one as two\n", "layers/b.py")
    srt(checkout, "from sglang.srt.layers.b import two\ntwo(x)\n", "layers/c.py")
    assert places(calls(checkout)) == [
        ("layers/c.py", 1),
        ("layers/c.py", 2),
        ("layers/b.py", 1),
        ("layers/a.py", 1),
    ]


def test_reexport_by_star_over_a_file_that_does_not_name_it(checkout: Path) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm\n")
    srt(checkout, "from sglang.srt.layers.a import *\n", "layers/b.py")
    srt(checkout, "from sglang.srt.layers.b import rmsnorm\nrmsnorm(x)\n", "models/c.py")
    assert calls(checkout).used


def test_reexport_of_the_package_that_a_file_is_in(checkout: Path) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm\n", "norms/__init__.py")
    srt(checkout, "from . import rmsnorm\nrmsnorm(x)\n", "norms/b.py")
    assert calls(checkout).used


def test_reexport_that_nobody_uses(checkout: Path) -> None:
    srt(checkout, "from flashinfer.norm import rmsnorm\n")
    srt(checkout, "from sglang.srt.layers.a import rmsnorm\n", "layers/b.py")
    assert not calls(checkout).used


def test_files_that_import_each_other(checkout: Path) -> None:
    srt(checkout, "import flashinfer\nfrom sglang.srt.layers.b import f\nf(1)\n")
    srt(checkout, "import flashinfer\nfrom sglang.srt.layers.a import f\nf(1)\n", "layers/b.py")
    assert not calls(checkout, "flashinfer.norm.f").used


def test_a_method_for_other_hardware_is_no_use(checkout: Path) -> None:
    srt(
        checkout,
        """
        class Norm:
            def forward_xpu(self, x):
                from sgl_kernel import rmsnorm
                return rmsnorm(x)

            def forward(self, x):
                return x
        """,
    )

    kernel(checkout, __init__="")
    assert calls(checkout).used is False


# Through the kernel package ---------------------------------------------------------------------

FORWARD = """
try:
    import flashinfer.norm as _norm
    _has = True
except ImportError:
    _has = False

def rmsnorm(x):
    if _has and x.dtype in TYPES:
        return _norm.rmsnorm(x)
    return torch.ops.sgl_kernel.rmsnorm(x)

def silu(x):
    return torch.ops.sgl_kernel.silu(x)
"""
TAKES = "from sgl_kernel import rmsnorm, silu\n\ndef f(x):\n    silu(x)\n    return rmsnorm(x)\n"


def test_forwarding_wrapper_of_the_kernel_package(checkout: Path) -> None:
    srt(checkout, TAKES)
    kernel(checkout, __init__="from sgl_kernel.elementwise import *\n", elementwise=FORWARD)
    lookup = calls(checkout)
    forward = "sgl-kernel/python/sgl_kernel/elementwise.py"
    assert places(lookup) == [("layers/a.py", 1), ("layers/a.py", 5), (forward, 10)]
    assert lookup.notes == (
        "through sgl_kernel.elementwise.rmsnorm, which forwards to FlashInfer "
        "when _has and x.dtype in TYPES",
    )


def test_a_line_that_moved_says_the_same(checkout: Path) -> None:
    apis = ("flashinfer.norm.rmsnorm", "flashinfer.activation.silu")
    said: list[list[tuple[str, ...]]] = []
    for above in ("", "# moved\n\n"):
        srt(checkout, above + TAKES)
        kernel(
            checkout, __init__="from sgl_kernel.elementwise import *\n", elementwise=above + FORWARD
        )
        said.append([calls(checkout, api).notes for api in apis])
    assert all(said[0])
    assert said[0] == said[1]


def test_forwarding_through_a_helper(checkout: Path) -> None:
    srt(checkout, TAKES)
    helper = FORWARD.replace("def rmsnorm", "def _helper") + "def rmsnorm(x):\n  _helper(x)\n"
    kernel(checkout, __init__="from .elementwise import rmsnorm, silu\n", elementwise=helper)
    assert calls(checkout).used


def test_a_wrapper_that_does_not_forward(checkout: Path) -> None:
    srt(checkout, TAKES)
    kernel(checkout, __init__="from sgl_kernel.elementwise import *\n", elementwise=FORWARD)
    lookup = calls(checkout, "flashinfer.activation.silu")
    assert not lookup.used
    assert lookup.notes == ("SGLang uses sgl_kernel.silu, which does not forward to FlashInfer",)
    assert ("layers/a.py", 4) in places(lookup)


def test_a_kernel_function_behind_another_is_not_what_sglang_takes(checkout: Path) -> None:
    srt(checkout, "from sgl_kernel import both\nboth(x)\n")
    kernel(checkout, __init__="def inner(x): ...\ndef both(x):\n  return inner(x)\n")
    assert calls(checkout, "flashinfer.sampling.inner").notes == ()
    assert calls(checkout, "flashinfer.sampling.both").notes


def test_a_forwarding_wrapper_that_sglang_does_not_call(checkout: Path) -> None:
    srt(checkout, "from sgl_kernel import silu\nsilu(x)\n")
    kernel(checkout, __init__="from sgl_kernel.elementwise import *\n", elementwise=FORWARD)
    assert not calls(checkout).used


def test_without_the_kernel_package_a_name_taken_from_it_is_undecided(checkout: Path) -> None:
    srt(checkout, TAKES)
    with pytest.raises(SourceError, match=r"layers/a\.py.*not in the checkout"):
        calls(checkout)
    assert not calls(checkout, "flashinfer.norm.layernorm").used


def test_without_the_kernel_package_a_direct_use_decides(checkout: Path) -> None:
    srt(checkout, TAKES)
    srt(checkout, "from flashinfer.norm import rmsnorm\nrmsnorm(x)\n", "layers/b.py")
    assert calls(checkout).used


@pytest.mark.parametrize("source", ["", "def rmsnorm(x:\n"])
def test_a_kernel_package_that_does_not_tell_is_undecided(checkout: Path, source: str) -> None:
    srt(checkout, TAKES)
    kernel(checkout, __init__="from .elementwise import *\n", elementwise=source)
    with pytest.raises(SourceError, match="not known"):
        calls(checkout)


# What can't be read -----------------------------------------------------------------------------

BROKEN = {
    "syntax": b"import flashinfer.norm as n\nn.rmsnorm(x\n",
    "null byte": b"import flashinfer.norm as n\nn.rmsnorm(x)\n\0",
    "not UTF-8": b"import flashinfer.norm as n\nn.rmsnorm('\xff')\n",
}


@pytest.mark.parametrize("source", BROKEN.values(), ids=list(BROKEN))
def test_a_broken_file_that_mentions_the_api_is_undecided(checkout: Path, source: bytes) -> None:
    write(checkout, "python/sglang/srt/layers/a.py", source)
    with pytest.raises(SourceError, match=r"layers/a\.py mentions rmsnorm"):
        calls(checkout)
    assert not calls(checkout, "flashinfer.norm.layernorm").used


def test_a_broken_file_does_not_matter_where_a_use_is_found(checkout: Path) -> None:
    write(checkout, "python/sglang/srt/layers/a.py", BROKEN["syntax"])
    srt(checkout, "from flashinfer.norm import rmsnorm\nrmsnorm(x)\n", "layers/b.py")
    assert calls(checkout).used


def test_a_file_that_can_not_be_opened_is_undecided(checkout: Path) -> None:
    (checkout / "python/sglang/gone.py").symlink_to("nowhere.py")
    with pytest.raises(SourceError, match=r"gone\.py can't be read"):
        calls(checkout)


def test_odd_escapes_do_no_harm(checkout: Path) -> None:
    srt(checkout, 'import flashinfer.norm as n\nS = "\\d"\nn.rmsnorm(x)\n')
    assert calls(checkout).used


def test_a_folder_without_sglang(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no SGLang package"):
        SglangIndex.open(tmp_path, None)
    (tmp_path / "python/sglang").mkdir(parents=True)
    with pytest.raises(SourceError, match="no SGLang package"):
        SglangIndex.open(tmp_path, None)


# Version and linear layer -----------------------------------------------------------------------


def test_version(checkout: Path) -> None:
    assert SglangIndex.open(checkout, None).version is None
    write(
        checkout,
        "python/sglang/version.py",
        "try:\n  from ._version import __version__\nexcept ImportError:\n  __version__ = '0.0'\n",
    )
    assert SglangIndex.open(checkout, None).version is None
    write(checkout, "python/sglang/_version.py", "__version__ = version = '1.2.3'\n")
    assert SglangIndex.open(checkout, None).version == "1.2.3"


def test_linear_layer(checkout: Path) -> None:
    index = SglangIndex.open(checkout, COMMIT)
    with pytest.raises(SourceError, match=r"linear\.py can't be read"):
        index.linear_layer()
    srt(checkout, "class LinearBase: ...\nclass RowLinear(LinearBase): ...\n", "layers/linear.py")
    srt(
        checkout,
        "def apply(x, w):\n  return F.linear(x, w)\n",
        "layers/quantization/unquant.py",
    )
    lookup = index.linear_layer()
    assert lookup.used
    assert places(lookup) == [
        ("layers/linear.py", 1),
        ("layers/linear.py", 2),
        ("layers/quantization/unquant.py", 2),
    ]
    srt(checkout, "pass\n", "layers/linear.py")
    with pytest.raises(SourceError, match="defines no linear layer"):
        index.linear_layer()
