# SPDX-License-Identifier: MIT
"""How tensors are stored: whose word counts, formats, block structure, the sidecar."""
