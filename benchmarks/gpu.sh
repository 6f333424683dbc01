#!/bin/sh
# Training on one accelerator, measured in about ten minutes: tokens a second and MFU of the OpenCoder 1.5B shape and of
# the cookbook's base model, beside transformers.Trainer; settings compared; an exact resume; chapter 10's gpu profile.
#
#   sh benchmarks/gpu.sh                        results in $OUT, or in build/benchmarks
#   sh benchmarks/gpu.sh --minutes 20           try more settings
#   sh benchmarks/gpu.sh --list                 the parts and their order; --only NAME... runs some of them
#   sh benchmarks/gpu.sh --device cpu --tiny    rehearse without an accelerator
#
# Needs Python 3.11 with torch and transformers, and nothing from a network; accelerate for Trainer where it is there.
set -eu
cd "$(dirname "$0")/.."
PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false
exec "${PYTHON:-python3}" benchmarks/gpu.py "$@"
