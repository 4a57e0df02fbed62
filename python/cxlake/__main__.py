"""`python -m cxlake`: the binary."""

import os
import sys

from cxlake.binary import find_binary

if __name__ == "__main__":
    binary = find_binary()
    os.execv(binary, [binary, *sys.argv[1:]])
