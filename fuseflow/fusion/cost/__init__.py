# SPDX-License-Identifier: MIT
"""What a program will cost, counted from the structure of its operands."""
