"""The FlashInfer index on hand-written miniature checkouts in real folders."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from discover_models.domain.kernel import ApiLookup
from discover_models.errors import SourceError
from discover_models.sources.flashinfer import FlashInferIndex

COMMIT = "0123456789abcdef0123456789abcdef01234567"

API_LOGGING = "def flashinfer_api(func=None, *, trace=None): ...\n"

Build = Callable[[dict[str, str]], FlashInferIndex]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Writes files below a checkout and opens it; the package's own basics are added."""

    def make(files: dict[str, str]) -> FlashInferIndex:
        basics = {"flashinfer/__init__.py": "", "flashinfer/api_logging.py": API_LOGGING}
        for name, text in (basics | files).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return FlashInferIndex.open(tmp_path, COMMIT)

    return make


def lines(lookup: ApiLookup) -> list[str]:
    return [f"{e.path}:{e.line}" for e in lookup.evidence]


NORM = """\
from .api_logging import flashinfer_api
from .trace.templates.norm import norm_trace

@flashinfer_api(trace=norm_trace)
def norm(x):
    return x
"""


def test_a_function_is_found_with_its_lines_and_its_template(build: Build) -> None:
    found = build({"flashinfer/norm.py": NORM}).find("flashinfer.norm.norm")

    assert found.found
    assert found.trace_template is True
    assert found.trace == "norm_trace"
    assert lines(found) == ["flashinfer/norm.py:5", "flashinfer/norm.py:4"]
    assert {e.commit for e in found.evidence} == {COMMIT}
    assert all(e.found for e in found.evidence)


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("norm.norm", "flashinfer/norm"),
        ("norm.norm", "flashinfer/norm.py"),
        ("n.norm", "flashinfer"),
    ],
)
def test_a_module_outside_the_checkout_is_not_read(tmp_path: Path, name: str, link: str) -> None:
    outside, checkout = tmp_path / "outside", tmp_path / "checkout"
    for folder in (outside, checkout):
        folder.mkdir()
    for file in ("__init__.py", "n.py", "norm.py"):
        (outside / file).write_text("def norm(x): ...\n")
    if link != "flashinfer":
        (checkout / "flashinfer").mkdir()
        (checkout / "flashinfer/__init__.py").write_text("")
    (checkout / link).symlink_to(outside / "norm.py" if link.endswith(".py") else outside)

    with pytest.raises(SourceError, match="leads out of the repository"):
        FlashInferIndex.open(checkout, COMMIT).find(f"flashinfer.{name}")


def test_a_module_inside_the_checkout_may_be_linked(build: Build, tmp_path: Path) -> None:
    index = build({"flashinfer/norm.py": NORM})
    (tmp_path / "flashinfer/other.py").symlink_to("norm.py")
    assert index.find("flashinfer.other.norm").found


def test_a_missing_name_says_what_was_searched(build: Build) -> None:
    found = build({"flashinfer/norm.py": NORM}).find("flashinfer.norm.layernorm")

    assert not found.found
    assert found.trace_template is None
    (search,) = found.evidence
    assert (search.found, search.path) == (False, "flashinfer")
    assert "flashinfer/norm.py" in search.note


