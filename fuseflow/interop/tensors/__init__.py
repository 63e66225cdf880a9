# SPDX-License-Identifier: MIT
"""Tensors in the formats of other tools: files of text, NumPy and SciPy archives, directories."""
