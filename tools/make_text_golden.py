#!/usr/bin/env python3
"""Makes the test data of the tokenizer and the text encoder: tiny ones with random weights, and what transformers computes.

A development tool; neither dwgf nor its tests need it. Deterministic: the same versions write the same bytes.
Needs torch 2.13.0, transformers 5.23.0, safetensors. To renew everything under tests/data/prior/text:

    tools/make_text_golden.py tests/data/prior/text

Another vocabulary than the tiny one, for one's own check: with DWGF_TEXT_GOLDEN=OUT the tokenizer's tests read OUT too.

    tools/make_text_golden.py OUT --vocabulary FOLDER        # a folder with vocab.json and merges.txt
    tools/make_text_golden.py OUT --vocabulary bpe_simple_vocab_16e6.txt.gz      # CLIP's own, as OpenAI publishes it

Written there:
  strings.json             a list of texts
  plain/, published/,      a tokenizer each (files that are as those of plain/ are left out): plain/ as transformers writes
  exclamation/, single/,     vocab.json, merges.txt; published/ with the special tokens as the directories of 1.5 describe
  second/                    them, with normalisation; exclamation/ padded with "!"; single/ as a single tokenizer.json;
                             second/ as the second one of SDXL, where "!" is a special token too
  ids.safetensors          NAME.ids: the tokens of the texts by each tokenizer, cut at 77, one after the other; NAME.lengths;
                             NAME.padded [32, 77]: of the first 32, padded. In float16 where that holds them, else float32
  sd1/, sd2/               a text encoder each (text_encoder/), quick_gelu and gelu, weights in float16; sd1's names without and
                             sd2's with the leading text_model. and a position_ids
  sdxl/                    two (text_encoder/, text_encoder_2/), the second with a projection and an eos_token_id of 2
  encoder.safetensors      LIKE.tokens [1, 77] (float16), LIKE.context [1, 77, C] by float64 arithmetic; of sdxl, for the first
                             of the prompts below and for the empty one (sdxl.empty): context, the penultimate states of both,
                             and pooled, the projection of the second [1, P]
"""
import argparse
import collections
import gzip
import json
import random
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
STRINGS, MOST_TOKENS = 2200, 77
PROMPT = "a Photograph of an ASTRONAUT's café!"
WORDS = """a an the and of photo photograph painting portrait shirt shoe dress coat bag boot sneaker trouser sandal pullover red blue
green black white detailed high quality masterpiece in style by with on it's don't we're I've I'm you'll he'd oil canvas studio light
soft background isolated 4k 8k 1990s 35mm f/1.8 realistic cat dog horse astronaut moon mountain river city night sunset""".split()
ACCENTED = ["café", "naïve", "Ångström", "smørrebrød", "Łódź", "ÇA", "ß", "STRASSE", "ﬁne", "Ǆ", "ǅ", "œuvre",
            "crème brûlée",
            "e\u0301", "a\u030a", "o\u0323\u0302", "o\u0302\u0323", "\u1e9b\u0323", "q\u0307\u0323",
            "İstanbul", "Iıİi", "ΟΔΥΣΣΕΥΣ",
            "ΣΑΣ Σ", "ὈΔΥΣΣΕΎΣ", "ἀνήρ", "Москва", "ЁЛКА", "й", "и\u0306", "שלום", "שָׁלוֹם", "مرحبا",
            "सन्तोष", "क\u093c", "ไทย", "한국어",
            "한국", "日本語", "ｶﾞ", "か\u3099", "中文字", "漢字かな交じり文", "\u212b", "\u2126", "Ⅷ", "½", "²", "٣", "१२",
            "㊿", "𝔘𝔫𝔦", "𐐀𐐨",
            "𝟘𝟙", "A\u0300\u0316b", "\u0344", "\ufb1d", "\u0958"]
SYMBOLS = ["👩‍👩‍👧‍👦", "👍🏽", "🇩🇪🇫🇷", "❤️", "☂", "🧑🏿‍🚀", "#️⃣", "😀", "…", "—", "“quoted”", "‘s", "’s", "'S",
           "'LL", "''", "'", "'sx", "x's", "''s",
           "!", "!!", "!?", "a!b", "...", "/", "\\", "\"", "$5", "€", "100%", "a_b", "__", "a-b", "[x]",
           "(y:1.3)", "<", "<|", "|>", "<b>",
           "&amp;", "@", "~", "^", "`", "=", "+-*", "\u00ad", "\u200b", "\u200d", "\u200e", "\u2060",
           "\ufeff", "\ufffd", "\ue000", "\uffff"]
