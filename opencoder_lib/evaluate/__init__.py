"""What a model can do, and whether a difference holds: programs that are run, experiments over paired seeds."""
