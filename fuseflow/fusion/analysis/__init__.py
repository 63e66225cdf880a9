# SPDX-License-Identifier: MIT
"""What a plan is made from: fills, views, loop nests, visited coordinates, expected counts."""
