# SPDX-License-Identifier: MIT
"""The reproduction suite: tables and figures of "FuseFlow" (ASPLOS'26) through the public pipe.

In processing order: `graphs`, `patterns`, `workloads`, `kernels` and `grow` (what is computed),
`configs` (how it is fused), `cases` (which of both, per size), `stages` (closed-form floors),
`budget` (how long it takes), `runner` (one case becomes one row), `rows` (rows on disk), `paper`
(what was published), `tables` with `speedups`, `sweeps`, `compile_tables` and `catalog`, `plots`,
`claims` and `page` (what is said about it), `driver` (all of it). Measurements, floors and
published numbers never mix: each lives in a module of its own.
"""