MARKS = [START, END, START.upper(), END.upper(), "<|EndOfText|>", END + END, "<|endoftext|", "|endoftext|>",
         "<<|endoftext|>>", END + "'s", "a" + END + "b",
         END.upper() + ">>", "!" + END.upper() + "!", "<unused0>", "</w>", "the</w>", "\u0130" + END,
         "e" + END + "\u0301"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\v", "\f", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2003",
          "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", ""]
CONTROLS = ["\0", "\x01", "\x07", "\x08", "\x1b[0m", "\x7f", "\x80", "\x9f"]
# Blocks that any Unicode of the last years holds alike: ranges to draw single characters from.
BLOCKS = [(0x20, 0x7e), (0x20, 0x7e), (0xa1, 0x24f), (0x250, 0x36f), (0x370, 0x373), (0x391, 0x3a1),
          (0x3b1, 0x3ff), (0x400, 0x52f), (0x5d0, 0x5ea),
          (0x621, 0x652), (0x905, 0x939), (0xe01, 0xe30), (0x10a0, 0x10c5), (0x13a0, 0x13f5),
          (0x1e00, 0x1f15), (0x2010, 0x2027), (0x2070, 0x2071),
          (0x20a0, 0x20bf), (0x2100, 0x218b), (0x2190, 0x2300), (0x2460, 0x24ff), (0x3041, 0x3096),
          (0x30a1, 0x30fa), (0x4e00, 0x9fa5),
          (0xac00, 0xd7a3), (0xf900, 0xfa6d), (0xfb00, 0xfb06), (0xff01, 0xff5e), (0x10400, 0x1044f),
          (0x1d400, 0x1d454), (0x1f300, 0x1f64f)]


def make_strings():
    rng = random.Random(20261123)
    special = [*ACCENTED, *SYMBOLS, *MARKS, *SPACES, *CONTROLS]
    strings = ["", " ", "a photo of a shirt", *special, *(f"a{one}b" for one in special), "x" * 500,
               "the " * 100, "!" * 200, "é" * 120, END * 90]
    character = lambda: chr(rng.randint(*rng.choice(BLOCKS)))
    while len(strings) < STRINGS:
        kind, out = rng.random(), []
        for _ in range(rng.randint(1, 7)):
            if kind < 0.4:
                word = rng.choice(WORDS)
                out += [word.upper() if rng.random() < 0.2 else word,
                        rng.choice((" ", " ", " ", ", ", ". ", ""))]
            elif kind < 0.7:
                out += [rng.choice(rng.choice((WORDS, ACCENTED, SYMBOLS, MARKS, SPACES, CONTROLS))),
                        rng.choice(("", " ", rng.choice(SPACES)))]
            else:
                out += [character() for _ in range(rng.randint(1, 3))]
        strings.append("".join(out))
    return strings


def byte_symbols():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {byte: chr(byte) for byte in keep} | {byte: chr(256 + i) for i,
                                                 byte in enumerate(b for b in range(256) if b not in keep)}


def tiny_vocabulary(merge_count=300):
    """Bytes, bytes at a word's end, and merges learned from the words above: most frequent pair first, then in order."""
    table = byte_symbols()
    words = []
    for word in " ".join([*WORDS, *ACCENTED, *SYMBOLS]).lower().split():
        symbols = [table[byte] for byte in word.encode()]
        words.append([*symbols[:-1], symbols[-1] + "</w>"])
    merges = []
    while len(merges) < merge_count:
        pairs = collections.Counter(pair for word in words for pair in zip(word, word[1:]))
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        for word in words:
            at = 0
            while at + 1 < len(word):
                if (word[at], word[at + 1]) == best:
                    word[at:at + 2] = ["".join(best)]
                at += 1
    base = [table[byte] for byte in sorted(table, key=lambda byte: ord(table[byte]))]
    vocabulary = [*base, *(symbol + "</w>" for symbol in base)]
    for merge in merges:
        if "".join(merge) not in vocabulary:
            vocabulary.append("".join(merge))
    return {symbol: i for i, symbol in enumerate([*vocabulary, "<unused0>", START, END])}, merges


