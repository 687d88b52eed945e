"""Run by mergekit's own Python: `merge_with_mergekit.py JOBS`, a JSON list of [configuration, output folder]."""

import json
import sys
from importlib.metadata import version

import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions

OPTIONS = MergeOptions(quiet=True, write_model_card=False, copy_tokenizer=False, random_seed=0)

for path, out in json.loads(open(sys.argv[1], encoding="utf-8").read()):
    with open(path, encoding="utf-8") as file:
        run_merge(MergeConfiguration.model_validate(yaml.safe_load(file)), out, OPTIONS)
print(json.dumps({name: version(name) for name in ("mergekit", "torch", "transformers")}))