@pytest.mark.parametrize(
    ("init", "api", "line"),
    [
        ("from .norm import norm", "flashinfer.norm", 1),
        ("from .norm import norm as rms", "flashinfer.rms", 1),
        ("from flashinfer.norm import norm as rms", "flashinfer.rms", 1),
        ("from .norm import *", "flashinfer.norm", 1),
        ("from . import norm as n\nrms = n.norm", "flashinfer.rms", 2),
        ("import flashinfer.norm as n\nrms = n.norm", "flashinfer.rms", 2),
        ("from .norm import norm as a\nb = a\nc = b", "flashinfer.c", 3),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    from .norm import norm"
         " as rms", "flashinfer.rms", 3),
        ("try:\n    from .norm import norm as rms\nexcept ImportError:\n    rms = None",
         "flashinfer.rms", 2),
        ("try:\n    from .norm import norm as rms\nexcept ImportError:\n    def rms(x): return x",
         "flashinfer.rms", 2),
        ("rms = None\ntry:\n    from .norm import norm as rms\nexcept ImportError:\n    pass",
         "flashinfer.rms", 3),
        ("from .norm import norm as rms\nif rms is None:\n    def rms(x):\n        raise"
         " ImportError('no')", "flashinfer.rms", 1),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .other import rms\n"
         "else:\n    from .norm import norm as rms", "flashinfer.rms", 5),
    ],
    ids=["from", "alias", "absolute", "star", "module", "import-as", "chain", "suppress", "try",
         "fallback",
         "none-before", "raising-stub", "type-checking"],
)  # fmt: skip
def test_reexports_are_followed(build: Build, init: str, api: str, line: int) -> None:
    found = build({"flashinfer/__init__.py": init, "flashinfer/norm.py": NORM}).find(api)

    assert found.found
    assert found.trace_template is True
    assert lines(found)[:2] == ["flashinfer/norm.py:5", "flashinfer/norm.py:4"]
    assert f"flashinfer/__init__.py:{line}" in lines(found)


def test_a_name_bound_for_type_checkers_only_is_not_there(build: Build) -> None:
    init = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .norm import norm as f\n"

    index = build({"flashinfer/__init__.py": init, "flashinfer/norm.py": NORM})

    assert not index.find("flashinfer.f").found


@pytest.mark.parametrize(
    ("exports", "name", "found"),
    [
        ("", "kernel", True),
        ("", "_hidden", False),
        ("__all__ = ['other']", "kernel", False),
        ("__all__ = ['kernel']", "kernel", True),
        ("__all__ = ['other']\n__all__ += ['kernel']", "kernel", True),
        ("__all__ = ['other']\n__all__.extend(('kernel',))", "kernel", True),
        ("__all__ = ['other']\nif ready():\n    __all__ += ['kernel']", "kernel", True),
        ("_more = []\nif ready():\n    _more = ['kernel']\n__all__ = [] + _more", "kernel", True),
        ("__all__ = ['other'] + computed()", "kernel", True),
    ],
)  # fmt: skip
def test_star_imports_respect_all(build: Build, exports: str, name: str, found: bool) -> None:
    core = f"def kernel(): ...\ndef other(): ...\ndef _hidden(): ...\n{exports}\n"
    index = build(
        {"flashinfer/ops/__init__.py": "from ._core import *", "flashinfer/ops/_core.py": core}
    )

    assert index.find(f"flashinfer.ops.{name}").found is found


