"""How SGLang comes to a kernel, on hand-written miniature checkouts in real folders."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from discover_models.domain.depth import Depth, Question
from discover_models.sources.sglang import SglangIndex

SRT = "python/sglang/srt"
REGISTRY = """\
def register_attention_backend(name): ...

@register_attention_backend("fast")
def create_fast(runner):
    if not runner.use_mla_backend:
        from sglang.srt.layers.attention.fast_backend import FastBackend
        return FastBackend(runner)
    from sglang.srt.layers.attention.fast_latent import FastLatent
    return FastLatent(runner)
"""
BACKEND = """\
from flashinfer import Wrapper

class FastBackend:
    def __init__(self):
        self.wrapper = Wrapper()
"""
OPTIONS = """\
class ServerArgs:
    attention_backend: str | None = None
    state_backend: str = "triton"

    def _get_default_attn_backend(self, use_mla_backend, model_config):
        if not use_mla_backend:
            if is_hopper_with_cuda_12_3():
                return "other"
            elif is_hip():
                return "aiter"
            elif is_sm100_supported():
                if model_config.has_asymmetric_kv:
                    return "wide"
                return "fast"
            return "slow"
        return "fast"

    wide: bool = False
    device: str | None = None
    state_dtype: str | None = None
    moe_runner_backend: str = "auto"
"""
OVERRIDE = """\
@register_for("SampleForCausalLM")
def _sample(server_args):
    overrides = {}
    overrides["attention_backend"] = "slow"
    return overrides
"""
MODEL = "class SampleForCausalLM:\n    def __init__(self):\n        self.attn = RadixAttention()\n"
ASKED = Question(apis=(("flashinfer.Wrapper",),), latent=False, layers=("RadixAttention",))
FILES = {
    f"{SRT}/layers/attention/attention_registry.py": REGISTRY,
    f"{SRT}/layers/attention/fast_backend.py": BACKEND,
    f"{SRT}/server_args.py": OPTIONS,
    f"{SRT}/models/sample.py": MODEL,
}
Ask = Callable[..., Depth]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def call(question: Question, files: dict[str, str]) -> Depth:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return SglangIndex.open(tmp_path, "a" * 40).depth(question)

    return call


def test_the_registry_names_the_option_and_the_default_rule_the_gpus(ask: Ask) -> None:
    found = ask(ASKED, FILES)
    (way,) = found.reach
    assert (way.how, way.flag, way.gpus) == (
        "some_gpus",
        "--attention-backend fast",
        ("SM100",),
    )
    assert [(e.path.rpartition("/")[2], e.line) for e in way.evidence] == [
        ("fast_backend.py", 5),
        ("attention_registry.py", 6),
        ("server_args.py", 14),
    ]
    assert [(p.name, p.gpus) for p in found.served_by] == [("other", ("SM90",)), ("slow", ())]


def test_attention_over_a_latent_cache_takes_the_other_branch(ask: Ask) -> None:
    latent = Question(apis=ASKED.apis, latent=True)
    files = {**FILES, f"{SRT}/layers/attention/fast_latent.py": BACKEND}
    (way,) = ask(latent, files).reach
    assert (way.how, way.gpus) == ("default", ())
    assert way.evidence[0].path.endswith("fast_latent.py")


def test_a_model_with_two_widths_gets_what_is_for_it(ask: Ask) -> None:
    wide = Question(apis=ASKED.apis, latent=False, traits=frozenset({"has_asymmetric_kv"}))
    assert "wide" in [p.name for p in ask(wide, FILES).served_by]


def test_what_is_set_for_the_model_replaces_the_rule_for_all(ask: Ask) -> None:
    files = {**FILES, f"{SRT}/arg_groups/model_overrides/sample.py": OVERRIDE}
    mine = Question(apis=ASKED.apis, latent=False, model="SampleForCausalLM")
    found = ask(mine, files)
    assert [w.how for w in found.reach] == ["flag"]
    assert [p.name for p in found.served_by] == ["slow"]
    assert [w.how for w in ask(ASKED, files).reach] == ["some_gpus"]


SOME_GPUS = """\
@register_for("SampleForCausalLM", "OtherForCausalLM")
def _sample(server_args):
    if not get_platform().is_sm100 or server_args.attention_backend is not None:
        return {}
    chosen = "slow"
    if server_args.wide:
        chosen = "narrow"
    return {"attention_backend": chosen}
