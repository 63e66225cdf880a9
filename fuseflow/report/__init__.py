# SPDX-License-Identifier: MIT
"""Views of artifacts for people: tables, lines of figures, pages and drawings."""

from fuseflow.report.summary import describe

__all__ = ["describe"]
