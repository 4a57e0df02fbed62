"""The binary cxlake, and what Python programs need to run it."""

from cxlake.binary import find_binary

__all__ = ["find_binary"]
