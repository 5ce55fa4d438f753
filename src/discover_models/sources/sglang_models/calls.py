"""What calling a value does: functions are interpreted, leaf layers recorded, the rest opaque."""

import ast
import re
from typing import cast

from discover_models.errors import SourceError
from discover_models.sources.sglang_models import facts
from discover_models.sources.sglang_models.attributes import (
    class_attribute,
    enum_member,
    enum_names,
    is_enum,
)
from discover_models.sources.sglang_models.builtins import call_builtin, call_method
from discover_models.sources.sglang_models.config_value import ConfigValue, with_default_origin
from discover_models.sources.sglang_models.expressions import map_choice
from discover_models.sources.sglang_models.leaves import (
    TORCH_LEAVES,
    is_config,
    is_module,
    leaf_kind,
)
from discover_models.sources.sglang_models.machine import (
    CALLS,
    DEPTH_LIMIT,
    OPEN_RECURSIONS,
    Arguments,
    Machine,
)
from discover_models.sources.sglang_models.statements import result_of, run
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Bound,
    Builtin,
    Choice,
    ClassValue,
    Frame,
    FunctionValue,
    Instance,
    MethodOf,
    Opaque,
    Partial,
    Raised,
    Site,
    Tensor,
    Unknown,
    Value,
    is_dict,
    is_sequence,
    raw,
)

_TOWER = re.compile(r"vision|audio|visual|speech|sound|talker|token2wav|image|vit\b")
_TOWER_CLASS = re.compile(
    r"(Vision|Visual|Audio|Speech|Siglip|ViT)\w*(Model|Tower|Encoder|Transformer)\w*$"
)
_PATH = re.compile(r"^[\w.]+$")
_LANGUAGE_MODEL = re.compile(r"For[A-Z]\w*$")
_FOREIGN_CONFIG = re.compile(
    r"^transformers\.[\w.]*(Config|CONFIG_MAPPING(\.get\(\)|\[.*\]))(\.from_dict)?$"
)
_SHAPED = re.compile(r"^torch\.(empty|zeros|ones|randn|rand|full)$")
_ROPE = re.compile(r"^(aiter_)?get_(rope|rotary)\w*$")


class LeafDone(Exception):  # noqa: N818 - it carries a result through interpreted frames
    """The root constructor of a linear layer was reached: its sizes are known."""


def _function(machine: Machine, function: FunctionValue, arguments: Arguments) -> Value:
    found = facts.answer(machine, function, arguments)
    if found is not ABSENT:
        return found
    module = function.frame.space.file.dotted
    if _ROPE.match(function.name) and "rotary_embedding" in module and not function.owner:
        names = bind(machine, function, arguments, ABSENT)
        return leaf(machine, None, function.name, "rope", names, arguments.site)
    return interpret(machine, function, arguments, ABSENT)


def interpret(
    machine: Machine, function: FunctionValue, arguments: Arguments, receiver: Value
) -> Value:
    """Run a function's body; opaque for generators and beyond the depth limit."""
    node = function.node
    if isinstance(node, ast.AsyncFunctionDef) or _is_generator(node) or _is_endless(machine, node):
        return Opaque(f"{function.name}()")
    builds = _constructs_layer(function, receiver)
    if machine.depth >= DEPTH_LIMIT:
        if builds:
            machine.problem(receiver.name, "its constructor is too deep to follow", arguments.site)
        return Opaque(f"{function.name}()")
    names = bind(machine, function, arguments, receiver)
    held = None if receiver is ABSENT else receiver
    frame = Frame(function.frame.space, names, function.frame, function.owner, held)
    machine.depth += 1
    machine.running[node] += 1
    try:
        with machine.building() if builds else machine.helping(function):
            if isinstance(node, ast.Lambda):
                return machine.evaluate(node.body, frame)
            return result_of(run(machine, node.body, frame))
        return Opaque(f"{function.name}()")
    finally:
        machine.running[node] -= 1
        machine.depth -= 1


def _is_endless(machine: Machine, node: ast.AST) -> bool:
    """Whether running a function again would get nowhere."""
    nested = machine.conditions and machine.running[node] >= OPEN_RECURSIONS
    return bool(nested) or node in machine.given_up


def _constructs_layer(function: FunctionValue, receiver: Value) -> bool:
    return (
        function.name == "__init__"
        and isinstance(receiver, Instance)
        and receiver.cls is not None
        and is_module(receiver.cls)
    )


def _is_generator(node: ast.FunctionDef | ast.Lambda) -> bool:
    cached = getattr(node, "is_generator", None)
    if cached is None:
        cached = not isinstance(node, ast.Lambda) and any(
            isinstance(part, (ast.Yield, ast.YieldFrom)) for part in ast.walk(node)
        )
        setattr(node, "is_generator", cached)  # noqa: B010 - the syntax tree has no such field
    return cached


