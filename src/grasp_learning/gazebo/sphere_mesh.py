"""The mesh of a sphere of radius 1 m, which scaled stands for the ellipsoids that Gazebo 11 has no shape for."""

from pathlib import Path

import numpy as np

FILE_NAME = "unit_sphere.stl"
RINGS, SEGMENTS = 12, 24  # an ellipsoid of 8 cm is at most 0.7 mm too small


def sphere_triangles() -> np.ndarray:
    """(n, 3, 3) corners of the triangles (m), counter-clockwise as seen from outside."""
    polar = np.linspace(0.0, np.pi, RINGS + 1)[:, None]
    around = np.linspace(0.0, 2.0 * np.pi, SEGMENTS, endpoint=False)
    sine = np.sin(polar)
    sine[-1] = 0.0  # one point at the pole, not many that differ in the last digit
    points = np.stack(np.broadcast_arrays(sine * np.cos(around), sine * np.sin(around), np.cos(polar)), axis=-1)
    upper, lower = points[:-1], points[1:]
    next_upper, next_lower = np.roll(upper, -1, axis=1), np.roll(lower, -1, axis=1)
    first = np.stack([upper, lower, next_lower], axis=-2)
    second = np.stack([upper, next_lower, next_upper], axis=-2)
    # at the poles one of the two triangles has no area
    return np.concatenate([first[:-1].reshape(-1, 3, 3), second[1:].reshape(-1, 3, 3)])


def write_sphere(folder: Path) -> Path:
    """Write the mesh as binary STL into a folder, which is made where it is missing; its path.

    Raises:
        OSError: the folder cannot be written to.
    """
    triangles = sphere_triangles().astype("<f4")
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    facets = np.zeros(len(triangles), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    facets["normal"], facets["corners"] = normals, triangles
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    path.write_bytes(bytes(80) + np.uint32(len(facets)).tobytes() + facets.tobytes())
    return path
