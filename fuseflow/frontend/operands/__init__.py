# SPDX-License-Identifier: MIT
"""Operands that users bind: read from files, merged, checked."""
