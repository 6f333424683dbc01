"""The Open Cookbook's library: the system of the OpenCoder paper (arXiv 2411.04905), stage by stage."""

__version__ = "0.1.0"

MB = 10**6
GB = 10**9