def bind(
    machine: Machine, function: FunctionValue, arguments: Arguments, receiver: Value
) -> dict[str, Value]:
    """The parameters' values; what is not passed and has no default is opaque."""
    spec = function.node.args
    positional = [*spec.posonlyargs, *spec.args]
    given = list(arguments.args) if receiver is ABSENT else [receiver, *arguments.args]
    names: dict[str, Value] = {}
    for parameter, value in zip(positional, given, strict=False):
        names[parameter.arg] = value
    if spec.vararg:
        names[spec.vararg.arg] = tuple(given[len(positional) :])
    known_names = {p.arg for p in (*positional, *spec.kwonlyargs)}
    extra = {k: v for k, v in arguments.kwargs.items() if k not in known_names}
    names.update({k: v for k, v in arguments.kwargs.items() if k in known_names})
    if spec.kwarg:
        names[spec.kwarg.arg] = extra
    _fill_defaults(machine, function, names, receiver)
    return names


def _fill_defaults(
    machine: Machine, function: FunctionValue, names: dict[str, Value], receiver: Value
) -> None:
    spec = function.node.args
    positional = [*spec.posonlyargs, *spec.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults))
    pairs = zip(
        [*positional, *spec.kwonlyargs],
        [*defaults, *spec.defaults, *spec.kw_defaults],
        strict=True,
    )
    for parameter, default in pairs:
        if parameter.arg in names:
            continue
        if default is not None:
            names[parameter.arg] = _default(machine, function, parameter.arg, default, receiver)
        elif isinstance(receiver, ConfigValue):
            field = f"{receiver.path}{parameter.arg}"
            names[parameter.arg] = Unknown(field, (field,))
        else:
            names[parameter.arg] = Opaque(parameter.arg)


def _default(
    machine: Machine, function: FunctionValue, name: str, default: ast.expr, receiver: Value
) -> Value:
    frame = Frame(function.frame.space, {}, function.frame)
    value = machine.evaluate(default, frame)
    if isinstance(receiver, ConfigValue) and receiver.cls is not None:
        source = f"default of SGLang {receiver.cls.name}"
        return with_default_origin(value, f"{receiver.path}{name}", source)
    return value


def _bound(machine: Machine, bound: Bound, arguments: Arguments) -> Value:
    function, receiver = bound.function, bound.receiver
    if _is_linear_root(function, receiver):
        names = bind(machine, function, arguments, receiver)
        receiver.args["k"], receiver.args["n"] = names["input_size"], names["output_size"]
        raise LeafDone
    if not arguments.args and not arguments.kwargs:
        found = facts.answer(machine, function, arguments)
        if found is not ABSENT:
            return found
    if function.name == "forward":
        return Opaque(f"{function.name}()")
    return interpret(machine, function, arguments, receiver)


def _is_linear_root(function: FunctionValue, receiver: Value) -> bool:
    return (
        isinstance(receiver, Instance)
        and receiver.kind == "linear"
        and function.name == "__init__"
        and function.owner is not None
        and function.owner.name == "LinearBase"
    )


# --- construction ---------------------------------------------------------------------------


def _class(machine: Machine, cls: ClassValue, arguments: Arguments) -> Value:
    machine.called.add(f"{cls.module}.{cls.name}")
    if is_enum(cls):
        return _enum_lookup(machine, cls, arguments)
    if is_config(cls):
        return build_config(machine, cls, arguments, "")
    if cls.name.endswith("LayerCommunicator"):
        facts.mark_residual([*arguments.args, *arguments.kwargs.values()])
    kind = leaf_kind(cls)
    if kind == "linear":
        return _linear(machine, cls, arguments)
    if kind:
        names = _constructor_names(machine, cls, arguments)
        return leaf(machine, cls, cls.name, kind, names, arguments.site)
    if is_module(cls) and machine.depth and _is_tower(cls, arguments):
        return leaf(machine, cls, cls.name, "tower", {}, arguments.site)
    return _entered(machine, cls, arguments)


def _entered(machine: Machine, cls: ClassValue, arguments: Arguments) -> Instance:
    instance = Instance(cls, cls.name, arguments.site, conditions=tuple(machine.conditions))
    constructor = class_attribute(machine, cls, "__init__", instance)
    _name_architecture(cls, arguments)
    if isinstance(constructor, Bound):
        try:
            machine.call(constructor, arguments)
        except Raised as error:
            if machine.catching:
                raise
            machine.problem(
                cls.name,
                f"for this configuration its constructor ends with {error.text}",
                error.site,
            )
            return instance
    else:
        _fill_fields(machine, cls, instance, arguments)
    machine.entered.add(f"{cls.module}.{cls.name}")
    return instance


