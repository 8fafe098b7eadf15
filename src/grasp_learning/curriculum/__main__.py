"""`python -m grasp_learning.curriculum`, where there is no rosrun."""

import sys

from grasp_learning.curriculum.main import main

sys.exit(main())
