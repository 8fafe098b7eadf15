"""The simulated workcell: world, objects, cameras, and Baxter's servos and grippers."""
