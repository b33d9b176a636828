"""Run the command line as `python -m sklrank`."""

import sys

from sklrank._cli import main

if __name__ == "__main__":
    sys.exit(main())
