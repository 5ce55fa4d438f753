"""What attributes values have."""

import ast

from discover_models.sources.sglang_models import facts
from discover_models.sources.sglang_models.config_value import ConfigValue
from discover_models.sources.sglang_models.expressions import map_choice
from discover_models.sources.sglang_models.machine import GETTERS, Arguments, Machine
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Bound,
    Choice,
    ClassValue,
    Frame,
    FunctionValue,
    Instance,
    MethodOf,
    ModuleValue,
    Opaque,
    SuperValue,
    Tensor,
    Unknown,
    Value,
    describe,
    is_dict,
)

# What objects of torch's and transformers' base classes answer to.
FOREIGN_METHODS = frozenset(
    {
        "register_buffer",
        "register_parameter",
        "register_module",
        "add_module",
        "to",
        "cuda",
        "eval",
        "half",
        "bfloat16",
        "requires_grad_",
        "train",
        "apply",
        "named_parameters",
        "parameters",
        "modules",
        "named_modules",
        "children",
        "append",
        "extend",
        "insert",
        "keys",
        "values",
        "items",
        "update",
        "get_submodule",
        "post_init",
        "__init__",
        "get_text_config",
        "to_dict",
        "get",
        "__getitem__",
        "__len__",
        "__class_getitem__",
        "register_forward_pre_hook",
        "register_forward_hook",
        "register_load_state_dict_pre_hook",
    }
)


def _plain(_machine: Machine, receiver: Value, name: str) -> Value:
    return MethodOf(receiver, name)


def _dict(_machine: Machine, receiver: dict[str, Value], name: str) -> Value:
    """Entries of a configuration's lists are objects to the code of the classes that read them."""
    own = name in receiver and not hasattr(dict, name)
    return receiver[name] if own else MethodOf(receiver, name)


def _none(_machine: Machine, _receiver: Value, name: str) -> Value:
    return ABSENT if not name.startswith("__") else Opaque(name)


def _opaque(machine: Machine, receiver: Opaque, name: str) -> Value:
    if receiver.role:
        return facts.attribute(machine, receiver, name)
    return Opaque(f"{receiver.name}.{name}", exists=receiver.exists)


def _unknown(_machine: Machine, receiver: Unknown, name: str) -> Value:
    return Unknown(f"{receiver.expression}.{name}", receiver.fields)


def _module(machine: Machine, receiver: ModuleValue, name: str) -> Value:
    value = machine.resolve(receiver.space, name)
    if value is not ABSENT:
        return value
    child = machine.space(f"{receiver.space.file.dotted}.{name}")
    return ModuleValue(child) if child else Opaque(f"{receiver.space.file.dotted}.{name}")


def _tensor(_machine: Machine, receiver: Tensor, name: str) -> Value:
    if name == "shape":
        return receiver.shape
    if name == "data" and len(receiver.shape) == 1:  # what has more may be laid out anew by it
        return receiver
    return Opaque(f"tensor.{name}", exists=True)


def _choice(machine: Machine, receiver: Choice, name: str) -> Value:
    options = [(c, o) for c, o in receiver.options if o is not None and o is not ABSENT]
    found = [(c, machine.get(option, name)) for c, option in options]
    found = [(c, value) for c, value in found if value is not ABSENT]
    if not found:
        return ABSENT
    if len(found) == 1:
        return found[0][1]
    return map_choice(
        machine,
        Choice(tuple(options)),
        lambda option: _or_opaque(machine.get(option, name), option, name),
    )


def _or_opaque(value: Value, receiver: Value, name: str) -> Value:
    return Opaque(f"{describe(receiver)}.{name}") if value is ABSENT else value


def _super(machine: Machine, receiver: SuperValue, name: str) -> Value:
    cls = class_of(receiver.receiver)
    order = cls.mro if cls else receiver.owner.mro
    after = list(order)
    if receiver.owner in after:
        after = after[after.index(receiver.owner) + 1 :]
    for base in after:
        if isinstance(base, ClassValue) and name in base.members:
            return _bind(machine, base, name, receiver.receiver)
    return MethodOf(receiver.receiver, name)


def class_of(value: Value) -> ClassValue | None:
    """The class of SGLang that a value belongs to."""
    if isinstance(value, (Instance, ConfigValue)):
        return value.cls
    return value if isinstance(value, ClassValue) else None


def _instance(machine: Machine, receiver: Instance, name: str) -> Value:
    if name in receiver.attrs:
        return receiver.attrs[name]
    if name == "__class__" and receiver.cls:
        return receiver.cls
    value = class_attribute(machine, receiver.cls, name, receiver) if receiver.cls else ABSENT
    if value is not ABSENT:
        return value
    if name in FOREIGN_METHODS:
        return MethodOf(receiver, name)
    if receiver.kind and receiver.kind not in ("list", "enum"):
        return Opaque(f"{receiver.name}@{receiver.site.line}.{name}", exists=True)
    return ABSENT


def _class(machine: Machine, receiver: ClassValue, name: str) -> Value:
    if name in ("__name__", "__qualname__"):
        return receiver.name
    if is_enum(receiver) and name == "__members__":
        return {m: enum_member(machine, receiver, m) for m in enum_names(receiver)}
    value = class_attribute(machine, receiver, name, receiver)
    return Opaque(f"{receiver.name}.{name}") if value is ABSENT else value