def _name_architecture(cls: ClassValue, arguments: Arguments) -> None:
    """Where nothing is known of a part's configuration, it names the class that is made from it."""
    if not _LANGUAGE_MODEL.search(cls.name):
        return
    for value in (*arguments.args, *arguments.kwargs.values()):
        if isinstance(value, ConfigValue) and value.opened:
            value.attrs.setdefault("architectures", [cls.name])


def _fill_fields(
    machine: Machine, cls: ClassValue, instance: Instance, arguments: Arguments
) -> None:
    """The generated constructor of a data class: annotated members in order."""
    fields: dict[str, ast.expr | None] = {}
    for base in reversed(cls.mro):
        if isinstance(base, ClassValue):
            for name, node in base.members.items():
                if isinstance(node, ast.AnnAssign):
                    fields[name] = node.value
    for name, value in zip(fields, arguments.args, strict=False):
        instance.attrs[name] = value
    instance.attrs.update(arguments.kwargs)
    for name, default in fields.items():
        if name not in instance.attrs and _makes_default(default):
            factory = machine.evaluate(_factory(cast(ast.Call, default)), cls.frame)
            instance.attrs[name] = machine.call_plain(factory, [], arguments.site)
    after = class_attribute(machine, cls, "__post_init__", instance)
    if isinstance(after, Bound):
        machine.call(after, Arguments([], {}, arguments.site))


def _makes_default(default: ast.expr | None) -> bool:
    return isinstance(default, ast.Call) and any(
        k.arg == "default_factory" for k in default.keywords
    )


def _factory(default: ast.Call) -> ast.expr:
    return next(k.value for k in default.keywords if k.arg == "default_factory")


def _enum_lookup(machine: Machine, cls: ClassValue, arguments: Arguments) -> Value:
    wanted = raw(arguments.args[0]) if arguments.args else None
    for name in enum_names(cls):
        member = enum_member(machine, cls, name)
        if member is wanted or raw(member.attrs["value"]) == wanted:
            return member
    return Opaque(f"{cls.name}(…)")


def build_config(machine: Machine, cls: ClassValue, arguments: Arguments, path: str) -> ConfigValue:
    """An object of one of SGLang's own configuration classes."""
    config = ConfigValue(path, {}, cls=cls)
    constructor = class_attribute(machine, cls, "__init__", config)
    if isinstance(constructor, Bound):
        try:
            machine.call(constructor, arguments)
        except Raised as error:
            if machine.catching:
                raise
            machine.problem(
                cls.name,
                f"for this configuration its constructor ends with {error.text}",
                error.site,
            )
    for name, value in arguments.kwargs.items():
        config.attrs.setdefault(name, value)
    return config


def _is_tower(cls: ClassValue, arguments: Arguments) -> bool:
    """Whether a class is the encoder of another modality: by its configuration's place or name."""
    if _TOWER_CLASS.search(cls.name):
        return True
    values = [*arguments.args, *arguments.kwargs.values()]
    paths = [v.path for v in values if isinstance(v, ConfigValue)]
    paths += [v.expression for v in values if isinstance(v, Unknown) and _PATH.match(v.expression)]
    return any(_TOWER.search(path.lower()) for path in paths)


def _constructor_names(machine: Machine, cls: ClassValue, arguments: Arguments) -> dict[str, Value]:
    for base in cls.mro:
        if isinstance(base, ClassValue) and "__init__" in base.members:
            node = base.members["__init__"]
            if isinstance(node, ast.FunctionDef):
                function = FunctionValue(node, base.frame, base)
                names = bind(machine, function, arguments, Opaque("self"))
                names.pop("self", None)
                return names
    return _positional_names(arguments)


def _positional_names(arguments: Arguments) -> dict[str, Value]:
    return {**{str(i): v for i, v in enumerate(arguments.args)}, **arguments.kwargs}


def leaf(
    machine: Machine,
    cls: ClassValue | None,
    name: str,
    kind: str,
    args: dict[str, Value],
    site: Site,
) -> Instance:
    """Record a layer that is not entered."""
    instance = Instance(cls, name, site, kind=kind, args=args, conditions=tuple(machine.conditions))
    machine.created.append(instance)
    return instance


def _linear(machine: Machine, cls: ClassValue, arguments: Arguments) -> Instance:
    instance = Instance(
        cls, cls.name, arguments.site, kind="linear", conditions=tuple(machine.conditions)
    )
    instance.args.update(_constructor_names(machine, cls, arguments))
    conditions, depth = list(machine.conditions), machine.depth
    constructor = class_attribute(machine, cls, "__init__", instance)
    try:
        machine.call(constructor, arguments)
        raise SourceError(f"{cls.name} never reaches the constructor of LinearBase.")
    except LeafDone:
        machine.conditions[:] = conditions
        machine.depth = depth
    machine.created.append(instance)
    return instance


