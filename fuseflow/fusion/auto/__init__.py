# SPDX-License-Identifier: MIT
"""The search behind `strategy auto`."""
