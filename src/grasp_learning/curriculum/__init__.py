"""Staged learning: collect, aggregate and train, stage after stage (paper, section III.D).

``settings`` says what is to be done, ``folder`` where it lies and what is finished, ``machine`` goes through the
steps, ``tools`` carries one out as a child process (``child``), ``results`` tells how each stage went.
"""