"""


def test_what_is_set_for_the_model_on_some_gpus_leaves_the_others_alone(ask: Ask) -> None:
    files = {**FILES, f"{SRT}/arg_groups/model_overrides/sample.py": SOME_GPUS}
    found = ask(replace(ASKED, model="SampleForCausalLM"), files)

    assert [(w.how, w.gpus) for w in found.reach] == [("flag", ())]
    served = {(p.name, p.gpus) for p in found.served_by}
    assert served == {("slow", ("SM100",)), ("other", ("SM90",))}


def test_what_is_set_under_a_condition_on_the_configuration_is_not_chosen(ask: Ask) -> None:
    """Neither branch of a question that only the model's configuration answers."""
    text = """\
@register_for("SampleForCausalLM")
def _sample(server_args, hf_config):
    overrides = {}
    if is_sparse(hf_config):
        if server_args.attention_backend is None:
            overrides["attention_backend"] = "fast"
    else:
        overrides["attention_backend"] = "slow"
    return overrides
"""
    files = {**FILES, f"{SRT}/arg_groups/model_overrides/sample.py": text}
    found = ask(replace(ASKED, model="SampleForCausalLM"), files)
    assert [(w.how, w.gpus) for w in found.reach] == [("flag", ())]
    assert found.served_by == ()


def test_what_a_question_about_the_class_answers_is_chosen(ask: Ask) -> None:
    """`is_sparse` is one expression that asks for the class first."""
    text = """\
def is_sparse(config):
    return class_of(config) in ("OtherForCausalLM",) and config.top_k is not None

def class_of(config):
    archs = getattr(config, "architectures", None)
    return archs[0]

@register_for("SampleForCausalLM", "OtherForCausalLM")
def _sample(server_args, hf_config):
    if is_sparse(hf_config):
        return {"attention_backend": "slow"}
    return {"attention_backend": "fast"}
"""
    files = {**FILES, f"{SRT}/arg_groups/model_overrides/sample.py": text}
    mine = ask(replace(ASKED, model="SampleForCausalLM"), files)
    assert [(w.how, w.gpus) for w in mine.reach] == [("some_models", ())]
    other = ask(replace(ASKED, model="OtherForCausalLM"), files)
    assert [w.how for w in other.reach] == ["flag"]


@pytest.mark.parametrize(
    ("condition", "how"),
    [
        ("quantization in ('modelopt_fp4', None)", "flag"),
        ("server_args.quantization is None", "flag"),
        ("server_args.state_dtype == 'bfloat16'", "some_gpus"),
        ("server_args.wide", "some_gpus"),
        ("envs.FAST.get()", "some_gpus"),
        ("not server_args.wide", "some_models"),
        ("server_args.device == 'cuda' and server_args.state_dtype is None", "some_models"),
        ("not envs.FAST.get() and not is_hip()", "some_models"),
        ("is_sm100_supported() and server_args.moe_runner_backend == 'auto'", "some_models"),
        ("is_sm100_supported() or quantization == 'fp8'", "some_models"),
        ("is_unset(server_args)", "some_models"),
    ],
)
def test_only_what_a_launch_without_options_comes_to_is_chosen(
    ask: Ask, condition: str, how: str
) -> None:
    text = f"""\
def is_unset(cfg):
    \"\"\"Whether nobody asked.\"\"\"
    return cfg.attention_backend is None

@register_for("SampleForCausalLM")
def _sample(server_args, hf_config):
    quantization = hf_config.quantization_config.get("quant_method")
    if {condition}:
        return {{"attention_backend": "fast"}}
"""
    files = {
        **FILES,
        f"{SRT}/arg_groups/model_overrides/sample.py": text,
        f"{SRT}/environ.py": "class Envs:\n    FAST = EnvBool(False)\n",
    }
    found = ask(replace(ASKED, model="SampleForCausalLM"), files)
    assert [w.how for w in found.reach] == [how]


def test_a_way_out_further_in_is_a_condition_of_what_follows(ask: Ask) -> None:
    text = """\
@register_for("SampleForCausalLM")
def _sample(server_args, hf_config):
    if hf_config.quantization is not None:
        if not is_packed(hf_config):
            return {}
    return {"attention_backend": "fast"}
"""
    files = {**FILES, f"{SRT}/arg_groups/model_overrides/sample.py": text}
    assert [w.how for w in ask(replace(ASKED, model="SampleForCausalLM"), files).reach] == ["flag"]


GENERAL = """\
def later(server_args, config):
    if {condition}:
        if server_args.state_backend is None:
            declare(state_backend="fast")
"""


