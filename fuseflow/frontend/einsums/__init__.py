# SPDX-License-Identifier: MIT
"""OpGraph -> einsums: axes as products of atoms, views, index names."""
