"""Documents as points: encoders, and what the cloud of points says about a corpus."""
