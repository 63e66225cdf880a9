# SPDX-License-Identifier: MIT
"""See net.pxd."""
