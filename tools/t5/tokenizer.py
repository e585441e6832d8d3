"""Train the small T5's tokenizer: Unigram with T5's own rules, 1,024 pieces, digits and Roman letters one by one.

python tools/t5/tokenizer.py notebooks/tiny_t5/tokenizer.json
"""

from __future__ import annotations

import sys
from pathlib import Path

from data import make
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

VOCABULARY = 1024


def train(examples: int = 60_000) -> Tokenizer:
    """Return a tokenizer trained on ``examples`` instructions with their answers."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex("[IVXLCDM](?![a-zäöüß])"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    letters = list("abcdefghijklmnopqrstuvwxyzäöüßABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ0123456789.,:;!?+-*/=()'\"%&")
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",  # noqa: S106
        initial_alphabet=letters,
        max_piece_length=10,
        show_progress=False,
    )
    texts = (text for example in make(examples, seed=1, held_out=False) for text in (example.prompt, example.answer))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return tokenizer


def main() -> None:
    """Train and save."""
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    train().save(str(path))


if __name__ == "__main__":
    main()
