"""A hand-written SGLang in a folder: a few layer classes and models in its style."""

from pathlib import Path

LAYERS = {
    "layers/linear.py": """
import torch
from sglang.srt.runtime_context import get_parallel

class LinearBase(torch.nn.Module):
    def __init__(self, input_size, output_size, quant_config=None):
        super().__init__()

class ReplicatedLinear(LinearBase):
    def __init__(self, input_size, output_size, bias=True, quant_config=None, prefix=""):
        super().__init__(input_size, output_size, quant_config)

class RowParallelLinear(LinearBase):
    def __init__(self, input_size, output_size, bias=True, quant_config=None, prefix=""):
        super().__init__(input_size, output_size, quant_config)

class MergedColumnParallelLinear(LinearBase):
    def __init__(self, input_size, output_sizes, bias=True, quant_config=None, prefix=""):
        self.output_sizes = output_sizes
        super().__init__(input_size, sum(output_sizes), quant_config)

class QKVParallelLinear(LinearBase):
    def __init__(self, hidden_size, head_size, total_num_heads, total_num_kv_heads,
                 bias=True, quant_config=None, prefix=""):
        tp = get_parallel().tp_size
        width = (total_num_heads // tp + 2 * (total_num_kv_heads // tp)) * tp * head_size
        super().__init__(hidden_size, width, quant_config)
""",
    "layers/layernorm.py": """
import torch

class RMSNorm(torch.nn.Module):
    def __init__(self, hidden_size, eps=1e-6):
        super().__init__()
""",
    "layers/radix_attention.py": """
import torch

class RadixAttention(torch.nn.Module):
    def __init__(self, num_heads, head_dim, scaling, num_kv_heads, layer_id, logit_cap=0.0,
                 v_head_dim=-1, sliding_window_size=-1, prefix=""):
        super().__init__()
""",
    "layers/rotary_embedding/__init__.py": """
def get_rope(head_size, rotary_dim, max_position, base, is_neox_style=True, rope_scaling=None,
             partial_rotary_factor=1.0):
    raise NotImplementedError
""",
    "layers/activation.py": """
import torch

class SiluAndMul(torch.nn.Module):
    pass

class GeluAndMul(torch.nn.Module):
    def __init__(self, approximate="tanh"):
        super().__init__()
""",
    "layers/moe/topk.py": """
import torch

class TopK(torch.nn.Module):
    def __init__(self, top_k, *, layer_id, use_grouped_topk=False, topk_group=None,
                 num_expert_group=None, renormalize=True, custom_routing_function=None,
                 scoring_func="softmax", correction_bias=None):
        super().__init__()
""",
    "layers/moe/fused.py": """
import torch

class FusedMoE(torch.nn.Module):
    def __init__(self, num_experts, hidden_size, intermediate_size, layer_id, top_k=None,
                 routing_method_type=None, is_gated=True, prefix=""):
        super().__init__()

class DeepEPMoE(FusedMoE):
    pass
""",
    "runtime_context.py": """
class ParallelContext:
    pass

def get_parallel() -> ParallelContext:
    return ParallelContext()
""",
    "server_args.py": """
class ServerArgs:
    tp_size: int = 1
    moe_backend: str = "none"

def get_server_args() -> ServerArgs:
    return ServerArgs()
""",
    "utils.py": """
import torch

def is_cuda():
    return torch.cuda.is_available()

def is_hip():
    return torch.version.hip is not None

def add_prefix(name, prefix):
    return f"{prefix}.{name}" if prefix else name

def make_layers(count, layer_fn, prefix=""):
    return torch.nn.ModuleList(
        [layer_fn(idx=i, prefix=add_prefix(i, prefix)) for i in range(count)]
    )
""",
}

