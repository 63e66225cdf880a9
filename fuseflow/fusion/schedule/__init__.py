# SPDX-License-Identifier: MIT
"""What a schedule says, bound to a graph, and the schedule that was followed."""
