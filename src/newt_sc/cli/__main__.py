"""``python -m newt_sc.cli``."""

from __future__ import annotations

import sys

from newt_sc.cli import main

sys.exit(main())
