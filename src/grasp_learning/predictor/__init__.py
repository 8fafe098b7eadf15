"""Where and at which angle to grasp, as a trained network sees a picture."""
