# SPDX-License-Identifier: MIT
"""The reproduction suite: tables and figures of "FuseFlow" (ASPLOS'26) through the public pipe.

In processing order: `graphs` and `workloads` (what is computed), `configs` (how it is fused),
`cases` (which of both, per size), `stages` (closed-form floors), `runner` (one case becomes one
row), `rows` (rows on disk), `paper` (what was published), `tables`, `driver` (all of it).
Measurements, floors and published numbers never mix: each lives in a module of its own.
"""
