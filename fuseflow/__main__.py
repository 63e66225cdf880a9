# SPDX-License-Identifier: MIT
"""`python -m fuseflow COMMAND ...` is COMMAND, also where the scripts are not on the path."""

import sys

from fuseflow.cli.start import main

sys.exit(main())
