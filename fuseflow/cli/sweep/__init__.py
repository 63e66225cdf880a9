# SPDX-License-Identifier: MIT
"""Studies: one model under many options, as runs of the three commands that can be resumed."""
