"""`python -m acepot` is `acepot`."""

import sys

from acepot.cli.main import main

sys.exit(main())
