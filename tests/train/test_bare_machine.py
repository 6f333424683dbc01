import subprocess
import sys

PROGRAM = """
import sys
for name in ("polars", "pyarrow", "scipy", "tensorboard", "IPython", "matplotlib", "sklearn", "pandas"):
    sys.modules[name] = None  # importing it raises
import importlib, pkgutil
import opencoder_lib.train
for found in pkgutil.walk_packages(opencoder_lib.train.__path__, "opencoder_lib.train."):
    importlib.import_module(found.name)
from opencoder_lib.train import loop, model, optim, packing, perplexity, schedule, tokenizer
text = "def add(left, right):\\n    return left + right\\n"
bpe = tokenizer.train_tokenizer([text], 270)
tokens = packing.pack([text] * 8, bpe)
shape = model.Shape(vocab=270, hidden=16, layers=1, heads=2, kv_heads=2, ffn=24, context=8, tied=True)
plan = schedule.WSD(num_steps=3, num_warmup=1, num_decay=1, peak=0.01, final=0.001)
held_out = perplexity.hold_out([text], bpe, 8)
run = loop.train(loop.start_run(model.build_model(shape, 0)), tokens, plan, loop.Feed(2, 8, 0), held_out=held_out)
print(run.step, sorted(run.log[0]))
"""


def test_training_needs_no_table_plot_or_notebook_package():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "3 ['gradient_norm', 'learning_rate', 'loss', 'step', 'tokens']\n"
