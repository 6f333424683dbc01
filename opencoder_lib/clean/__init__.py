"""`opencoder clean`: the refining stages and the quality filter over a laptop folder or a cluster's corpus."""
