# SPDX-License-Identifier: MIT
"""Message passing of graph networks: gathers and scatters become products with sparse matrices."""
