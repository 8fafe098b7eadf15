"""Settings of a predictor; config/grasp_predictor.yaml has the same keys."""

from typing import Literal

from pydantic import Field

from grasp_learning.config import Settings
from grasp_learning.predictor.places import PlaceSettings


class DenseSettings(Settings):
    """The dense path, which runs the convolutions once over the whole picture.

    Attributes:
        refinement: maps of features, each shifted by a fraction of the network's stride of 16 px of its input, in each
            direction: 1 looks at the nearest place 16 px apart, 2 at the nearest 8 px apart for four times the
            convolutions.
        rescored: so many of the best places are evaluated again, exactly; only they are ranked.
    """

    refinement: Literal[1, 2, 4] = 1
    rescored: int = Field(32, ge=1, le=10_000)


class RerankSettings(Settings):
    """Re-ranking by neighbourhoods (paper, section IV.F).

    Attributes:
        enabled: whether `predict` does it when the caller does not say.
        top: so many of the best places.
        neighbours: drawn around each of them.
        radius: of the neighbourhood (px of the picture); 8 px are 4 mm at the approach pose.
    """

    enabled: bool = False
    top: int = Field(10, ge=1, le=1000)
    neighbours: int = Field(10, ge=1, le=1000)
    radius: float = Field(8.0, gt=0, le=200)


class PredictorSettings(Settings):
    """How a picture becomes ranked grasps.

    Attributes:
        places: see PlaceSettings.
        path: "dense", or "exact": each patch through the network by itself.
        dense: see DenseSettings.
        precision: "bf16" computes in 16 bits, "fp32" in 32; "auto" takes bf16 where the processor has instructions
            for it.
        batch: patches at a time on the exact path.
        count: grasps in the ranked list.
        min_distance: between the points of two ranked grasps (px); 0 for none.
        importance_top: importance sampling draws among so many of the matrix' best entries, as the released code
            does; 0 draws among all, as the paper does.
        smoothing: average each angle with its two neighbours, [0.25, 0.5, 0.25], as the released code does.
        rerank: see RerankSettings.
    """

    places: PlaceSettings = PlaceSettings()
    path: Literal["dense", "exact"] = "dense"
    dense: DenseSettings = DenseSettings()
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    batch: int = Field(32, ge=1, le=4096)
    count: int = Field(10, ge=1, le=10_000)
    min_distance: float = Field(0.0, ge=0)
    importance_top: int = Field(20, ge=0)
    smoothing: bool = False
    rerank: RerankSettings = RerankSettings()
