"""Figures of the book, one module a subject. Each takes frames and returns (figure, alt text); none computes."""
