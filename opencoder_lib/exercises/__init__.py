"""Small programming exercises made by program: families of one-line functions with a task, an answer and test cases.

for_training = draw(400, seed=0)                       # families that are shown, instances of the training side
to_ask = draw(300, seed=0, split="test")               # the same families, instances that training never sees
unseen = draw(100, seed=0, split="test", families=held_out_families())

A model of one million parameters can learn them in a minute, so an execution-based score exists at toy size. What the
score says of such a model holds for these families, not for programming.
"""

from opencoder_lib.exercises.draw import FAMILIES, HELD_OUT, draw, held_out_families, seen_families
from opencoder_lib.exercises.family import Exercise, Family

__all__ = ["FAMILIES", "HELD_OUT", "Exercise", "Family", "draw", "held_out_families", "seen_families"]
