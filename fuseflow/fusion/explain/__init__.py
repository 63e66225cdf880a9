# SPDX-License-Identifier: MIT
"""Decisions in words."""