def clip_vocabulary(file):
    lines = gzip.open(file, "rt", encoding="utf-8").read().split("\n")
    merges = [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]
    base = list(byte_symbols().values())
    vocabulary = [*base, *(symbol + "</w>" for symbol in base), *("".join(merge)
        for merge in merges), START, END]
    return {symbol: i for i, symbol in enumerate(vocabulary)}, merges


def read_vocabulary(path):
    if path is None:
        return tiny_vocabulary()
    if path.is_file():
        return clip_vocabulary(path)
    merges = [tuple(line.split(" ")) for line in (path / "merges.txt").read_text("utf-8").splitlines()
              if not line.startswith("#version")]
    return json.loads((path / "vocab.json").read_text("utf-8")), merges


def write_json(path, content):
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def write_tokenizers(out, vocabulary, merges):
    common = {"model_max_length": MOST_TOKENS, "bos_token": START, "eos_token": END,
              "tokenizer_class": "CLIPTokenizer"}
    described = lambda text: {"content": text, "lstrip": False, "normalized": True, "rstrip": False,
                              "single_word": False}
    typed = lambda text: {"__type": "AddedToken", **described(text)}
    special = lambda text, normalized: {**described(text), "normalized": normalized, "special": True}
    configs = {"plain": {**common, "pad_token": END},
               "published": {**common, "bos_token": typed(START), "eos_token": typed(END),
                             "unk_token": typed(END), "pad_token": END, "errors": "replace",
                             "add_prefix_space": False, "do_lower_case": True},
               "exclamation": {**common, "bos_token": typed(START), "eos_token": typed(END),
                               "unk_token": typed(END), "pad_token": END},
               "single": common,
               "second": {**common, "pad_token": "!", "unk_token": END, "errors": "replace",
                          "add_prefix_space": False, "do_lower_case": True, "clean_up_tokenization_spaces": True,
                          "added_tokens_decoder": {str(vocabulary["!"]): special("!", False),
                                                   str(vocabulary[START]): special(START, True),
                                                   str(vocabulary[END]): special(END, True)}}}
    maps = {"published": {"bos_token": described(START), "eos_token": described(END),
                          "unk_token": described(END), "pad_token": END},
            "exclamation": {"bos_token": described(START), "eos_token": described(END),
                            "unk_token": described(END), "pad_token": "!"}}
    maps["second"] = maps["exclamation"]
    tokenizers = {}
    for name, config in configs.items():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "vocab.json", vocabulary)
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(" ".join(merge) for merge in merges)
                                           + "\n", encoding="utf-8")
        write_json(folder / "tokenizer_config.json", config)
        if name in maps:
            write_json(folder / "special_tokens_map.json", maps[name])
        tokenizers[name] = CLIPTokenizer.from_pretrained(folder)
    single = out / "single"
    tokenizers["exclamation"].save_pretrained(single)
    whole = json.loads((single / "tokenizer.json").read_text("utf-8"))
    write_json(single / "tokenizer.json", whole)
    tokenizers["single"] = CLIPTokenizer.from_pretrained(single)
    for name in ("published", "exclamation", "single", "second"):  # the tests take these from plain/
        for file in ("vocab.json", "merges.txt"):
            (out / name / file).unlink()
    return tokenizers


def write_ids(out, tokenizers, strings, largest):
    kind = torch.float16 if largest <= 2048 else torch.float32
    stored = {}
    for name, tokenizer in tokenizers.items():
        ids = tokenizer(strings, truncation=True, max_length=MOST_TOKENS)["input_ids"]
        stored[f"{name}.ids"] = torch.tensor([number for one in ids for number in one], dtype=kind)
        stored[f"{name}.lengths"] = torch.tensor([len(one) for one in ids], dtype=torch.float16)
        padded = tokenizer(strings[:32], truncation=True, max_length=MOST_TOKENS,
                           padding="max_length")["input_ids"]
        stored[f"{name}.padded"] = torch.tensor(padded, dtype=kind)
        if largest <= 2048 and name not in ("plain", "second"):  # small: what a tokenizer makes of the others is plain/'s
            few = 600
            stored[f"{name}.lengths"] = stored[f"{name}.lengths"][:few].clone()
            stored[f"{name}.ids"] = stored[f"{name}.ids"][:int(stored[f"{name}.lengths"].sum(dtype=torch.float64))].clone()
    save_file(stored, out / "ids.safetensors")


