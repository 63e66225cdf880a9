# SPDX-License-Identifier: MIT
"""The twin: every primitive as one readable per-token rule in pure Python, the oracle."""