@pytest.mark.parametrize(
    ("condition", "how"),
    [
        ("server_args.deterministic", "flag"),
        ("getattr(config.hf_config, 'chunks', None) is not None", "flag"),
        ("not server_args.deterministic", "default"),
    ],
)
def test_what_another_option_or_a_field_asks_for_is_no_default(
    ask: Ask, condition: str, how: str
) -> None:
    options = "class ServerArgs:\n    state_backend: str | None = None\n"
    files = {
        f"{SRT}/server_args.py": f"{options}    deterministic: bool = False\n",
        f"{SRT}/arg_groups/later.py": GENERAL.format(condition=condition),
        f"{SRT}/layers/table.py": TABLE,
    }
    assert [w.how for w in ask(Question(apis=ASKED.apis), files).reach] == [how]


def test_what_only_other_classes_are_led_to_is_not_for_this_one(ask: Ask) -> None:
    hook = """\
def adjust(server_args, model_arch):
    if model_arch in ("OtherForCausalLM",):
        apply_other(server_args)
"""
    other = """\
def apply_other(server_args):
    if server_args.state_backend is None:
        declare(state_backend="fast")
"""
    files = {
        f"{SRT}/server_args.py": "class ServerArgs:\n    state_backend: str | None = None\n",
        f"{SRT}/arg_groups/hook.py": hook,
        f"{SRT}/arg_groups/other_hook.py": other,
        f"{SRT}/layers/table.py": TABLE,
    }
    asked = Question(apis=ASKED.apis, model="SampleForCausalLM")
    assert [w.how for w in ask(asked, files).reach] == ["flag"]
    asked = Question(apis=ASKED.apis, model="OtherForCausalLM")
    assert [w.how for w in ask(asked, files).reach] == ["some_models"]


def test_a_test_of_the_class_narrows_what_a_function_is_registered_for(ask: Ask) -> None:
    text = OVERRIDE.replace('"SampleForCausalLM"', '"SampleForCausalLM", "OtherForCausalLM"')
    text = text.replace(
        "    overrides[", "    if arch in ('OtherForCausalLM',):\n        overrides["
    )
    files = {**FILES, f"{SRT}/arg_groups/model_overrides/sample.py": text}

    assert [w.how for w in ask(replace(ASKED, model="OtherForCausalLM"), files).reach] == ["flag"]
    mine = ask(replace(ASKED, model="SampleForCausalLM"), files)
    assert [w.how for w in mine.reach] == ["some_gpus"]


def test_a_file_of_another_models_layers_is_no_way_for_this_one(ask: Ask) -> None:
    files = {
        **FILES,
        f"{SRT}/models/novel_next.py": MODEL.replace("Sample", "NovelNext"),
        f"{SRT}/layers/novel_next/experts.py": BACKEND.replace("Wrapper", "Other"),
    }
    asked = Question(apis=(("flashinfer.Other",),), model="SampleForCausalLM")

    assert ask(asked, files).reach == ()
    assert [w.how for w in ask(replace(asked, model="NovelNextForCausalLM"), files).reach] == [
        "direct"
    ]


ASSERTED = """\
def adjust(server_args, model_arch, hf_config):
    if model_arch in ("SampleForCausalLM",):
        accepted = ["slow", "wide"]
        prefill, decode = attention_backends_of(server_args)
        assert prefill in accepted and decode in accepted, f"only {accepted}"
    elif model_arch == "OtherForCausalLM":
        if hf_config.window is not None:
            backend = resolved(server_args).attention_backend
            assert backend in {"slow"}
    elif model_arch == "ThirdForCausalLM":
        backend = resolved(server_args).attention_backend
        assert backend != "fast"
        accepted = {"slow", "fast"}
    elif model_arch == "FourthForCausalLM":
        assert server_args.wide in ("slow",)
"""


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("Sample", []),
        ("Other", ["--attention-backend fast"]),
        ("Third", []),
        ("Fourth", ["--attention-backend fast"]),
    ],
)
def test_what_is_asserted_of_an_option_for_the_class_rules_ways_out(
    ask: Ask, name: str, flags: list[str]
) -> None:
    """What only some configurations of the class must fulfil rules nothing out."""
    files = {**FILES, f"{SRT}/arg_groups/hook.py": ASSERTED}
    found = ask(replace(ASKED, model=f"{name}ForCausalLM"), files)
    assert [w.flag for w in found.reach] == flags


