# SPDX-License-Identifier: MIT
"""Plans become graphs of streaming primitives."""
