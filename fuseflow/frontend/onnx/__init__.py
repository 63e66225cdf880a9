# SPDX-License-Identifier: MIT
"""ONNX files -> OpGraph."""
