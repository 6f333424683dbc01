"""The stages that need no quality rule: one module per paragraph of the paper."""
