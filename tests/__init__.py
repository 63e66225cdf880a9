"""The tests mirror the package: ``tests/ir`` tests ``fuseflow/ir``, and so on."""
