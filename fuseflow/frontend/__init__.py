# SPDX-License-Identifier: MIT
"""Model -> EinsumGraph: loaders for PyTorch and ONNX over one shared graph of tensor operators.

A loader reads a source into an `OpGraph` (`ops`, built with `builder`); everything after that is
shared: rewrites, index algebra, einsum building, formats (`lower`).

Not here: how the graph is fused, and how it is written to bytes.
"""
