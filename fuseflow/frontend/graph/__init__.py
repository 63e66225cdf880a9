# SPDX-License-Identifier: MIT
"""OpGraph, the vocabulary that all sources share, and its rewrites."""
