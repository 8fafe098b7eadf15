"""How good methods are at telling which grasps hold: one test for the network, the baselines and a user's own."""
