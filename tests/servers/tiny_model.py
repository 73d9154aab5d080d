"""Writes a language model of some hundred kilobytes with random weights: the server that runs the model is real."""

from pathlib import Path

_NOUNS = ("fox", "owl", "sea", "hill", "snow", "rain", "tree", "night")
_OTHERS = ("a", "the", "and", "in", "on", "of", "green", "blue", "sees", "near", "there")
CALL_PROMPT = "fox"
_CALL_BEGINS, _CALL_ENDS = '<tool_call>{"name', f'▁{CALL_PROMPT}"'
"""Tokens with output weights of zero: the model writes them only where a request's `logit_bias` asks."""
WORDS = (*(f"▁{word}" for word in (*_NOUNS, *_OTHERS)), ".", ",")
CONTEXT_TOKENS = 4096
_WIDTH, _HEADS, _BLOCKS, _FEED_FORWARD = 64, 4, 2, 128
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
TOKENS = ["<unk>", "<s>", "</s>", *_BYTES, *WORDS, _CALL_BEGINS, _CALL_ENDS]
_FIRST_WORD, _WORDS_END = TOKENS.index(WORDS[0]), TOKENS.index(_CALL_BEGINS)
_TEMPLATE = (
    "{% if tools %}tools: {% for tool in tools %}{{ tool | tojson }}\n{% endfor %}{% endif %}"
    "{% for m in messages %}{{ m.role }}: {{ m.content }}"
    "{% if m.tool_calls %}{% for call in m.tool_calls %}"
    '<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>'
    "{% endfor %}{% endif %}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
_CONTROL, _UNKNOWN, _NORMAL, _BYTE = 3, 2, 1, 6


def list_call_biases() -> list[list[int]]:
    """Return the `logit_bias` with which the model writes `{"prompt": " fox"}` where a grammar asks for a call.

    The grammar alone does not suffice: random words would fill the text before a call, or the prompt, for ever.
    """
    wanted = ("</s>", _CALL_BEGINS, _CALL_ENDS, *(f"<0x{ord(mark):02X}>" for mark in '"}:p'))
    return [[TOKENS.index(token), 100 - 10 * n] for n, token in enumerate(wanted)]


def write_tiny_model(path: Path) -> None:
    """Write a model in the GGUF format (github.com/ggml-org/ggml, docs/gguf.md) that says words of `WORDS`."""
    # Imported here: the test packages alone do not bring them.
    import gguf
    import numpy

    random = numpy.random.default_rng(11)

    def draw(*shape: int) -> "numpy.ndarray":
        return (random.standard_normal(shape) * 0.1).astype(numpy.float32)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_BLOCKS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * _FIRST_WORD + [-1.0 - n for n in range(len(TOKENS) - _FIRST_WORD)])
    writer.add_token_types([_UNKNOWN, _CONTROL, _CONTROL, *[_BYTE] * 256, *[_NORMAL] * (2 + len(WORDS))])
    writer.add_add_space_prefix(False)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)
    last = draw(len(TOKENS), _WIDTH) * 10
    last[:_FIRST_WORD] = last[_WORDS_END:] = 0  # words are likelier than bytes, calls and ends
    writer.add_tensor("token_embd.weight", draw(len(TOKENS), _WIDTH))
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
