# SPDX-License-Identifier: MIT
"""Models of float16 and bfloat16 as float32, which is what einsums compute with.

Every number of theirs is one of float32; what is rounded in between is not the model's concern.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["widen", "widened"]


def widen(module: nn.Module) -> list[str]:
    """Make parameters and buffers of narrow types float32, in place; return what to remark."""
    import torch

    kinds: set[str] = set()
    for part in module.modules():
        for name, tensor in [*part._parameters.items(), *part._buffers.items()]:
            if tensor is None or not _is_narrow(tensor):
                continue
            kinds.add(str(tensor.dtype).removeprefix("torch."))
            if name in part._parameters:
                part._parameters[name] = torch.nn.Parameter(widened(tensor), requires_grad=False)
            else:
                part._buffers[name] = widened(tensor)
    if not kinds:
        return []
    return [f"weights of {' and '.join(sorted(kinds))} are read as float32, as are inputs"]


def widened(value: Any) -> Any:
    """Return a tensor of a narrow type as float32, anything else as it is."""
    return value.detach().float() if _is_narrow(value) else value


def _is_narrow(value: torch.Tensor | object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
