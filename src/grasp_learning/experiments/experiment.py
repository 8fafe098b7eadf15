"""What an experiment is: the steps that it wants, and how its figures follow from them."""

import abc
from typing import ClassVar, List, Optional

from grasp_learning.experiments.findings import Findings
from grasp_learning.experiments.plan import Plan
from grasp_learning.experiments.results import Claim, ExperimentResult, Figure


class Experiment(abc.ABC):
    """One of the paper's experiments.

    Attributes:
        id: one of EXPERIMENT_IDS.
        title: in a few words, with the place in the paper.
        question: a paragraph: what is asked, and how it is answered.
        needs_ros: its steps launch nodes.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]
    needs_ros: ClassVar[bool] = False

    @abc.abstractmethod
    def steps(self, plan: Plan) -> List[str]:
        """Names of the steps whose results it reads; it may add steps of its own to the plan."""

    @abc.abstractmethod
    def figures(self, findings: Findings) -> List[Figure]:
        """Its figures, in the order of a table; the steps have been done."""

    def notes(self, findings: Findings) -> List[str]:
        """Sentences that a reader of the figures has to know."""
        return []

    def claim(self, findings: Findings) -> Optional[Claim]:
        """The paper's claim, judged."""
        return None

    def result(self, findings: Findings, steps: List[str]) -> ExperimentResult:
        """All of it, once the steps have been done.

        Args:
            steps: whose results it reads.
        """
        return ExperimentResult(
            id=self.id,
            title=self.title,
            question=" ".join(self.question.split()),
            figures=self.figures(findings),
            notes=self.notes(findings),
            order=self.claim(findings),
            seconds=round(findings.seconds(steps), 1),
        )
