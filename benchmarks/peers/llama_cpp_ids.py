"""llama.cpp's own token ids, for tokenizers_agree.py. Needs `llama-cpp-python` in the Python that runs it.

`python llama_cpp_ids.py VOCABULARY.gguf TEXTS.jsonl OUT`: a JSON string a line; the ids of all go to OUT/ids.bin and
the number of each text's to OUT/lengths.bin, both int64. Prints the CPU seconds of cutting the text.
"""

from __future__ import annotations

import array
import json
import sys
import time
from pathlib import Path

import llama_cpp.llama_cpp as llama


@llama.llama_log_callback
def _silent(level, text, data):
    pass


def open_vocabulary(file: str):
    llama.llama_log_set(_silent, None)
    llama.llama_backend_init()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    model = llama.llama_model_load_from_file(file.encode(), params)
    if not model:
        sys.exit(f"llama.cpp does not read {file}")
    return llama.llama_model_get_vocab(model)


def main(file: str, texts: str, out: Path) -> float:
    vocabulary = open_vocabulary(file)
    ids, lengths = array.array("q"), array.array("q")
    seconds = 0.0
    with open(texts, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            raw = json.loads(line).encode()
            found = (llama.llama_token * (len(raw) + 2))()
            clock = time.process_time()
            # Neither is BOS added nor are the names of special tokens read as such.
            count = llama.llama_tokenize(vocabulary, raw, len(raw), found, len(found), False, False)
            seconds += time.process_time() - clock
            if count < 0:
                sys.exit(f"llama.cpp gives an error on {line[:80]}")
            ids.extend(found[:count])
            lengths.append(count)
    (out / "ids.bin").write_bytes(ids.tobytes())
    (out / "lengths.bin").write_bytes(lengths.tobytes())
    return seconds


if __name__ == "__main__":
    print(f"cpu_seconds {main(sys.argv[1], sys.argv[2], Path(sys.argv[3])):.3f}")
