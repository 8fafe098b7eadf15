"""Measuring a workcell: where the Kinect is, how the wrist cameras are mounted, how high the table is."""
