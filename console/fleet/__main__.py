"""`python -m console.fleet DIR`: the process that `warroom fleet start` becomes."""

import sys
from pathlib import Path

from console.fleet.yard import main

main(Path(sys.argv[1]))
