"""`python -m acepot.cli` is `acepot`."""

import sys

from acepot.cli.main import main

sys.exit(main())