OTHERS = ("layers/attention/novel_sparse_backend.py", "models/novel_common/dense.py")


@pytest.mark.parametrize("path", OTHERS)
def test_a_file_named_after_another_family_is_no_way_for_this_one(ask: Ask, path: str) -> None:
    files = {
        **FILES,
        f"{SRT}/models/novel2_next.py": MODEL.replace("Sample", "NovelNext"),
        f"{SRT}/{path}": BACKEND.replace("Wrapper", "Other"),
    }
    asked = Question(apis=(("flashinfer.Other",),), model="SampleForCausalLM")

    assert ask(asked, files).reach == ()
    assert [w.how for w in ask(replace(asked, model="NovelNextForCausalLM"), files).reach] == [
        "direct"
    ]
    importing = f"from sglang.srt.layers.novel.mixer import Mixer\n{MODEL}"
    files[f"{SRT}/models/sample.py"] = importing
    assert [w.how for w in ask(asked, files).reach] == ["direct"]


@pytest.mark.parametrize(
    ("package", "hows"),
    [("", []), ("from sglang.kernels.ops.plan import run\n", ["direct"])],
    ids=["used there only", "handed on"],
)
def test_what_only_files_of_another_family_use_is_no_way_for_this_one(
    ask: Ask, package: str, hows: list[str]
) -> None:
    files = {
        **FILES,
        f"{SRT}/models/novel2_next.py": MODEL.replace("Sample", "NovelNext"),
        "python/sglang/kernels/ops/plan.py": "import flashinfer\ndef run(): flashinfer.Other()\n",
        "python/sglang/kernels/ops/__init__.py": package,
        f"{SRT}/layers/novel_backend.py": "from sglang.kernels.ops.plan import run\nrun()\n",
    }
    asked = Question(apis=(("flashinfer.Other",),), model="SampleForCausalLM")
    assert [w.how for w in ask(asked, files).reach] == hows


def test_the_call_site_is_in_the_models_own_file(ask: Ask) -> None:
    mine = replace(ASKED, model="SampleForCausalLM")
    (site,) = ask(mine, FILES).call_site
    assert (site.path, site.line) == (f"{SRT}/models/sample.py", 3)
    other = replace(ASKED, model="OtherForCausalLM")
    assert ask(other, FILES).call_site == ()


def test_the_call_site_is_of_the_class_and_not_of_its_neighbours(ask: Ask) -> None:
    """One that rests on another file's class makes none of the layers of its own file."""
    text = (
        "from sglang.srt.models.sample import SampleForCausalLM\n\n"
        "class OldForCausalLM:\n    def __init__(self):\n        self.attn = RadixAttention()\n\n"
        "class NewForCausalLM(SampleForCausalLM):\n    pass\n"
    )
    files = {**FILES, f"{SRT}/models/old.py": text}
    (site,) = ask(replace(ASKED, model="NewForCausalLM"), files).call_site
    assert (site.path, site.line) == (f"{SRT}/models/sample.py", 3)
    (site,) = ask(replace(ASKED, model="OldForCausalLM"), files).call_site
    assert (site.path, site.line) == (f"{SRT}/models/old.py", 5)


def test_a_layer_of_the_decoder_comes_before_one_beside_it(ask: Ask) -> None:
    beside = (
        "from sglang.srt.models.sample import SampleForCausalLM\n\n"
        "class Projector:\n    def __init__(self):\n        self.norm = RMSNorm(8)\n\n"
        "class SeeingForCausalLM:\n    def __init__(self):\n"
        "        self.projector = Projector()\n        self.model = SampleForCausalLM()\n"
    )
    files = {
        **FILES,
        f"{SRT}/models/seeing.py": beside,
        f"{SRT}/models/sample.py": MODEL + "        self.norm = RMSNorm(8)\n",
    }
    asked = replace(ASKED, model="SeeingForCausalLM", layers=("RMSNorm",))
    (site,) = ask(asked, files).call_site
    assert (site.path, site.line) == (f"{SRT}/models/sample.py", 4)
    files[f"{SRT}/models/sample.py"] = MODEL
    (site,) = ask(asked, files).call_site
    assert (site.path, site.line) == (f"{SRT}/models/seeing.py", 5)


def test_a_file_that_can_not_be_parsed_says_nothing(ask: Ask) -> None:
    files = {**FILES, f"{SRT}/models/sample.py": MODEL + "x = " + "(" * 300 + "\n"}
    assert ask(replace(ASKED, model="SampleForCausalLM"), files).call_site == ()


