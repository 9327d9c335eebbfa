"""Print what an Airflow needs to use this distribution: ``python -m keystone_rollout``."""

import sys

from keystone_rollout.cli.settings import main

sys.exit(main())