@pytest.mark.parametrize(
    "hook",
    [
        "_LAZY = {'norm2': '.impl'}\n"
        "def __getattr__(name):\n"
        "    module = _LAZY.get(name)\n"
        "    if module is None:\n"
        "        raise AttributeError(name)\n"
        "    value = getattr(importlib.import_module(module, __name__), name)\n"
        "    globals()[name] = value\n"
        "    return value\n",
        "_LAZY = frozenset({'norm2'})\n"
        "def __getattr__(name):\n"
        "    if name not in _LAZY:\n"
        "        raise AttributeError(name)\n"
        "    from . import impl as _impl\n"
        "    value = getattr(_impl, name)\n"
        "    return value\n",
        "_LAZY = {'norm2': ('flashinfer.ops.impl', 'norm2')}\n"
        "def __getattr__(name):\n"
        "    try:\n"
        "        module, attr = _LAZY[name]\n"
        "    except KeyError:\n"
        "        raise AttributeError(name) from None\n"
        "    return getattr(importlib.import_module(module), attr)\n",
        "def __getattr__(name):\n"
        "    if name == 'norm2':\n"
        "        from .impl import norm2\n"
        "        return norm2\n"
        "    raise AttributeError(name)\n",
        "from .impl import norm2 as _private\n"
        "def __getattr__(name):\n"
        "    if name == 'norm2':\n"
        "        warn()\n"
        "        return _private\n"
        "    raise AttributeError(name)\n",
        "_LAZY = {'norm2'} | {'other'}\n"
        "def __getattr__(name):\n"
        "    if name in _LAZY:\n"
        "        if name in {'other'}:\n"
        "            from . import nothing\n"
        "            value = getattr(nothing, name)\n"
        "        else:\n"
        "            module = import_module(f'{__name__}.impl')\n"
        "            value = getattr(module, name)\n"
        "        return value\n"
        "    raise AttributeError(name)\n",
    ],
    ids=["map", "set", "pairs", "compare", "own-name", "nested"],
)
def test_names_given_on_demand(build: Build, hook: str) -> None:
    impl = "from ..api_logging import flashinfer_api\n@flashinfer_api\ndef norm2(x): return x\n"
    impl += "def not_exported(x): return x\n"
    index = build({"flashinfer/ops/__init__.py": hook, "flashinfer/ops/impl.py": impl})

    found = index.find("flashinfer.ops.norm2")

    assert found.found
    assert found.trace_template is False
    assert lines(found)[0] == "flashinfer/ops/impl.py:3"
    assert not index.find("flashinfer.ops.norm3").found
    assert not index.find("flashinfer.ops.not_exported").found


def test_a_function_hides_the_module_of_its_name(build: Build) -> None:
    index = build(
        {
            "flashinfer/ops/__init__.py": "from .update import update\n",
            "flashinfer/ops/update.py": "def update(x): return x\n",
            "flashinfer/ops/plain.py": "def inner(x): return x\n",
        }
    )

    assert lines(index.find("flashinfer.ops.update")) == [
        "flashinfer/ops/update.py:1",
        "flashinfer/ops/__init__.py:1",
    ]
    assert index.find("flashinfer.ops.update.update").found
    module = index.find("flashinfer.ops.plain")
    assert not module.found
    assert "module" in module.evidence[0].note


WRAPPER = """\
from typing import overload
from .api_logging import flashinfer_api
class Wrapper:
    @flashinfer_api
    def __init__(self): ...
    @flashinfer_api(trace=plan_trace)
    def plan(self): ...
    begin_forward = plan
    @overload
    def run(self, q: int) -> int: ...
    @overload
    def run(self, q: str) -> str: ...
    @register("x")
    @flashinfer_api(trace=run_trace)
    @other
    def run(self, q): return q
    forward = run
    run_return_lse = functools.partialmethod(run, return_lse=True)
class Graph(Wrapper):
    pass
class Undecorated(Wrapper):
    def run(self, q): return q
class Typed(Wrapper):
    @overload
    def run(self, q: int) -> int: ...
    @overload
    def run(self, q: str) -> str: ...
"""


def test_a_class_is_judged_by_its_run(build: Build) -> None:
    index = build({"flashinfer/decode.py": WRAPPER})

    found = index.find("flashinfer.decode.Wrapper")

    assert found.trace == "run_trace"
    assert lines(found) == [f"flashinfer/decode.py:{n}" for n in (3, 16, 14)]
    for alias in ("run", "forward", "run_return_lse"):
        assert index.find(f"flashinfer.decode.Wrapper.{alias}").trace == "run_trace"
    assert index.find("flashinfer.decode.Wrapper.begin_forward").trace == "plan_trace"
    assert not index.find("flashinfer.decode.Wrapper.jump").found
    assert index.find("flashinfer.decode.Undecorated").trace_template is False
    assert index.find("flashinfer.decode.Typed").trace == "run_trace"


