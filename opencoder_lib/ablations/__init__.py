"""The paper's ablations as experiments: which files each arm reads, and how the arms are compared.

This package joins the tools that choose files (corpora, refine, quality, embed) with those that train and judge (train,
evaluate). Each module makes one design; a notebook and `opencoder ablate` run the same one.
"""
