"""All experiments, in the order of the paper."""

from typing import Tuple

from grasp_learning.experiments.accuracies import Aggregation, Gamma, Pretraining, Stages, TableTwo, TrainingSizes
from grasp_learning.experiments.experiment import Experiment
from grasp_learning.experiments.grasp_rates import ClearTable, Reranking, RobotTests, TableOne

EXPERIMENTS: Tuple[Experiment, ...] = (
    TableOne(),
    TableTwo(),
    TrainingSizes(),
    Pretraining(),
    Stages(),
    Aggregation(),
    Gamma(),
    Reranking(),
    RobotTests(),
    ClearTable(),
)