def test_run_is_inherited_from_another_module(build: Build) -> None:
    child = "from . import decode as d\nclass Child(d.Graph):\n    def plan(self): ...\n"
    index = build({"flashinfer/decode.py": WRAPPER, "flashinfer/child.py": child})

    found = index.find("flashinfer.child.Child")

    assert found.trace == "run_trace"
    assert lines(found)[:3] == [
        "flashinfer/child.py:2",
        "flashinfer/decode.py:16",
        "flashinfer/decode.py:14",
    ]


def test_a_method_set_from_outside_counts(build: Build) -> None:
    code = WRAPPER + "Undecorated.run = flashinfer_api(trace=late_trace)(Undecorated.run)\n"

    found = build({"flashinfer/decode.py": code}).find("flashinfer.decode.Undecorated")

    assert found.trace == "late_trace"


@pytest.mark.parametrize(
    ("code", "template", "trace"),
    [
        ("@flashinfer_api\ndef f(x): return x", False, ""),
        ("@flashinfer_api()\ndef f(x): return x", False, ""),
        ("@flashinfer_api(trace=None)\ndef f(x): return x", False, ""),
        ("def f(x): return x", False, ""),
        ("@flashinfer_api(trace=a if big else b)\ndef f(x): return x", True, "a if big else b"),
        ("@flashinfer_api(trace=[a, b])\ndef f(x): return x", True, "[a, b]"),
        ("@requirement({}, check=c)\n@flashinfer_api(trace=t)\n@op('f')\ndef f(x): return x",
         True, "t"),
        ("@quant(trace=t)\ndef f(x): return x", False, ""),
        ("def _f(x): return x\nf = flashinfer_api(trace=t)(_f)", True, "t"),
        ("@flashinfer_api(trace=t)\ndef _f(x): return x\nf = functools.partial(_f, 1)", True, "t"),
        ("def f(x): return x\nf = flashinfer_api(trace=t)(f)", True, "t"),
        ("@flashinfer_api(trace=t)\ndef f(x): return x\ndef f(x): return 2", False, ""),
        ("def f(x): return x\n@flashinfer_api(trace=t)\ndef f(x): return 2", True, "t"),
        ("def outer():\n    @flashinfer_api(trace=t)\n    def f(x): return x\ndef f(x): return 2",
         False, ""),
        ("@flashinfer_api(trace=t)\nasync def f(x): return x", True, "t"),
        ("mark = flashinfer_api\n@mark(trace=t)\ndef f(x): return x", True, "t"),
    ],
)  # fmt: skip
def test_the_template_is_that_of_the_api_itself(
    build: Build, code: str, template: bool, trace: str
) -> None:
    module = f"from .api_logging import flashinfer_api\n{code}\n"

    found = build({"flashinfer/ops.py": module}).find("flashinfer.ops.f")

    assert found.found
    assert (found.trace_template, found.trace) == (template, trace)


def test_a_decorator_is_known_under_its_alias(build: Build) -> None:
    code = "from .api_logging import flashinfer_api as api\n@api(trace=t)\ndef f(x): return x\n"

    assert build({"flashinfer/ops.py": code}).find("flashinfer.ops.f").trace_template is True


def test_a_fallback_decorator_does_not_hide_the_real_one(build: Build) -> None:
    code = (
        "try:\n    from .api_logging import flashinfer_api\nexcept ImportError:\n"
        "    def flashinfer_api(func=None, *, trace=None): return func\n"
        "@flashinfer_api(trace=t)\ndef f(x): return x\n"
    )

    assert build({"flashinfer/ops.py": code}).find("flashinfer.ops.f").trace == "t"


