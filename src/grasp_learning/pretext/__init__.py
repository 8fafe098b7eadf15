"""A pretext task: convolutions learn to tell kinds of objects apart on rendered tables, without a single grasp.

The paper starts from ImageNet's convolutions. Where there is neither internet nor a file of them, these are a start
that costs no trials.
"""
