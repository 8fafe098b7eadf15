"""Training of the grasp network: data, rotation augmentation, the loop (Lightning's), and its command."""