DENSE = """
import torch
from torch import nn
from sglang.srt.layers.activation import SiluAndMul
from sglang.srt.layers.layernorm import RMSNorm
from sglang.srt.layers.linear import (
    MergedColumnParallelLinear, QKVParallelLinear, RowParallelLinear,
)
from sglang.srt.layers.radix_attention import RadixAttention
from sglang.srt.layers.rotary_embedding import get_rope
from sglang.srt.utils import make_layers

class ToyMLP(nn.Module):
    def __init__(self, hidden_size, intermediate_size):
        super().__init__()
        self.gate_up_proj = MergedColumnParallelLinear(hidden_size, [intermediate_size] * 2)
        self.down_proj = RowParallelLinear(intermediate_size, hidden_size)
        self.act_fn = SiluAndMul()

class ToyAttention(nn.Module):
    def __init__(self, config, layer_id):
        super().__init__()
        self.head_dim = getattr(
            config, "head_dim", config.hidden_size // config.num_attention_heads
        )
        heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.qkv_proj = QKVParallelLinear(config.hidden_size, self.head_dim, heads, kv_heads)
        self.o_proj = RowParallelLinear(heads * self.head_dim, config.hidden_size)
        self.q_norm = RMSNorm(self.head_dim)
        self.rotary_emb = get_rope(
            self.head_dim, int(self.head_dim * getattr(config, "partial", 1)), 8192, 10000
        )
        window = config.sliding_window if layer_id % 2 else -1
        self.attn = RadixAttention(
            heads, self.head_dim, 1.0, kv_heads, layer_id, sliding_window_size=window
        )

class ToyLayer(nn.Module):
    def __init__(self, config, layer_id, prefix=""):
        super().__init__()
        self.self_attn = ToyAttention(config, layer_id)
        self.mlp = self.make_mlp(config, layer_id)
        self.input_layernorm = RMSNorm(config.hidden_size)
        self.post_norm = RMSNorm(config.hidden_size)

    def make_mlp(self, config, layer_id):
        return ToyMLP(config.hidden_size, config.intermediate_size)

    def forward(self, hidden_states, residual):
        hidden_states, residual = self.input_layernorm(hidden_states, residual)
        return self.post_norm(self.mlp(self.self_attn(hidden_states))), residual

class ToyModel(nn.Module):
    layer_class = ToyLayer

    def __init__(self, config, quant_config=None, prefix=""):
        super().__init__()
        self.layers = make_layers(
            config.num_hidden_layers,
            lambda idx, prefix: self.layer_class(config, idx, prefix),
            prefix="model.layers",
        )
        self.norm = RMSNorm(config.hidden_size)

class ToyForCausalLM(nn.Module):
    model_class = ToyModel

    def __init__(self, config, quant_config=None, prefix=""):
        super().__init__()
        self.model = self.model_class(config, quant_config)

EntryClass = ToyForCausalLM
"""

MOE = """
import torch
import torch.nn.functional as F
from torch import nn
from sglang.srt.layers.moe import fused
from sglang.srt.layers.moe.topk import TopK
from sglang.srt.models import toy as base
from sglang.srt.server_args import get_server_args

EXPERTS = {"none": fused.FusedMoE, "deepep": fused.DeepEPMoE}

class ToyGate(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.weight = nn.Parameter(torch.empty((config.num_experts, config.hidden_size)))
        self.bias = None
        if config.topk_method == "noaux_tc":
            self.bias = nn.Parameter(torch.empty(config.num_experts))

    def forward(self, x):
        return F.linear(x, self.weight)

class ToyMoE(nn.Module):
    def __init__(self, config, layer_id):
        super().__init__()
        self.gate = ToyGate(config)
        arguments = dict(renormalize=config.norm_topk_prob, correction_bias=self.gate.bias)
        if config.n_group is not None:
            arguments.update(
                use_grouped_topk=True,
                num_expert_group=config.n_group,
                topk_group=config.topk_group,
            )
        self.topk = TopK(
            config.top_k, layer_id=layer_id, scoring_func=config.scoring_func, **arguments
        )
        experts = EXPERTS[get_server_args().moe_backend]
        self.experts = experts(
            config.num_experts, config.hidden_size, config.moe_intermediate_size, layer_id
        )
        if config.n_shared:
            self.shared = base.ToyMLP(
                config.hidden_size, config.moe_intermediate_size * config.n_shared
            )

class ToyMoeLayer(base.ToyLayer):
    def make_mlp(self, config, layer_id):
        if layer_id < config.first_dense:
            return super().make_mlp(config, layer_id)
        return ToyMoE(config, layer_id)

class ToyMoeModel(base.ToyModel):
    layer_class = ToyMoeLayer

class ToyMoeForCausalLM(base.ToyForCausalLM):
    model_class = ToyMoeModel

class ToyMoeForCausalLMNextN(ToyMoeForCausalLM):
    pass

EntryClass = [ToyMoeForCausalLM, ToyMoeForCausalLMNextN]
"""

CONFIG: dict[str, object] = {
    "architectures": ["ToyForCausalLM"],
    "model_type": "toy",
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "intermediate_size": 160,
    "num_hidden_layers": 4,
    "sliding_window": 512,
    "vocab_size": 1000,
}
MOE_CONFIG: dict[str, object] = {
    **CONFIG,
    "architectures": ["ToyMoeForCausalLM"],
    "num_experts": 16,
    "top_k": 2,
    "moe_intermediate_size": 48,
    "first_dense": 1,
    "n_shared": 1,
    "n_group": 4,
    "topk_group": 2,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "norm_topk_prob": True,
}


def write_sglang(root: Path, **models: str) -> Path:
    """Write the miniature with `toy` and `toy_moe`, and further or changed model files."""
    package = root / "python" / "sglang" / "srt"
    for name, text in LAYERS.items():
        _write(package / name, text)
    for name, text in {"toy": DENSE, "toy_moe": MOE, **models}.items():
        _write(package / "models" / f"{name}.py", text)
    _write(package / "models" / "__init__.py", "")
    return root


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for folder in file.parents:
        if folder.name == "python":
            break
        init = folder / "__init__.py"
        if not init.exists():
            init.write_text("", encoding="utf-8")