# --- other callables --------------------------------------------------------------------------


def _opaque(machine: Machine, function: Opaque, arguments: Arguments) -> Value:
    name = function.name
    machine.called.add(name)
    if name.startswith("torch."):
        return _torch(machine, name, arguments)
    if name in ("os.getenv", "os.environ.get"):
        return arguments.args[1] if len(arguments.args) > 1 else arguments.kwargs.get("default")
    if name == "functools.partial" and arguments.args:
        return Partial(arguments.args[0], tuple(arguments.args[1:]), arguments.kwargs)
    if name in ("copy.deepcopy", "copy.copy", "typing.cast"):
        return _copied(arguments.args[-1])
    if _FOREIGN_CONFIG.match(name):
        return _foreign_config(name, arguments)
    if name.startswith("math."):
        return call_builtin(machine, Builtin(name), arguments)
    if function.role and name.endswith(("current_platform.is_cuda", "is_cuda_alike")):
        return True
    last = name.rsplit(".", 1)[-1]
    if last.startswith("is_") and not arguments.args and "platform" in name:
        return last in ("is_cuda", "is_cuda_alike")
    return Opaque(f"{name}()", exists=function.exists and name.startswith("torch"))


def _foreign_config(name: str, arguments: Arguments) -> Value:
    """A configuration object of another library, from keyword arguments or a dict."""
    given = arguments.args[0] if arguments.args else arguments.kwargs
    if not is_dict(given):
        return Opaque(f"{name}()", exists=True)
    return ConfigValue("", dict(given))


def _copied(value: Value) -> Value:
    if isinstance(value, ConfigValue):
        return value.copy()
    return dict(value) if is_dict(value) else value


def _torch(machine: Machine, name: str, arguments: Arguments) -> Value:
    if _SHAPED.match(name):
        return _shaped(arguments)
    short = name.removeprefix("torch.")
    if short in ("nn.Parameter", "nn.parameter.Parameter"):
        return _parameter(arguments)
    if short in ("nn.ModuleList", "nn.Sequential", "nn.ModuleDict"):
        return _container(machine, name, arguments)
    if not short.startswith("nn.") or not short[3:4].isupper():
        return Opaque(f"{name}()", exists=True)
    kind = TORCH_LEAVES.get(name, "other")
    args = _positional_names(arguments)
    if kind == "linear":
        args |= {"k": args.get("0", args.get("in_features"))}
        args |= {"n": args.get("1", args.get("out_features"))}
    return leaf(machine, None, name, kind, args, arguments.site)


def _shaped(arguments: Arguments) -> Tensor:
    shape: list[Value] = []
    for value in arguments.args:
        if is_sequence(value):
            shape.extend(cast(list[Value], value))
            break
        shape.append(value)
    return Tensor(tuple(shape), arguments.site)


def _parameter(arguments: Arguments) -> Value:
    value = arguments.args[0] if arguments.args else arguments.kwargs.get("data")
    if isinstance(value, Tensor):
        return Tensor(value.shape, arguments.site, parameter=True)
    return Opaque("parameter", exists=True)


def _container(machine: Machine, name: str, arguments: Arguments) -> Instance:
    box = Instance(None, name, arguments.site, kind="list", conditions=tuple(machine.conditions))
    for value in arguments.args:
        if is_dict(value):
            box.attrs.update(value)
        elif is_sequence(value):
            box.items.extend(cast(list[Value], value))
        else:
            box.items.append(value)
    return box


def _partial(machine: Machine, partial: Partial, arguments: Arguments) -> Value:
    args = [*partial.args, *arguments.args]
    kwargs = {**partial.kwargs, **arguments.kwargs}
    return machine.call(partial.function, Arguments(args, kwargs, arguments.site))


def _choice(machine: Machine, choice: Choice, arguments: Arguments) -> Value:
    return map_choice(machine, choice, lambda option: machine.call(option, arguments))


def _unknown(_machine: Machine, function: Unknown, _arguments: Arguments) -> Value:
    return Unknown(f"{function.expression}()", function.fields)


def _instance(machine: Machine, instance: Instance, arguments: Arguments) -> Value:
    method = class_attribute(machine, instance.cls, "__call__", instance) if instance.cls else None
    if isinstance(method, Bound) and not instance.kind:
        return machine.call(method, arguments)
    return Opaque(f"{instance.name}()")


def _method(machine: Machine, method: MethodOf, arguments: Arguments) -> Value:
    return call_method(machine, method, arguments)


CALLS.update(
    {
        FunctionValue: _function,
        Bound: _bound,
        ClassValue: _class,
        Opaque: _opaque,
        Partial: _partial,
        Choice: _choice,
        Unknown: _unknown,
        Instance: _instance,
        MethodOf: _method,
        Builtin: call_builtin,
    }
)
