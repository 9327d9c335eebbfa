"""Run the command line: ``python -m production``."""

import sys

from production.cli import main

sys.exit(main())