MODES = """\
class Dispatcher:
    def __init__(self, decode_backend, prefill_backend):
        if decode_backend.is_fast():
            from sglang.srt.layers.fast import Kernel
            self.decode = Kernel()
        if prefill_backend.is_fast():
            from sglang.srt.layers.fast import Kernel
            self.extend = Kernel()
"""


@pytest.mark.parametrize(
    ("mode", "options"),
    [("prefill", ["prefill"]), ("decode", ["decode"]), ("", ["decode", "prefill"])],
)
def test_the_option_of_a_mode_chooses_the_kernel_of_that_mode(
    ask: Ask, mode: str, options: list[str]
) -> None:
    names = [f"    layer_{each}_backend: str | None = None" for each in ("decode", "prefill")]
    files = {
        f"{SRT}/server_args.py": "\n".join(["class ServerArgs:", *names, ""]),
        f"{SRT}/layers/layer/start.py": MODES,
        f"{SRT}/layers/fast.py": KERNEL,
    }
    found = ask(Question(apis=ASKED.apis, mode=mode), files)
    assert [w.flag for w in found.reach] == [f"--layer-{each}-backend fast" for each in options]


AFTER = """\
def start(fast_experts):
    if fast_experts and get_state_backend().is_slow():
        return None
    if fast_experts and get_state_backend().is_fast():
        from sglang.srt.layers.fast import Kernel
        return Kernel()
"""


def test_what_an_earlier_way_out_asked_for_leads_nowhere(ask: Ask) -> None:
    files = {f"{SRT}/layers/start.py": AFTER, f"{SRT}/layers/fast.py": KERNEL}
    found = ask(Question(apis=ASKED.apis), {f"{SRT}/server_args.py": OPTIONS, **files})
    assert [w.flag for w in found.reach] == ["--state-backend fast"]


TABLE = """\
class Fast:
    def __init__(self):
        from flashinfer import Wrapper
        self.run = Wrapper()

TABLE = {"triton": Slow, "fast": Fast}

def start(server_args):
    return TABLE[server_args.state_backend]()
"""
RUNNER = """\
from flashinfer import Wrapper

def _inner(x):
    return Wrapper(x)

@register_fused_func("none", "fast_runner")
def outer(x):
    return _inner(x)
"""
ROUTED = """\
from flashinfer import Wrapper, routed

def _inner(x, given=False):
    given |= is_made(x)
    if given:
        return routed(x)
    else:
        return Wrapper(x)

def _between(x, y, given):
    return _inner(x, given=given)

@register_fused_func("none", "plain")
def plain(x):
    return _inner(x)

@register_fused_func("none", "given")
def outer(x):
    return _between(x, 1, True)
"""


@pytest.mark.parametrize(
    ("api", "changed", "runners"),
    [
        ("Wrapper", "", ["plain"]),
        ("routed", "", ["plain", "given"]),
        ("Wrapper", "given = is_made(x)", ["plain", "given"]),
        ("Wrapper", "given &= is_made(x)", ["plain", "given"]),
        ("Wrapper", "given = True", ["plain"]),
        ("Wrapper", "given = False", ["plain", "given"]),
    ],
)
def test_a_runner_that_passes_what_rules_a_branch_out_does_not_lead_there(
    ask: Ask, api: str, changed: str, runners: list[str]
) -> None:
    options = "class ServerArgs:\n    moe_runner_backend: str = 'auto'\n"
    text = ROUTED.replace("given |= is_made(x)", changed) if changed else ROUTED
    files = {f"{SRT}/server_args.py": options, f"{SRT}/layers/runner.py": text}
    found = ask(Question(apis=((f"flashinfer.{api}",),)), files)
    assert [w.flag for w in found.reach] == [f"--moe-runner-backend {name}" for name in runners]


def test_a_wrapper_in_another_file_is_come_to_likewise(ask: Ask) -> None:
    wrapper = "from flashinfer import Wrapper\n\ndef wrap(x):\n    return Wrapper(x)\n"
    text = ROUTED.replace("import Wrapper, routed", "import routed")
    text = f"from sglang.srt.layers.wraps import wrap\n{text}".replace("Wrapper(x)", "wrap(x)")
    files = {
        f"{SRT}/server_args.py": "class ServerArgs:\n    moe_runner_backend: str = 'auto'\n",
        f"{SRT}/layers/runner.py": text,
        f"{SRT}/layers/wraps.py": wrapper,
    }
    found = ask(Question(apis=ASKED.apis), files)
    assert [w.flag for w in found.reach] == ["--moe-runner-backend plain"]


