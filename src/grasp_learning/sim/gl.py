"""An OpenGL context without a display: EGL where it works, else OSMesa."""

import ctypes
import importlib
import os
import sys
from typing import Dict, Tuple, Type

_LIBRARIES: Dict[str, Tuple[str, ...]] = {
    "egl": ("libEGL.so.1", "libEGL.so"),
    "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so"),
}
_PACKAGES = {"egl": "libegl1", "osmesa": "libosmesa6"}


class RenderingError(RuntimeError):
    """Pictures cannot be made; the message says why and what to do."""


def create_context(width: int, height: int):
    """A context that can draw pictures of up to this size (px), current in the calling thread.

    The environment variable MUJOCO_GL (egl or osmesa) decides where it is set; else both are tried.

    Returns:
        One of MuJoCo's ``GLContext`` objects; ``free()`` it in the same thread.

    Raises:
        RenderingError: neither works; the message names the packages.
    """
    wanted = os.environ.get("MUJOCO_GL", "").strip().lower()
    backends = [wanted] if wanted in _LIBRARIES else list(_LIBRARIES)
    failures = []
    for backend in backends:
        try:
            return _open(backend, width, height)
        # a driver that is there but broken fails in many ways, all of which mean: try the next one
        except (OSError, ImportError, AttributeError, RuntimeError, *_opengl_errors()) as error:
            failures.append(f"{backend}: {error}")
            _forget(backend)
    if wanted in _LIBRARIES:
        os.environ["MUJOCO_GL"] = wanted
    packages = " or ".join(_PACKAGES[backend] for backend in backends)
    raise RenderingError(f"no OpenGL without a display; install {packages}. Tried {'; '.join(failures)}")


def _open(backend: str, width: int, height: int):
    _check_library(backend)
    # MuJoCo's library reads this to find OpenGL's functions
    os.environ["MUJOCO_GL"] = backend
    os.environ["PYOPENGL_PLATFORM"] = backend
    context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
    context.make_current()
    return context


def _check_library(backend: str) -> None:
    """Raise OSError where the system's library is absent, before PyOpenGL binds itself to it for good."""
    for name in _LIBRARIES[backend]:
        try:
            ctypes.CDLL(name)
            return
        except OSError:
            continue
    raise OSError(f"{_LIBRARIES[backend][0]} is not installed (package {_PACKAGES[backend]})")


def _opengl_errors() -> Tuple[Type[Exception], ...]:
    """PyOpenGL's own exceptions; importing it for their sake would bind it to a platform too early."""
    module = sys.modules.get("OpenGL.error")
    return (module.Error,) if module else ()


def _forget(backend: str) -> None:
    """Undo what a failed attempt left behind, so that the next one starts clean."""
    for variable in ("MUJOCO_GL", "PYOPENGL_PLATFORM"):
        os.environ.pop(variable, None)
    for name in list(sys.modules):
        if name.split(".")[0] == "OpenGL" or name.startswith(f"mujoco.{backend}"):
            del sys.modules[name]
