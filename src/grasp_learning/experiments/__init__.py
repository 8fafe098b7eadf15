"""The paper's experiments (section IV), each with its figures beside the paper's.

``profile`` says how much of everything, ``steps`` names what has to be done and in which order, ``runner`` does it
and goes on where it stopped, ``assembly`` computes each experiment's figures from the files of its steps, ``results``
is what a report reads.
"""
