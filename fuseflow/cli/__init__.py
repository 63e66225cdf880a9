# SPDX-License-Identifier: MIT
"""The commands: each reads one artifact, calls one stage, writes one artifact.

Nothing below this package talks to the user. The modules here import the stages inside functions,
so that `--help` loads nothing of them.
"""