@pytest.mark.parametrize(
    "api",
    [
        "flashinfer.norm._helper",
        "flashinfer._core.kernel",
        "flashinfer.ops.commented",
        "flashinfer.ops.SIZES",
        "flashinfer.ops.removed",
        "flashinfer.ops.gone",
        "flashinfer.ops.optional",
        "flashinfer.ops.deleted",
        "flashinfer.data.cutlass.kernel",
        "flashinfer.trace.templates.ops.kernel",
        "flashinfer.experimental.ops.kernel",
        "torch.ops.kernel",
    ],
)
def test_what_is_no_support(build: Build, api: str) -> None:
    ops = (
        "# def commented(): ...\n'''def commented(): ...'''\n"
        "SIZES = (1, 2)\n"
        "def removed(x):\n    'Old.'\n    raise NotImplementedError('removed')\n"
        "gone = None\n"
        "try:\n    from .not_shipped import optional\nexcept ImportError:\n    pass\n"
        "def deleted(): ...\ndel deleted\n"
    )
    kernel = "def kernel(x): return x\n"
    index = build(
        {
            "flashinfer/ops.py": ops,
            "flashinfer/norm.py": "def _helper(x): return x\n",
            "flashinfer/_core.py": kernel,
            "flashinfer/data/cutlass.py": kernel,
            "flashinfer/trace/templates/ops.py": kernel,
            "flashinfer/experimental/ops.py": kernel,
            "tests/test_ops.py": "def commented(): ...\n",
        }
    )

    found = index.find(api)

    assert not found.found
    assert [e.found for e in found.evidence] == [False]


@pytest.mark.parametrize(
    "code",
    [
        "from .api_logging import flashinfer_experimental_api\n"
        "@flashinfer_experimental_api(feature='x')\ndef f(x): return x\n",
        "from .api_logging import flashinfer_experimental_api as api\n@api\ndef f(x): return x\n",
        "from .experimental.fast import f\n",
        "from .experimental.fast import f as _f\nf = _f\n",
        "def f(x):\n    from .experimental.fast import f as run\n    return run(x)\n",
        "from .api_logging import flashinfer_experimental_api\n"
        "class f:\n    @flashinfer_experimental_api\n    def run(self): ...\n",
    ],
    ids=["decorated", "alias", "reexport", "assigned", "forwards", "class"],
)
def test_what_flashinfer_calls_experimental_is_no_support(build: Build, code: str) -> None:
    index = build(
        {
            "flashinfer/ops.py": code,
            "flashinfer/experimental/__init__.py": "",
            "flashinfer/experimental/fast.py": "def f(x): return x\n",
        }
    )

    found = index.find("flashinfer.ops.f")

    assert not found.found
    assert found.trace_template is None
    assert any(e.found and e.line for e in found.evidence)


def test_a_stable_api_may_use_an_experimental_backend(build: Build) -> None:
    code = (
        "from .api_logging import flashinfer_api\n@flashinfer_api\ndef f(x):\n"
        "    from .experimental.fast import f as run\n    return run(x)\n"
    )

    assert build({"flashinfer/ops.py": code}).find("flashinfer.ops.f").found


def test_a_folder_called_experimental_elsewhere_is_only_a_place(build: Build) -> None:
    index = build(
        {
            "flashinfer/__init__.py": "from .kernels.experimental import step\n",
            "flashinfer/kernels/__init__.py": "",
            "flashinfer/kernels/experimental.py": "def step(x): return x\n",
        }
    )

    assert index.find("flashinfer.step").found


def test_an_older_package_root_is_found(tmp_path: Path) -> None:
    root = tmp_path / "python" / "flashinfer"
    root.mkdir(parents=True)
    (root / "__init__.py").write_text("from .norm import norm\n")
    (root / "norm.py").write_text("def norm(x): return x\n")

    found = FlashInferIndex.open(tmp_path, None).find("flashinfer.norm.norm")

    assert lines(found) == ["python/flashinfer/norm.py:1"]


def test_a_checkout_without_the_package_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "flashinfer").mkdir()

    with pytest.raises(SourceError, match="no FlashInfer package"):
        FlashInferIndex.open(tmp_path, None)


