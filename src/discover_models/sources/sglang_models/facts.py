"""The machine that a model is read for: one CUDA GPU, no parallelism, declared server defaults."""

import ast
import re
from collections.abc import Sequence
from typing import cast

from discover_models.sources.sglang_models.machine import Arguments, Machine
from discover_models.sources.sglang_models.namespace import Namespace
from discover_models.sources.sglang_models.values import (
    ABSENT,
    ClassValue,
    Frame,
    FunctionValue,
    Instance,
    Opaque,
    Value,
    is_sequence,
)

_IS_CUDA = frozenset({"is_cuda", "is_cuda_alike"})
_OTHER_PLATFORM = re.compile(
    r"^(_?is_(hip|npu|cpu|xpu|musa|hpu|mps|sail|tpu|ppu|gfx\w+|out_of_tree|mlx|ascend)(_\w+)?"
    r"|cpu_has_amx_support|use_intel_amx_backend|use_intel_xpu_backend|\w*aiter\w*)$"
)
_ROLES = {
    "_ConfigBag": "bag",
    "ServerArgs": "bag",
    "ParallelContext": "parallel",
    "GroupCoordinator": "group",
    "PlatformContext": "platform",
}
_PARALLEL_MODULE = re.compile(r"^sglang\.srt\.(distributed|layers\.dp_attention|layers\.linear)")
_RUNTIME = re.compile(
    # Machinery around a model: it connects, loads, places or schedules layers and builds none.
    r"^sglang\.srt\.(model_loader|connector|eplb|batch_overlap|managers|mem_cache"
    r"|model_executor|speculative|compilation|lora|observability|distributed\.device)\b"
)
_STAGES = re.compile(r"^sglang\.srt\.layers\.layer_boundary\b.*\.(\w+_stages|layer_stack)$")
_ARGUMENT_MODULES = re.compile(r"^sglang\.srt\.(server_args|arg_groups\.fields\.\w+)$")
_OVERRIDES: dict[str, Value] = {
    # Shared experts are listed as layers of their own: whether SGLang folds them into the routed
    # ones depends on the launch, not on the model.
    "disable_shared_experts_fusion": True,
    "num_fused_shared_experts": 0,
    "num_shared_topk_slots": 0,
    "fusion_disabled": True,
    "use_waterfill": False,
    # Attention in decode graphs etc. never changes what layers a model has.
    "deterministic": False,
}
_GROUP: dict[str, Value] = {
    "world_size": 1,
    "rank": 0,
    "rank_in_group": 0,
    "local_rank": 0,
    "is_first_rank": True,
    "is_last_rank": True,
}


def answer(machine: Machine, function: FunctionValue, arguments: Arguments) -> Value:
    """What a function of SGLang says of this machine; `ABSENT` when it is to be interpreted."""
    name = function.name
    module = function.frame.space.file.dotted
    if name in _IS_CUDA:
        return True
    if _OTHER_PLATFORM.match(name) and not arguments.args:
        return False
    role = _role(function)
    if role:
        return Opaque(f"{name}()", exists=True, role=role)
    if _STAGES.match(f"{module}.{name}"):
        mark_residual([*arguments.args, *arguments.kwargs.values()])
        return Opaque(f"{name}()")
    if _RUNTIME.match(module):
        return Opaque(f"{name}()")
    if _PARALLEL_MODULE.match(module):
        return _parallel(name)
    return ABSENT


def mark_residual(values: Sequence[Value]) -> None:
    """Note that these normalisations add the residual: a stage boundary runs them with it.

    A norm beside a declaration is read as that declares; one whose `read` adds the residual first
    and then runs the norm on the sum is left alone.
    """
    reads = [v.attrs.get("read") for v in values if isinstance(v, Instance) and not v.kind]
    if any(isinstance(read, Instance) and _adds_first(read) for read in reads):
        return
    for value in values:
        if isinstance(value, Instance) and value.kind == "norm":
            value.attrs["takes_residual"] = True
        elif is_sequence(value):
            mark_residual(cast(Sequence[Value], value))


