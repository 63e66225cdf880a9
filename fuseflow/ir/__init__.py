# SPDX-License-Identifier: MIT
"""The data of fuseflow: tensors, einsum graphs, dataflow programs, reports, and their rules."""
