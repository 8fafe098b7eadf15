"""Tables with objects as the wrist camera sees them from several places, cut into patches of known kinds.

The simulator knows which object each pixel shows. A patch's class is the kind of the object (a box, a mug, ...) at its
middle, or that there is nothing but table around it. Nothing is grasped, and only objects of the training split are
laid out.

Table s of a pretext task with seed t draws everything from ``SeedSequence([t, s])``, so that its patches are the same
whoever renders it, and when.
"""

import contextlib
import functools
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import cv2
import numpy as np

from grasp_learning.dataset.pictures import cut_patch, encode_patch
from grasp_learning.patches import PatchSettings, patch_side
from grasp_learning.pretext.errors import PretextError
from grasp_learning.pretext.scene_files import encode_scene
from grasp_learning.regions import ArmAreas
from grasp_learning.sim.objects import ObjectSpec, catalogue
from grasp_learning.sim.world import SceneError, SimulationDiverged, World
from grasp_learning.simulation.carrier import SIDE, HandCarrier
from grasp_learning.simulation.floating import FloatingGripper
from grasp_learning.simulation.scene import SimScene
from grasp_learning.trial import ARMS

SPLIT = "train"
NOTHING = "nothing"  # the kind of a patch without an object
OBJECTS = 10  # on a table, each of another kind
MOST_LAYOUTS = 12  # that are tried for one table
APPROACH_HEIGHT = 0.25  # m, of the fingertips above the table, as in a trial
HEIGHT_SPREAD = 0.01  # m; a measured table and a moving arm are never exact
OFFSET = 0.08  # m; the hand is so far at most from above the object that it visits, along x and along y
BETWEEN_VIEWS = 60.0  # s, in which the light drifts
EMPTY_EVERY = 4  # views, so that there are about as many empty patches as ones of a kind
LEAST_PIXELS = 400  # of an object in a picture, of some 4,000 that a small one has
EDGE = 5  # px that a patch's middle is inside its object's outline, at least
EMPTY_RADIUS = 0.25  # of a patch's half side: so far around its middle an empty patch shows the table alone

# Owners of pixels that are no object's number
_OTHER, _TABLE = -1, -2


@functools.lru_cache(maxsize=None)
def objects_by_kind() -> Dict[str, Tuple[ObjectSpec, ...]]:
    """The objects that may be laid out."""
    kinds: Dict[str, List[ObjectSpec]] = {}
    for spec in catalogue(SPLIT):
        kinds.setdefault(spec.category, []).append(spec)
    return {kind: tuple(specs) for kind, specs in sorted(kinds.items())}


def kinds() -> Tuple[str, ...]:
    """The classes, in their order."""
    return (*objects_by_kind(), NOTHING)


@dataclass(frozen=True)
class ScenePlan:
    """What all tables of a pretext task share.

    Attributes:
        seed: of the task.
        views: pictures of each table.
    """

    seed: int
    views: int


@dataclass(frozen=True)
class SceneJob:
    """A table that is to be rendered."""

    scene: int

    def __str__(self) -> str:
        return f"scene {self.scene}"


@dataclass(frozen=True)
class SceneSetup:
    """Makes the function that renders tables; is called in a worker's process."""

    plan: ScenePlan

    def __call__(self) -> Callable[[SceneJob, Callable[[], None]], bytes]:
        """The function of a table's job."""
        return lambda job, between: render_scene(self.plan, job.scene, between)


def render_scene(plan: ScenePlan, scene: int, between: Callable[[], None] = lambda: None) -> bytes:
    """The patches of a table, as a file.

    Args:
        between: called before each picture.

    Raises:
        PretextError: no layout of the objects came to rest.
        RenderingError: pictures cannot be made on this machine.
    """
    problem: Optional[Exception] = None
    for layout in range(MOST_LAYOUTS):
        sequence = np.random.SeedSequence([plan.seed, scene], spawn_key=(layout,))
        scene_seed, draw_seed = (int(value) for value in sequence.generate_state(2))
        rng = np.random.default_rng(draw_seed)
        objects = draw_objects(rng)
        try:
            with contextlib.closing(SimScene(scene_seed, objects, robot=HandCarrier())) as table:
                table.scatter()
                rows = [row for view in range(plan.views) for row in _look(table, objects, view, rng, between)]
            return encode_scene(rows, scene)
        except (SceneError, SimulationDiverged) as error:
            problem = error
    raise PretextError(f"scene {scene}: none of {MOST_LAYOUTS} layouts can be used, the last one: {problem}")


