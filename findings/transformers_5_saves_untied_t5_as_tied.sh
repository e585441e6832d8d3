#!/usr/bin/env bash
# transformers 5.24.0 overrides what one asks of a T5: T5Config(tie_word_embeddings=False) HAS tie_word_embeddings
# True, and save_pretrained writes true into config.json; that the decoder's output must not be scaled goes into a new
# key, scale_decoder_outputs (and for mT5 into no key at all). So a config.json of an untied model (flan-t5, t5-v1.1,
# mT5), loaded and saved again by version 5, says "tied" to every reader that knows the key as it has been since T5
# came out. transformers 4.57.6 is one: it reads True, without a warning, ties lm_head to the embedding and multiplies
# the decoder's output by d_model ** -0.5: another model. Other readers (converters, runtimes outside Python) read alike.
# Whom it hurts: who fine-tunes flan-t5 with version 5 and hands the folder to version 4 or to a runtime of his own.
# Expected: False is kept, or version 5 raises or warns; Switch Transformers and Llama, beside it, keep it.
# What helps: read scale_decoder_outputs first, where it is there, and look in the weights for a lm_head of its own.
# Seen with transformers 5.24.0 and 4.57.6 from PyPI (no PyTorch needed), Python 3.11, on 2026-11-30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error
for requirement in transformers==4.57.6 transformers==5.24.0; do
  version=${requirement#*==}
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install -qq "$requirement"
done
cat > "$folder/save.py" <<'PYTHON'
import json, pathlib, sys
import transformers

print("transformers", transformers.__version__, "is asked for tie_word_embeddings=False:")
for name in ("T5", "MT5", "UMT5", "LongT5", "SwitchTransformers", "Llama"):
    folder = pathlib.Path(sys.argv[1], name)
    config = getattr(transformers, f"{name}Config")(tie_word_embeddings=False)
    config.save_pretrained(folder)
    saved = json.loads((folder / "config.json").read_text())
    keys = {key: saved.get(key, "absent") for key in ("tie_word_embeddings", "scale_decoder_outputs")}
    print(f"  {name + 'Config':26} has {config.tie_word_embeddings!s:5}, saves {keys}")
PYTHON
cat > "$folder/read.py" <<'PYTHON'
import sys
import transformers

for path in sys.argv[1:]:
    config = transformers.T5Config.from_pretrained(path)
    print(f"  transformers {transformers.__version__} reads tie_word_embeddings", config.tie_word_embeddings)
PYTHON
old="$folder/4.57.6/bin/python" new="$folder/5.24.0/bin/python"
run() { "$@" 2>"$folder/errors" || { cat "$folder/errors" >&2; return 1; }; }
{
  run "$old" "$folder/save.py" "$folder/by4"
  run "$new" "$folder/save.py" "$folder/by5"
  echo "T5's folder saved by 4.57.6, and the one saved by 5.24.0:"
  run "$old" "$folder/read.py" "$folder/by4/T5" "$folder/by5/T5"
  run "$new" "$folder/read.py" "$folder/by4/T5" "$folder/by5/T5"
  echo "places in 4.57.6's modeling_t5.py that scale the decoder's output if tied:" \
    "$(grep -A3 'if self.config.tie_word_embeddings:' "$folder"/4.57.6/lib/python3*/site-packages/transformers/models/t5/modeling_t5.py | grep -c 'model_dim\*\*-0.5')"
} | tee "$folder/seen"
cat > "$folder/expected" <<'TEXT'
transformers 4.57.6 is asked for tie_word_embeddings=False:
  T5Config                   has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
  MT5Config                  has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
  UMT5Config                 has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
  LongT5Config               has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
  SwitchTransformersConfig   has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
  LlamaConfig                has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
transformers 5.24.0 is asked for tie_word_embeddings=False:
  T5Config                   has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
  MT5Config                  has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': 'absent'}
  UMT5Config                 has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
  LongT5Config               has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
  SwitchTransformersConfig   has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
  LlamaConfig                has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
T5's folder saved by 4.57.6, and the one saved by 5.24.0:
  transformers 4.57.6 reads tie_word_embeddings False
  transformers 4.57.6 reads tie_word_embeddings True
  transformers 5.24.0 reads tie_word_embeddings True
  transformers 5.24.0 reads tie_word_embeddings True
TEXT
if ! diff "$folder/expected" <(head -n "$(wc -l <"$folder/expected")" "$folder/seen"); then
  echo "THE BEHAVIOUR HAS CHANGED" >&2
  exit 1
fi
echo "expected: False throughout; seen: as described"

# Output seen:
# transformers 4.57.6 is asked for tie_word_embeddings=False:
#   T5Config                   has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
#   MT5Config                  has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
#   UMT5Config                 has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
#   LongT5Config               has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
#   SwitchTransformersConfig   has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
#   LlamaConfig                has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
# transformers 5.24.0 is asked for tie_word_embeddings=False:
#   T5Config                   has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
#   MT5Config                  has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': 'absent'}
#   UMT5Config                 has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
#   LongT5Config               has True , saves {'tie_word_embeddings': True, 'scale_decoder_outputs': False}
#   SwitchTransformersConfig   has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
#   LlamaConfig                has False, saves {'tie_word_embeddings': False, 'scale_decoder_outputs': 'absent'}
# T5's folder saved by 4.57.6, and the one saved by 5.24.0:
#   transformers 4.57.6 reads tie_word_embeddings False
#   transformers 4.57.6 reads tie_word_embeddings True
#   transformers 5.24.0 reads tie_word_embeddings True
#   transformers 5.24.0 reads tie_word_embeddings True
# places in 4.57.6's modeling_t5.py that scale the decoder's output if tied: 1
# expected: False throughout; seen: as described