def write_encoder(folder, config, seed, projected=False):
    """Random weights in float16, and the model as it is read from there, in float64."""
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    model = kind(config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        scale = 0.5 if "embedding" in name else parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
        parameter.data = (1 + 0.2 * noise if "norm" in name and name.endswith("weight")
                          else scale * noise).half()
    model.half().save_pretrained(folder)
    # transformers' own attention forms its softmax in float32; LibTorch's does not
    return kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="sdpa").eval()


def encoder_config(size, two, **others):
    channels = 12 if two else 8  # as the U-Nets of make_prior_golden.py
    return CLIPTextConfig(**{**dict(
        vocab_size=size, hidden_size=channels, intermediate_size=24, num_hidden_layers=3 if two else 2,
        num_attention_heads=3 if two else 2, max_position_embeddings=MOST_TOKENS,
        hidden_act="gelu" if two else "quick_gelu", bos_token_id=size - 2, eos_token_id=size - 1,
        pad_token_id=0 if two else size - 1), **others})


def tokens_of(tokenizer, text):
    return tokenizer(text, truncation=True, max_length=MOST_TOKENS, padding="max_length",
                     return_tensors="pt")["input_ids"]


def write_single_encoder(out, like, tokenizer, size, seed):
    two = like == "sd2"
    folder = out / like / "text_encoder"
    model = write_encoder(folder, encoder_config(size, two), seed)
    file = folder / "model.safetensors"
    weights = {name.removeprefix("text_model."): tensor for name, tensor in load_file(file).items()}
    if two:
        weights = {"text_model." + name: tensor for name, tensor in weights.items()}
        weights["text_model.embeddings.position_ids"] = torch.arange(MOST_TOKENS)[None]
    save_file(weights, file, {"format": "pt"})
    tokens = tokens_of(tokenizer, PROMPT)
    with torch.no_grad():
        context = model(tokens).last_hidden_state
    return {f"{like}.tokens": tokens.half(), f"{like}.context": context.contiguous()}


def write_two_encoders(out, tokenizers, size, seed):
    first = write_encoder(out / "sdxl" / "text_encoder", encoder_config(size, False), seed)
    published = dict(bos_token_id=0, eos_token_id=2, pad_token_id=1, projection_dim=10)
    second = write_encoder(out / "sdxl" / "text_encoder_2", encoder_config(size, True, **published), seed + 1,
                           projected=True)
    stored = {}
    for name, text in (("sdxl", PROMPT), ("sdxl.empty", "")):
        with torch.no_grad():
            ones = first(tokens_of(tokenizers["published"], text), output_hidden_states=True)
            twos = second(tokens_of(tokenizers["second"], text), output_hidden_states=True)
        stored[f"{name}.context"] = torch.cat([ones.hidden_states[-2], twos.hidden_states[-2]], -1).contiguous()
        stored[f"{name}.pooled"] = twos.text_embeds.contiguous()
    return stored


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the folder to write to")
    parser.add_argument("--vocabulary", type=Path, help="instead of the tiny one; no text encoders then")
    options = parser.parse_args()
    out, strings = options.out, make_strings()
    torch.set_num_threads(1)
    shutil.rmtree(out, ignore_errors=True)
    vocabulary, merges = read_vocabulary(options.vocabulary)
    tokenizers = write_tokenizers(out, vocabulary, merges)
    write_json(out / "strings.json", {"strings": strings})
    write_ids(out, tokenizers, strings, len(vocabulary))
    if options.vocabulary is None:
        golden = {}
        for seed, (like, name) in enumerate((("sd1", "published"), ("sd2", "exclamation")), start=1):
            golden |= write_single_encoder(out, like, tokenizers[name], len(vocabulary), seed)
        golden |= write_two_encoders(out, tokenizers, len(vocabulary), 3)
        save_file(golden, out / "encoder.safetensors")
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    print(f"{out}: {len(strings)} texts, {len(vocabulary)} tokens, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