def draw_objects(rng: np.random.Generator) -> List[ObjectSpec]:
    """Objects of one table, each of another kind, so that kinds with few objects are shown as often as others."""
    pools = list(objects_by_kind().values())
    chosen = rng.choice(len(pools), OBJECTS, replace=False)
    return [pools[index][rng.integers(len(pools[index]))] for index in chosen]


def _look(
    table: SimScene, objects: List[ObjectSpec], view: int, rng: np.random.Generator, between: Callable[[], None]
) -> Iterator[Dict[str, Any]]:
    """Patches of one picture: one of each object that it shows, and now and then an empty one."""
    between()
    world = table.world
    world.data.time += BETWEEN_VIEWS
    # nothing on the table moves: only the hand is elsewhere
    FloatingGripper(world).jump(_viewpoint(world, world.object_names[view % len(objects)], rng))
    picture, owners = table.wrist_picture(SIDE), _owners(world)[table.wrist_geoms(SIDE)]
    height = float(table.wrist_pose(SIDE)[2, 3] - world.table.z)
    side = patch_side(PatchSettings(), table.wrist_camera(SIDE), height)
    for index, spec in enumerate(objects):
        place = _place_on(owners == index, side, EDGE, rng)
        if place is not None:
            yield _row(picture, place, side, view, spec.category, spec.name)
    if view % EMPTY_EVERY == 0:
        place = _place_on(owners == _TABLE, side, round(EMPTY_RADIUS * side / 2), rng)
        if place is not None:
            yield _row(picture, place, side, view, NOTHING, "")


def _viewpoint(world: World, name: str, rng: np.random.Generator) -> np.ndarray:
    """(4,) joints of a hand that looks down near an object, within the area of the arm whose half it is."""
    x, y = world.object_poses()[name][:2, 3] + rng.uniform(-OFFSET, OFFSET, 2)
    area = ArmAreas().of(ARMS[0] if y > 0 else ARMS[1])
    z = world.table.z + APPROACH_HEIGHT + rng.uniform(-HEIGHT_SPREAD, HEIGHT_SPREAD)
    yaw = rng.uniform(-np.pi, np.pi)
    return np.array([np.clip(x, area.x_min, area.x_max), np.clip(y, area.y_min, area.y_max), z, yaw])


def _owners(world: World) -> np.ndarray:
    """(number of geoms + 1,) whose a geom is: an object's number, the table's or another's; the last is nobody's."""
    model = world.model
    owners = np.full(model.ngeom + 1, _OTHER, np.int16)
    owners[model.geom("table").id] = _TABLE
    for index, name in enumerate(world.object_names):
        owners[:-1][model.geom_bodyid == model.body(name).id] = index
    return owners


def _place_on(shown: np.ndarray, side: int, margin: int, rng: np.random.Generator) -> Optional[Tuple[int, int]]:
    """A random pixel (u, v) of what is shown (rows, columns), where a patch fits into the picture.

    Args:
        side: of the patch (px).
        margin: from the pixel to the border of what is shown (px), at least.

    Returns:
        None where too little is shown.
    """
    half = side // 2 + 1
    if np.count_nonzero(shown[half:-half, half:-half]) < LEAST_PIXELS:
        return None
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    inside = cv2.erode(shown.astype(np.uint8), kernel)[half:-half, half:-half]
    rows, columns = np.nonzero(inside)
    if not len(rows):
        return None
    chosen = rng.integers(len(rows))
    return int(columns[chosen]) + half, int(rows[chosen]) + half


def _row(picture: np.ndarray, place: Tuple[int, int], side: int, view: int, kind: str, name: str) -> Dict[str, Any]:
    u, v = place
    patch = encode_patch(cut_patch(picture, u, v, side))
    return {"patch": patch, "kind": kind, "object": name, "view": view, "u": u, "v": v, "patch_size": side}
