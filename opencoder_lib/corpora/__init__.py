"""Where files come from. Every source returns a `Collection`: a file frame and an account of what was not taken."""
