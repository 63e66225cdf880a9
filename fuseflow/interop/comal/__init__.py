# SPDX-License-Identifier: MIT
"""Formats of other tools: dataflow graphs and tensors in, dataflow graphs and tensors out."""