def class_attribute(machine: Machine, cls: ClassValue, name: str, receiver: Value) -> Value:
    """A member of a class or its bases, bound to the receiver."""
    for base in cls.mro:
        if isinstance(base, ClassValue) and name in base.members:
            return _bind(machine, base, name, receiver)
    return ABSENT


def _bind(machine: Machine, base: ClassValue, name: str, receiver: Value) -> Value:
    node = base.members[name]
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return _member_value(machine, base, name, receiver)
    function = FunctionValue(node, base.frame, base)
    marks = {_decorator(d) for d in node.decorator_list}
    if "staticmethod" in marks or (name == "__new__"):
        return function
    if "classmethod" in marks:
        return Bound(class_of(receiver) or base, function)
    if marks & {"property", "cached_property"}:
        if isinstance(receiver, ClassValue):
            return Opaque(f"{base.name}.{name}")
        return machine.call(Bound(receiver, function), Arguments([], {}, function.site))
    return function if isinstance(receiver, ClassValue) else Bound(receiver, function)


def _decorator(node: ast.expr) -> str:
    node = node.func if isinstance(node, ast.Call) else node
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _member_value(machine: Machine, base: ClassValue, name: str, receiver: Value) -> Value:
    if is_enum(base) and name in enum_names(base):
        return enum_member(machine, base, name)
    if name not in base.cache:
        base.cache[name] = _evaluate_member(machine, base, name)
    value = base.cache[name]
    if isinstance(value, FunctionValue) and not isinstance(receiver, ClassValue):
        return Bound(receiver, value)
    return value


def _evaluate_member(machine: Machine, base: ClassValue, name: str) -> Value:
    node = base.members[name]
    value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
    if value is None or (isinstance(node, ast.Assign) and not _single(node)):
        return ABSENT if value is None else Opaque(f"{base.name}.{name}")
    if isinstance(value, ast.Call) and _decorator(value) == "field":
        return _field_default(machine, base, value)
    names: dict[str, Value] = {}
    frame = Frame(base.frame.space, names, base.frame)
    for part in ast.walk(value):
        if isinstance(part, ast.Name) and part.id in base.members and part.id != name:
            names[part.id] = _bind(machine, base, part.id, base)
    return machine.evaluate(value, frame)


def _field_default(machine: Machine, base: ClassValue, node: ast.Call) -> Value:
    """The default of a data class's `field(...)`."""
    for keyword in node.keywords:
        if keyword.arg == "default":
            return machine.evaluate(keyword.value, base.frame)
        if keyword.arg == "default_factory":
            factory = machine.evaluate(keyword.value, base.frame)
            return machine.call_plain(factory, [], base.site)
    return ABSENT


def _single(node: ast.Assign) -> bool:
    return len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)


def is_enum(cls: ClassValue) -> bool:
    """Whether a class is an enumeration."""
    return any(name.split(".")[-1] in ("Enum", "IntEnum", "StrEnum", "Flag") for name in cls.names)


def enum_names(cls: ClassValue) -> tuple[str, ...]:
    """The members of an enumeration in order."""
    return tuple(
        name
        for name, node in cls.members.items()
        if isinstance(node, ast.Assign) and not name.startswith("_")
    )


def enum_member(machine: Machine, cls: ClassValue, name: str) -> Value:
    """One member, always the same object."""
    key = f"member {name}"
    if key not in cls.cache:
        value = _evaluate_member(machine, cls, name)
        site = cls.site
        attrs = {"value": value, "name": name, "_value_": value, "_name_": name}
        cls.cache[key] = Instance(cls, f"{cls.name}.{name}", site, attrs, kind="enum")
    return cls.cache[key]


def config_attribute(machine: Machine, receiver: ConfigValue, name: str) -> Value:
    """An attribute of a configuration; `ABSENT` when it is found nowhere."""
    if name == "__class__" and receiver.cls:
        return receiver.cls
    if receiver.cls is not None and name not in receiver.attrs:
        alias = _alias(machine, receiver, name)
        value = (
            receiver.find(alias)
            if alias
            else class_attribute(machine, receiver.cls, name, receiver)
        )
        if value is not ABSENT:
            return value
    if name in FOREIGN_METHODS:
        return MethodOf(receiver, name)
    return receiver.find(name)


def _alias(machine: Machine, receiver: ConfigValue, name: str) -> str:
    if receiver.cls is None or name == "attribute_map":
        return ""
    table = class_attribute(machine, receiver.cls, "attribute_map", receiver.cls)
    alias = table.get(name) if is_dict(table) else None
    return alias if isinstance(alias, str) else ""


GETTERS.update(
    {
        object: _plain,
        dict: _dict,
        type(None): _none,
        Opaque: _opaque,
        Unknown: _unknown,
        ModuleValue: _module,
        Tensor: _tensor,
        Choice: _choice,
        SuperValue: _super,
        Instance: _instance,
        ClassValue: _class,
        ConfigValue: config_attribute,
    }
)
