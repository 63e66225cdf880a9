# SPDX-License-Identifier: MIT
"""PyTorch modules and files of `torch.export.save` -> OpGraph."""