def test_a_broken_module_spoils_only_what_rests_on_it(build: Build) -> None:
    index = build(
        {
            "flashinfer/__init__.py": "from .good import f\nfrom .broken import g\n"
            "from .broken import *\n",
            "flashinfer/good.py": "def f(x): return x\n",
            "flashinfer/broken.py": "def g(x:\n",
        }
    )

    assert index.find("flashinfer.f").found
    assert index.find("flashinfer.good.f").found
    for api in ("flashinfer.g", "flashinfer.broken.g", "flashinfer.maybe"):
        with pytest.raises(SourceError, match=r"broken\.py"):
            index.find(api)


def test_what_the_checkout_does_not_hold_stays_undecided(build: Build) -> None:
    index = build(
        {"flashinfer/ops.py": "from .generated import f\nfrom flashinfer_extra import g\n"}
    )

    with pytest.raises(SourceError, match=r"flashinfer\.generated"):
        index.find("flashinfer.ops.f")
    with pytest.raises(SourceError, match="flashinfer_extra"):
        index.find("flashinfer.ops.g")


def test_only_files_that_a_name_leads_to_are_read(build: Build) -> None:
    index = build(
        {
            "flashinfer/__init__.py": "from .broken import other\n",
            "flashinfer/broken.py": "(",
            "flashinfer/norm.py": NORM,
        }
    )

    assert index.find("flashinfer.norm.norm").found


def test_classes_in_a_circle_end(build: Build) -> None:
    index = build(
        {
            "flashinfer/a.py": "from . import b\nclass A(b.B):\n    go = run\n    run = go\n",
            "flashinfer/b.py": "from . import a\nclass B(a.A):\n    pass\n",
        }
    )

    found = index.find("flashinfer.a.A")

    assert (found.found, found.trace_template) == (True, False)


def test_imports_in_a_circle_end(build: Build) -> None:
    index = build(
        {
            "flashinfer/a.py": "from .b import f\nfrom .b import *\n",
            "flashinfer/b.py": "from .a import f\nfrom .a import *\n",
        }
    )

    assert not index.find("flashinfer.a.f").found


TEMPLATES = """\
def _make(*, name_prefix): return TraceTemplate(name_prefix=name_prefix)
def _grouped(*, shared):
    return TraceTemplate(name_prefix="moe_shared" if shared else "moe_ds_routing")
renorm_trace = _make(name_prefix="moe_renormalize_naive_routing")
llama4_trace = TraceTemplate(op_type="moe", name_prefix="moe_llama4_routing")
ds_trace = _grouped(shared=False)
shared_trace = _grouped(shared=True)
step_trace = TraceTemplate(name_prefix="moe_minimax2_routing_swiglu_step")
extra_trace = TraceTemplate(name_prefix="moe_extra_routing")
_BY_ROUTING = {1: renorm_trace, 2: ds_trace, 3: llama4_trace, 7: step_trace}
def dispatch(**kwargs):
    if kwargs.get("shared"):
        return shared_trace
    return _BY_ROUTING.get(kwargs["routing"])
dispatch.templates = list(_BY_ROUTING.values())
dispatch.templates += [extra_trace]
unrelated_trace = TraceTemplate(name_prefix="moe_minimax2_routing")
any_trace = TraceTemplate(name_prefix="moe_any")
"""

MOE = """\
from ..api_logging import flashinfer_api
from ..trace.templates.moe import any_trace, dispatch as picked
@flashinfer_api(trace=picked)
def moe(x): return x
@flashinfer_api(trace=any_trace)
def any_moe(x): return x
@flashinfer_api
def bare_moe(x): return x
"""