CONDITION = """\
def start(backend):
    if get_state_backend().is_fast():
        from sglang.srt.layers.fast import Kernel
        return Kernel()
"""
KERNEL = (
    "class Kernel:\n    def run(self):\n        from flashinfer import Wrapper\n        Wrapper()\n"
)


@pytest.mark.parametrize(
    ("files", "flag", "served"),
    [
        ({f"{SRT}/layers/table.py": TABLE}, "--state-backend fast", ["triton"]),
        ({f"{SRT}/layers/runner.py": RUNNER}, "--moe-runner-backend fast_runner", []),
        (
            {f"{SRT}/layers/start.py": CONDITION, f"{SRT}/layers/fast.py": KERNEL},
            "--state-backend fast",
            ["triton"],
        ),
    ],
    ids=["table", "runner", "condition of the import"],
)
def test_other_places_that_name_the_option(
    ask: Ask, files: dict[str, str], flag: str, served: list[str]
) -> None:
    options = f"{OPTIONS.partition('    def')[0]}    moe_runner_backend: str = 'auto'\n"
    found = ask(Question(apis=ASKED.apis), {f"{SRT}/server_args.py": options, **files})
    assert [(w.how, w.flag) for w in found.reach] == [("flag", flag)]
    assert [p.name for p in found.served_by] == served


@pytest.mark.parametrize(
    "imports",
    [
        "import Other, Kernel",
        "import Kernel as Made",
        "import (  # the fast ones (see below)\n            Other,\n            Kernel,\n        )",
        "import Other, \\\n            Kernel",
    ],
    ids=["list", "other name", "over lines", "continued"],
)
def test_an_import_however_it_is_written_leads_on(ask: Ask, imports: str) -> None:
    start = CONDITION.replace("import Kernel", imports)
    files = {f"{SRT}/layers/start.py": start, f"{SRT}/layers/fast.py": KERNEL}
    found = ask(Question(apis=ASKED.apis), {f"{SRT}/server_args.py": OPTIONS, **files})
    assert [w.flag for w in found.reach] == ["--state-backend fast"]


def test_what_serves_it_otherwise_is_in_the_order_of_the_ways(ask: Ask) -> None:
    """Of text that is compared from run to run, also where Python's hashes differ."""
    names = [f"{letter}_backend" for letter in "fbgadce"]
    options = "".join(f"    {name}: str = 'old_{name}'\n" for name in names)
    files = {
        f"{SRT}/layers/start_{name}.py": CONDITION.replace("state_backend", name) for name in names
    }
    files[f"{SRT}/layers/fast.py"] = KERNEL
    files[f"{SRT}/server_args.py"] = f"class ServerArgs:\n{options}"
    found = ask(Question(apis=ASKED.apis), files)
    ways = [w.flag.split()[0] for w in found.reach]
    assert sorted(ways) == sorted(f"--{name.replace('_', '-')}" for name in names)
    assert [p.flag.split()[0] for p in found.served_by] == ways


def test_an_import_of_another_module_or_name_leads_nowhere(ask: Ask) -> None:
    for there in ("sglang.srt.layers.faster import Kernel", "sglang.srt.layers.fast import Kern"):
        start = CONDITION.replace("sglang.srt.layers.fast import Kernel", there)
        files = {f"{SRT}/layers/start.py": start, f"{SRT}/layers/fast.py": KERNEL}
        found = ask(Question(apis=ASKED.apis), {f"{SRT}/server_args.py": OPTIONS, **files})
        assert [w.flag for w in found.reach] == [""]


def test_a_use_that_no_option_leads_to(ask: Ask) -> None:
    use = "from flashinfer import Wrapper\n\ndef run(x):\n    if x:\n        Wrapper(x)\n"
    (way,) = ask(Question(apis=ASKED.apis), {f"{SRT}/layers/use.py": use}).reach
    assert (way.how, way.flag, way.condition) == ("condition", "", "x")


def test_what_sglang_has_itself_serves_what_it_does_not_call(ask: Ask) -> None:
    use = "from sglang.kernels.rope import apply_rope\n\ndef run(x):\n    apply_rope(x)\n"
    found = ask(Question(apis=(("flashinfer.rope.apply_rope",),)), {f"{SRT}/layers/use.py": use})
    assert found.reach == ()
    assert [p.function for p in found.served_by] == ["sglang.kernels.rope.apply_rope"]
