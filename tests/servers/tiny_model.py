"""Writes a language model of some hundred kilobytes with random weights: the server that runs the model is real."""

from pathlib import Path

_NOUNS = ("fox", "owl", "sea", "hill", "snow", "rain", "tree", "night")
_OTHERS = ("a", "the", "and", "in", "on", "of", "green", "blue", "sees", "near", "there")
WORDS = (*(f"▁{word}" for word in (*_NOUNS, *_OTHERS)), ".", ",")
CONTEXT_TOKENS = 4096
_WIDTH, _HEADS, _BLOCKS, _FEED_FORWARD = 64, 4, 2, 128
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_CONTROL, _UNKNOWN, _NORMAL, _BYTE = 3, 2, 1, 6


def write_tiny_model(path: Path) -> None:
    """Write a model in the GGUF format (github.com/ggml-org/ggml, docs/gguf.md) that says words of `WORDS`."""
    # Imported here: the test packages alone do not bring them.
    import gguf
    import numpy

    random = numpy.random.default_rng(11)

    def draw(*shape: int) -> "numpy.ndarray":
        return (random.standard_normal(shape) * 0.1).astype(numpy.float32)

    tokens = ["<unk>", "<s>", "</s>", *_BYTES, *WORDS]
    specials = len(tokens) - len(WORDS)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * specials + [-1.0 - n for n in range(len(WORDS))])
    writer.add_token_types([_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *[_NORMAL] * len(WORDS)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:")
    last = draw(len(tokens), _WIDTH) * 10
    last[:specials] = 0  # words are likelier than bytes and ends
    writer.add_tensor("token_embd.weight", draw(len(tokens), _WIDTH))
    writer.add_tensor("output.weight", last)
    writer.add_tensor("output_norm.weight", numpy.ones(_WIDTH, numpy.float32))
    for n in range(_BLOCKS):
        for norm in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{n}.{norm}.weight", numpy.ones(_WIDTH, numpy.float32))
        for square in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{n}.{square}.weight", draw(_WIDTH, _WIDTH))
        writer.add_tensor(f"blk.{n}.ffn_gate.weight", draw(_FEED_FORWARD, _WIDTH))
        writer.add_tensor(f"blk.{n}.ffn_up.weight", draw(_FEED_FORWARD, _WIDTH))
        writer.add_tensor(f"blk.{n}.ffn_down.weight", draw(_WIDTH, _FEED_FORWARD))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