@pytest.mark.parametrize(
    ("api", "routing", "template", "trace"),
    [
        ("moe", None, True, "picked"),
        ("moe", "renorm", True, "picked: renorm_trace"),
        ("moe", "ds_routing", True, "picked: ds_trace"),
        ("moe", "llama4_routing", True, "picked: llama4_trace"),
        ("moe", "extra_routing", True, "picked: extra_trace"),
        ("moe", "minimax2_routing", False, "picked"),
        ("any_moe", "minimax2_routing", True, "any_trace"),
        ("bare_moe", "ds_routing", False, ""),
    ],
)
def test_a_routing_needs_a_template_of_its_own(
    build: Build, api: str, routing: str | None, template: bool, trace: str
) -> None:
    index = build(
        {
            "flashinfer/fused/__init__.py": MOE.replace("..", "."),
            "flashinfer/trace/__init__.py": "",
            "flashinfer/trace/templates/__init__.py": "",
            "flashinfer/trace/templates/moe.py": TEMPLATES,
            "flashinfer/core/__init__.py": "",
            "flashinfer/core/ops.py": MOE,
        }
    )

    found = index.find(f"flashinfer.core.ops.{api}", template_hint=routing)

    assert (found.trace_template, found.trace) == (template, trace)


def test_the_lines_of_the_templates_are_evidence(build: Build) -> None:
    index = build(
        {
            "flashinfer/trace/templates/__init__.py": "",
            "flashinfer/trace/__init__.py": "",
            "flashinfer/trace/templates/moe.py": TEMPLATES,
            "flashinfer/core/__init__.py": "",
            "flashinfer/core/ops.py": MOE,
        }
    )

    covered = index.find("flashinfer.core.ops.moe", template_hint="ds_routing")
    missing = index.find("flashinfer.core.ops.moe", template_hint="minimax2_routing")

    assert "flashinfer/trace/templates/moe.py:6" in lines(covered)
    assert [e.looked_for for e in missing.evidence if not e.found] == [
        "a template for minimax2_routing behind picked"
    ]


def test_tests_that_use_the_api_are_listed(build: Build) -> None:
    index = build(
        {
            "flashinfer/__init__.py": "from .norm import norm as rms\n",
            "flashinfer/norm.py": NORM,
            "flashinfer/decode.py": WRAPPER,
            "tests/test_a.py": "import flashinfer\n\ndef test(): flashinfer.norm.norm(1)\n",
            "tests/sub/test_b.py": "from flashinfer.norm import norm as n\n\nn(1)\n",
            "tests/test_c.py": "import flashinfer as fi\nf = fi.rms\n",
            "tests/test_d.py": "def test():\n    from flashinfer import decode\n"
            "    decode.Wrapper.run(1)\n",
            "tests/test_import_only.py": "from flashinfer.norm import norm\n",
            "tests/test_comment.py": "import flashinfer\n# flashinfer.norm.norm(1)\n",
            "tests/test_assigned.py": "from flashinfer.norm import norm\nnorm = 3\n",
            "tests/test_string.py": "import flashinfer\nx = 'flashinfer.norm.norm'\n",
            "tests/test_other.py": "from other.norm import norm\nnorm('flashinfer')\n",
            "tests/test_neighbour.py": "import flashinfer\nflashinfer.norm.norm_quant(1)\n",
            "tests/test_broken.py": "import flashinfer\nflashinfer.norm.norm(\n",
        }
    )

    norm = index.find("flashinfer.norm.norm").tests
    wrapper = index.find("flashinfer.decode.Wrapper").tests

    assert [(e.path, e.line) for e in norm] == [
        ("tests/sub/test_b.py", 3),
        ("tests/test_a.py", 3),
    ]
    assert [(e.path, e.line) for e in wrapper] == [("tests/test_d.py", 3)]
    assert [e.path for e in index.find("flashinfer.rms").tests] == [
        "tests/sub/test_b.py",
        "tests/test_a.py",
        "tests/test_c.py",
    ]


