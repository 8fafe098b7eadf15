"""Imports OMPL's Python wheel in a way that lets the process exit cleanly; import it from here alone."""

import ompl

# The wheel (1.7.0) loads its libraries a second time through ctypes, and at exit the two copies free the same memory
# ("double free or corruption", SIGABRT). The first copy is all that is needed.
ompl.dll_loader = lambda library, path: None

from ompl import base, geometric, util  # noqa: E402

__all__ = ["base", "geometric", "util"]
