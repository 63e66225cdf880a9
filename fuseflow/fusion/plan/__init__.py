# SPDX-License-Identifier: MIT
"""One group becomes one plan: a loop order, storage, and the dataflow graph."""