def test_a_checkout_without_tests_lists_none(build: Build) -> None:
    assert build({"flashinfer/norm.py": NORM}).find("flashinfer.norm.norm").tests == ()


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, None),
        ({"version.txt": "0.9.1\n"}, "0.9.1"),
        ({"version.txt": "9" * 5000}, None),
        ({"flashinfer/_build_meta.py": '__version__ = "0.9.2.post1"\n'}, "0.9.2.post1"),
        ({"pyproject.toml": '[project]\nname = "f"\nversion = "0.9.3"\n'}, "0.9.3"),
        ({"pyproject.toml": '[project]\nname = "f"\ndynamic = ["version"]\n'}, None),
        ({"pyproject.toml": "[project\n"}, None),
    ],
)
def test_the_version_is_what_the_checkout_states(
    build: Build, files: dict[str, str], version: str | None
) -> None:
    assert build(files).version == version


def test_a_cited_text_is_found_again(build: Build) -> None:
    header = "#define A\n  if (group_size == 1) {\n  if (group_size == 2) {\n"
    index = build({"include/utils.cuh": header})

    cited = index.cites("include/utils.cuh", "group_size == 2")
    changed = index.cites("include/utils.cuh", "group_size == 5")

    assert cited is not None
    assert (cited.path, cited.line, cited.found) == ("include/utils.cuh", 3, True)
    assert changed is not None
    assert (changed.line, changed.found) == (None, False)
    assert index.cites("csrc/other.cu", "group_size") is None


GEMM = """\
from .api_logging import flashinfer_api
from .utils import backend_requirement, supported_compute_capability

@supported_compute_capability([90, 100])
def _check_fast(a): ...

def _check_slow(a): ...

@backend_requirement({"fast": _check_fast, "slow": _check_slow})
@flashinfer_api
def mm(a, sparse=0): ...
"""


def test_backends_with_the_gpus_that_their_checks_name(build: Build) -> None:
    (backend,) = build({"flashinfer/gemm.py": GEMM}).backends("flashinfer.gemm.mm")
    assert (backend.name, backend.verdict, backend.gpus) == (
        "backend fast",
        "not checked",
        ("SM90", "SM100"),
    )
    assert [(e.path, e.line) for e in backend.evidence] == [("flashinfer/gemm.py", 4)]


@pytest.mark.parametrize(
    ("api", "name", "found"),
    [
        ("gemm.mm", "sparse", True),
        ("gemm.mm", "window", False),
        ("wrap.Wrapper", "window", True),
        ("wrap.Wrapper", "sinks", False),
        ("wrap.anything", "sinks", None),
        ("gemm.nothing", "sparse", None),
    ],
)
def test_parameters_of_what_is_called(
    build: Build, api: str, name: str, found: bool | None
) -> None:
    wrap = """\
class Wrapper:
    def plan(self, window=-1): ...
    def run(self, q): ...

def anything(**arguments): ...
"""
    index = build({"flashinfer/gemm.py": GEMM, "flashinfer/wrap.py": wrap})
    said = index.parameter(f"flashinfer.{api}", name)
    assert (said.found if said else None) is found


def test_which_release_has_an_api(tmp_path: Path, build: Build) -> None:
    files = {"flashinfer/norm.py": NORM, "version.txt": "1.0\n"}
    index = build(files)
    git = ("git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b")
    for command in (("init", "-q"), ("add", "."), ("commit", "-qm", "a"), ("tag", "v1.0")):
        subprocess.run([*git, *command], check=True)
    index = build(files | {"version.txt": "1.1\n", "flashinfer/new.py": "def new(): ...\n"})
    assert index.release("flashinfer.norm.norm", "1.0").in_pinned is True
    found = index.release("flashinfer.new.new", "1.0")
    assert (found.checkout, found.in_pinned, found.unreleased) == ("1.1", False, True)
    assert index.release("flashinfer.new.new", "0.9").in_pinned is None
    assert index.release("flashinfer.new.new", "1.1").in_pinned is True


def test_without_history_nothing_is_said_of_releases(build: Build) -> None:
    found = build({"flashinfer/norm.py": NORM}).release("flashinfer.norm.norm", "1.0")
    assert (found.in_pinned, found.unreleased) == (None, None)
