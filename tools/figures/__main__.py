# SPDX-License-Identifier: MIT
"""`python -m tools.figures`: see `driver`."""

import sys

from tools.figures.driver import main

if __name__ == "__main__":
    sys.exit(main())
