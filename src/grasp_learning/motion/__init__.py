"""Motions of the arms: kinematics, collision checks, planning and timing."""
