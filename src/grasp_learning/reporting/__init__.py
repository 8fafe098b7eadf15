"""The report of a folder of experiments: one page that needs nothing else, and its figures as PNG.

``sources`` finds what there is, ``headline`` says what it comes to, ``plots`` and ``mosaic`` draw, ``page`` writes
HTML, ``build`` does all of it for a folder; the other modules put one section or table of the page together each.
"""
