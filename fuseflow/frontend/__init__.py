# SPDX-License-Identifier: MIT
"""Model -> EinsumGraph: loaders for PyTorch and ONNX over one shared graph of tensor operators.

A loader reads a source into an `OpGraph` (`graph`); everything after that is
shared: rewrites, index algebra, einsum building, formats (`lower`).

Not here: how the graph is fused, and how it is written to bytes.
"""

from fuseflow.frontend.export import export
from fuseflow.frontend.onnx.reader import import_onnx
from fuseflow.frontend.options import ImportOptions
from fuseflow.frontend.torch.module import import_torch
from fuseflow.frontend.torch.pt2 import import_pt2

__all__ = ["ImportOptions", "export", "import_onnx", "import_pt2", "import_torch"]
