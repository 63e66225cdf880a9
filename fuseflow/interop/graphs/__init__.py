# SPDX-License-Identifier: MIT
"""Dataflow graphs of other tools on their way into a program, whatever format they came in.

In processing order: `draft` (nodes and wires as they were read), `nesting` (index tuples),
`references` (tensors and levels), `results` (what writers write), `program` (all together).
"""
