"""Pre-training: tokenizer, packing, model, schedule, optimizers, loop, held-out bits per byte.

These modules need torch, transformers, tokenizers, numpy and safetensors only, so they run as they are on a bare
accelerator machine.
"""
