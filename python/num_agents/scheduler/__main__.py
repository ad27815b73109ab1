"""``python -m num_agents.scheduler``: the command line."""

import sys

from num_agents.scheduler.cli import main

if __name__ == "__main__":
    sys.exit(main())
