"""The report of a folder of experiments: one page that needs nothing else, and its figures as PNG.

``sources`` finds what there is, ``headline`` says what it comes to, ``plots``, ``ranked`` and ``examples`` draw,
``sections`` put figures and tables together, ``page`` writes HTML, ``build`` does all of it for a folder.
"""
