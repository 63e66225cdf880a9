# SPDX-License-Identifier: MIT
"""Dataflow graphs of the Sparse Abstract Machine, as its compiler draws them (.gv files).

In processing order: `dot` (text), `graph` (nodes and links between ports), `rewrites` (what that
compiler spells differently), `nodes` (primitives of ours), `importer` (a program).
"""
