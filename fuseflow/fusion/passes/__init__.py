# SPDX-License-Identifier: MIT
"""The passes of the stage, what each leaves behind."""
