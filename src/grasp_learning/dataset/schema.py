"""What a dataset's Parquet files hold: one row a labelled patch (docs/data_format.md, "Dataset").

A row's patch is larger than what the network sees, so that it can be turned by any angle without empty corners: the
network's patch, NETWORK_SIDE px, lies in the middle of a stored one of STORED_SIDE px, which is its diagonal.
"""

import math
from typing import Dict, Optional

import pyarrow as pa
from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.patches import NETWORK_SIDE

FORMAT = 1
PATCH_MARGIN = math.sqrt(2)  # a square that is turned needs its diagonal
STORED_SIDE = 322  # px: the diagonal of NETWORK_SIDE, rounded up to an even number
INNER_RATIO = NETWORK_SIDE / STORED_SIDE  # of a stored patch with margin: the network's part of its side
JPEG_QUALITY = 95
# the camera's height differs by a few millimetres from trial to trial, a patch's side by a pixel; another footprint,
# scale or forced size differs by more
SPAN_TOLERANCE = 0.03

# a row is of one split; "unused" rows are those that balancing took out of a test set
TRAIN, VALIDATION, TEST_SEEN, TEST_NOVEL, UNUSED = "train", "validation", "test_seen", "test_novel", "unused"
SPLITS = (TRAIN, VALIDATION, TEST_SEEN, TEST_NOVEL)
TEST_SPLITS = (TEST_SEEN, TEST_NOVEL)

_FIELDS = (
    ("trial_id", pa.string(), False),  # "<collection>/<number, six digits>"
    ("patch", pa.binary(), False),  # JPEG, STORED_SIDE x STORED_SIDE
    ("angle", pa.float64(), False),  # closing direction in the patch (x right, y down), rad, in [0, pi)
    ("bin", pa.int8(), False),  # geometry.angle_to_bin(angle)
    ("label", pa.int8(), False),  # 1: the gripper held something
    ("stage", pa.int16(), False),  # of the curriculum; 0 for random trials
    ("arm", pa.string(), False),  # "" where it is not known
    ("split", pa.string(), False),
    ("source", pa.string(), False),  # name of the collection, or "released"
    ("mode", pa.string(), False),
    ("model_sha256", pa.string(), False),  # of the model that chose the grasp, "" for none
    ("sampler", pa.string(), False),
    ("score", pa.float64(), True),  # the model's probability of success
    ("objects", pa.list_(pa.string()), True),  # near the grasp, nearest first; null where not known
    ("object", pa.string(), True),  # the nearest one
    ("scene", pa.string(), True),  # trials with one scene share a layout of the table, or a stretch of time
    ("truth_held", pa.bool_(), True),  # what a simulator knew; never the label
    ("u", pa.float64(), True),  # grasp point in the approach picture (px)
    ("v", pa.float64(), True),
    ("patch_size", pa.int32(), True),  # side of the network's patch in the approach picture (px)
    ("margin", pa.bool_(), False),  # false: all of the patch is the network's, nothing was kept around it
)
SCHEMA = pa.schema([pa.field(name, kind, nullable=nullable) for name, kind, nullable in _FIELDS])
# the columns without which nothing can be trained
REQUIRED = ("trial_id", "patch", "angle", "bin", "label", "stage", "split")

FORMAT_KEY, GEOMETRY_KEY, PLAN_KEY, DAMAGED_KEY = (
    f"grasp_learning.{key}".encode() for key in ("format", "geometry", "plan", "damaged")
)


class PatchGeometry(Settings):
    """What a network's patch shows; patches of different geometries are not mixed.

    Attributes:
        span: side of the network's patch at a distance of 1 m from the camera (m): its side in the picture over the
            focal length, both in px. At the default pose, 0.39 m above the table, 0.467 is 1.5 times the gripper's
            0.122 m. 0 where it is not known, as of the released data.
        patch_size: its side in the picture (px), of the first trial; 0 where it is not known.
    """

    span: float = Field(0.0, ge=0)
    patch_size: int = Field(0, ge=0)

    def agrees(self, other: "PatchGeometry") -> bool:
        """Whether both show the same, a trial's height differing a little; what is not known agrees with all."""
        if not self.span or not other.span:
            return True
        return abs(self.span / other.span - 1) <= SPAN_TOLERANCE


def file_metadata(geometry: PatchGeometry, more: Optional[Dict[str, str]] = None) -> Dict[bytes, bytes]:
    """Metadata of a Parquet file of a dataset: its format, what its patches are, and what the caller adds."""
    values = {
        "format": str(FORMAT),
        "stored_side": str(STORED_SIDE),
        "network_side": str(NETWORK_SIDE),
        "jpeg_quality": str(JPEG_QUALITY),
        "geometry": geometry.model_dump_json(),
        **(more or {}),
    }
    return {f"grasp_learning.{key}".encode(): value.encode() for key, value in values.items()}
