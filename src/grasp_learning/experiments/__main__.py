"""`python -m grasp_learning.experiments`, where there is no rosrun."""

import sys

from grasp_learning.experiments.main import main

sys.exit(main())
