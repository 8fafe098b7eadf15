"""How the simulator differs from the real world; the numbers come from the simulator itself.

docs/simulation.md says the same, and a test keeps the two alike.
"""

from typing import List, Tuple

from grasp_learning.robot_description import GAP_CLOSED, GAP_OPEN
from grasp_learning.sim.cameras import CameraSettings
from grasp_learning.sim.objects import DENSITY_RANGE, FRICTION_RANGE, MASS_RANGE, catalogue
from grasp_learning.sim.world import WorldSettings
from grasp_learning.simulation.simulate import SimulateSettings


def differences() -> List[Tuple[str, str]]:
    """What differs, and what follows from it: a few words and a paragraph for each."""
    train, test = len(catalogue("train")), len(catalogue("test"))
    masses = f"{1000 * MASS_RANGE[0]:.0f} to {1000 * MASS_RANGE[1]:.0f} g"
    densities = f"{DENSITY_RANGE[0]:.0f} to {DENSITY_RANGE[1]:.0f} kg/m³"
    camera = CameraSettings()
    simulated = SimulateSettings.model_fields
    trials, objects = (simulated[name].default for name in ("trials_per_scene", "objects_per_scene"))
    return [
        (
            "Objects",
            f"{train} objects to learn from and {test} held-out ones are put together from boxes, cylinders, capsules, "
            f"ellipsoids and spheres. They are rigid and evenly dense ({densities}, {masses}), with a sliding friction "
            f"of {FRICTION_RANGE[0]} to {FRICTION_RANGE[1]}. Nothing bends, tears, mirrors or is transparent.",
        ),
        (
            "Contacts",
            f"MuJoCo computes them at steps of {1000 * WorldSettings().time_step:g} ms with soft constraints. The "
            "fingertips are boxes without the give of rubber, and friction is Coulomb's, with constants for each "
            "object. How things slip, tip and wedge themselves is less varied than on a table.",
        ),
        (
            "The arm's precision",
            "The camera's pose is known exactly, and the simulated joints arrive where they are sent, but for what "
            "gives way under load. Trials without ROS move the gripper alone, on a carrier that gives way as the arm "
            "does, unless the whole arm was asked for. The paper re-ranks grasps since Baxter's arm is imprecise; an "
            "arm that does not miss leaves less to gain by that.",
        ),
        (
            "Pictures",
            "They are rendered: one lamp, a fill light, plain and patterned surfaces, a table with stains, a blur of "
            f"{camera.blur:g} px and noise of {camera.colour_noise:g} grey levels. The camera does not adjust its "
            "exposure, and nothing mirrors its surroundings. A network that learnt here has not seen a photograph.",
        ),
        (
            "The label",
            "As on the robot, the gripper's force after the lift decides, and the fingers close to a gap of "
            f"{1000 * GAP_CLOSED:.0f} mm and open to {1000 * GAP_OPEN:.0f} mm. The reading has no drift. What the "
            "simulator knows is recorded beside the label, never in its place.",
        ),
        (
            "The table",
            f"Without ROS, other objects are laid out after {trials} trials, "
            f"{objects} at a time, unless told otherwise; what falls off the table is put back. In "
            "the paper people placed the objects, and what rolled off was gone.",
        ),
        (
            "Starting weights",
            "The paper starts from convolutions trained on ImageNet's photographs. Where these are not at hand, "
            "networks start from random ones, or from a pretext task on rendered pictures: the profile's key `start`.",
        ),
    ]