def _adds_first(read: Instance) -> bool:
    """Whether a stage's read never hands the residual to its norm, in one call, after an update.

    Source: sglang python/sglang/srt/layers/layer_boundary/residual/add_norm.py
    (``NormReadout.update_and_read`` calls ``norm(hidden_states, residual)``,
    ``UnfusedNormReadout.update_and_read`` hands the sum to ``read``).
    """
    bases = read.cls.mro if read.cls is not None else ()
    found = (b.members.get("update_and_read") for b in bases if isinstance(b, ClassValue))
    method = next((node for node in found if node is not None), None)
    return method is not None and not any(map(_norms_with_residual, ast.walk(method)))


def _norms_with_residual(node: ast.AST) -> bool:
    """``norm(x, residual)``, or a kernel that takes both: ``kernel(norm, x, residual)``."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) == "self.read":
        return False
    parts = (node.func, *node.args, *(keyword.value for keyword in node.keywords))
    taken = {ast.unparse(part) for part in parts}
    return {"norm", "residual"} <= taken


def _role(function: FunctionValue) -> str:
    returns = getattr(function.node, "returns", None)
    if not isinstance(returns, (ast.Name, ast.Constant)):
        return ""
    name = returns.id if isinstance(returns, ast.Name) else str(returns.value)
    return _ROLES.get(name, "")


def _parallel(name: str) -> Value:
    if re.match(r"^_resolve_\w*group$", name):
        return Opaque(f"{name}()", exists=True, role="group")
    if name.endswith("rank_size"):
        return (0, 1)
    if re.match(r"^get_\w*(_size|_width)$", name):
        return 1
    if re.match(r"^get_\w*_rank$", name):
        return 0
    return False if re.match(r"^(is|use|enable)_\w*(dp|cp|sp)_\w+$", name) else ABSENT


def attribute(machine: Machine, receiver: Opaque, name: str) -> Value:
    """An attribute of the machine's state (an opaque value with a role)."""
    if receiver.role == "group" and name in _GROUP:
        return _GROUP[name]
    if receiver.role == "platform":
        return _platform(receiver, name)
    if name in _OVERRIDES:
        return _OVERRIDES[name]
    if receiver.role == "parallel":
        return _parallel_attribute(machine, receiver, name)
    declared = _declared(machine, name)
    return Opaque(f"{receiver.name}.{name}", role="bag") if declared is ABSENT else declared


def _platform(receiver: Opaque, name: str) -> Value:
    if name in _IS_CUDA:
        return True
    return False if _OTHER_PLATFORM.match(name) else Opaque(f"{receiver.name}.{name}")


def _parallel_attribute(machine: Machine, receiver: Opaque, name: str) -> Value:
    declared = _declared(machine, name)
    if declared is not ABSENT and not isinstance(declared, Opaque):
        return declared
    if name.endswith("_size"):
        return 1
    if name.endswith("_rank"):
        return 0
    if name.endswith("group"):
        return Opaque(f"{receiver.name}.{name}", exists=True, role="group")
    if re.search(r"enable|^is_|^use_|dp_lm_head", name):
        return False
    return Opaque(f"{receiver.name}.{name}", role="bag")


def _declared(machine: Machine, name: str) -> Value:
    """The declared default of a server argument."""
    table = _arguments(machine)
    if name not in table:
        return ABSENT
    space, node = table[name]
    value = machine.evaluate(node, Frame(space, {}))
    return value if not isinstance(value, Opaque) else Opaque(f"server argument {name}", role="bag")


def _arguments(machine: Machine) -> dict[str, tuple[Namespace, ast.expr]]:
    if machine.server_arguments is None:
        machine.server_arguments = {}
        for dotted in _argument_modules(machine):
            space = machine.space(dotted)
            if space is not None:
                _collect(space, machine.server_arguments)
    return machine.server_arguments


def _argument_modules(machine: Machine) -> list[str]:
    modules = ["sglang.srt.server_args"]
    package = "sglang.srt.arg_groups.fields"
    if machine.source.module(package) is not None:
        modules.extend(machine.source.modules_in(package))
    return [m for m in modules if _ARGUMENT_MODULES.match(m)]


def _collect(space: Namespace, table: dict[str, tuple[Namespace, ast.expr]]) -> None:
    for node in space.file.tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        for entry in node.body:
            target = entry.target if isinstance(entry, ast.AnnAssign) and entry.value else None
            if isinstance(target, ast.Name):
                table.setdefault(
                    target.id, (space, cast(ast.expr, cast(ast.AnnAssign, entry).value))
                )
