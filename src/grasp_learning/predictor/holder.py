"""The predictor that serves now, and how another one takes its place without a gap."""

import threading
from pathlib import Path
from typing import Optional, Union

from grasp_learning.predictor.predictor import Predictor
from grasp_learning.predictor.settings import PredictorSettings


class PredictorHolder:
    """Serves one model until another one is ready; for several threads.

    Who is in the middle of a prediction keeps the predictor it took and finishes with it.

    Args:
        path: file of the first model.

    Raises:
        CheckpointError: it cannot be used.
    """

    def __init__(self, path: Union[str, Path], settings: Optional[PredictorSettings] = None):
        self._settings = settings or PredictorSettings()
        self._loading = threading.Lock()
        self._predictor = Predictor(path, self._settings)

    @property
    def predictor(self) -> Predictor:
        """The one that serves now. Take it once for each question."""
        return self._predictor

    def load(self, path: Union[str, Path]) -> Predictor:
        """Serve another model from now on; questions are answered by the old one meanwhile. Loads wait for each other.

        Raises:
            CheckpointError: it cannot be used; the old one goes on serving.
        """
        with self._loading:
            self._predictor = Predictor(path, self._settings)
            return self._predictor
