# SPDX-License-Identifier: MIT
"""Loop orders: what storage demands, the search, counts and lists."""
