"""`python -m hub`, the same as `edge-hub`."""

import sys

from hub.cli import main

sys.exit(main())
