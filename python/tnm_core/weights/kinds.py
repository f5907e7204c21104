"""What a tensor is, by its name and what stands beside it: one function for each kind.

The order of `KINDS` is the order of the rules: the first that applies gives the reason.
"""

from __future__ import annotations

from collections.abc import Callable

from tnm_core.skip import Skip, SkipCode
from tnm_core.weights.neighbours import Neighbours, TensorFacts
from tnm_core.weights.tensor_names import TensorName, words_of

Rule = Callable[[TensorFacts, TensorName, Neighbours], bool]

# Modules that hold a whole model or a half of it: what lies directly in them is at the top.
_HOLDERS = frozenset((
    "model", "base_model", "language_model", "text_model", "transformer", "encoder", "decoder",
    "net", "network", "backbone", "llm", "lm", "bert", "roberta", "student", "teacher", "params",
    "state_dict",
))  # fmt: skip
_LINEAR = frozenset({"proj", "projection", "project", "linear", "fc", "dense", "mlp"})
_EMBEDDINGS = frozenset({"wte", "wpe", "emb", "embs", "codebook", "codebooks"})
_POSITIONS = frozenset((
    "position", "positions", "positional", "wpe", "rotary", "rope", "sinusoidal", "freqs",
))  # fmt: skip
_QUANTIZATION = frozenset((
    "scale", "scales", "qscale", "qscales", "zeros", "qzeros", "absmax", "amax", "scb", "quant",
    "codebook", "codebooks",
))  # fmt: skip
# A "conv_head" is the last convolution before the pooling (EfficientNet, MobileNetV3).
_BEFORE_HEAD = frozenset({"multi", "per", "single", "attention", "attn", "conv"})
# At the top of a model alone; within a block they are ordinary layers.
_TOP_HEADS = frozenset((
    "output", "output_layer", "output_projection", "proj_out", "logits", "qa_outputs",
    "vocab_projector", "vocab_transform",
))  # fmt: skip
_MIXTURE_PARENTS = frozenset({"mlp", "ffn", "ff", "feed_forward"})


def _is_bias(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    if "bias" in name.own_words or "biases" in name.own_words:
        return True
    is_table = "bias" in name.layer_words and _LINEAR.isdisjoint(name.layer_words)
    return name.own == "weight" and is_table


def _is_quantization(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    words = name.own_words
    if not _QUANTIZATION.isdisjoint(words) or words[-2:] in {("zero", "point"), ("g", "idx")}:
        return True
    # Under a weight's name lies what describes it: weight.absmax, weight._scale.
    return name.layer == "weight" and facts.name.rpartition(".")[0] in neighbours.tensors


def _is_state_space(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    if name.own_words[:2] in {("a", "log"), ("a", "logs")}:
        return True
    decays = ("A_log", "A_logs")
    return name.own in {"D", "Ds", "B", "C"} and neighbours.any_beside(facts.name, decays)


def _is_adapter(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    return any(part.startswith(("lora_", "loha_", "lokr_")) for part in (*name.modules, name.own))


def _is_position_table(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    words = name.layer_words if name.own == "weight" else (*name.layer_words, *name.own_words)
    if not _POSITIONS.isdisjoint(words):
        return True
    # "linear_pos" and "pos_proj" of relative attention are linear layers.
    return "pos" in words and _LINEAR.isdisjoint(words)


def _is_token(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    words = name.layer_words if name.own == "weight" else name.own_words
    return words[-1:] in {("token",), ("tokens",)} and "embed" not in words


def _is_embedding(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    if name.layer == "shared" and len(name.modules) < 3 and not _in_a_mixture(name):
        return True
    parts = name.modules[-2:] if name.own == "weight" else (*name.modules[-1:], name.own)
    words = [word for part in parts for word in words_of(part)]
    return any(word.startswith("embed") for word in words) or not _EMBEDDINGS.isdisjoint(words)


def _is_router(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    if any(word.startswith("router") for part in name.modules for word in words_of(part)):
        return True
    *before, last = ("", *name.modules)
    if last.endswith("expert_gate") or last == "wg":
        return True
    if last not in {"gate", "gates", "gating"}:
        return False
    if neighbours.experts_beside(facts.name) or "moe" in words_of(before[-1]):
        return True
    # Beside an "up" or "down" it is a matrix of a gated MLP.
    return _in_a_mixture(name) and not neighbours.plain_mlp_beside(facts.name)


def _is_head(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    if any(_always_a_head(part) for part in name.modules):
        return True
    if any(_head_outside_of_blocks(part) for part in name.outside_of_blocks):
        return True
    return name.layer in _TOP_HEADS and _at_top(name)


def _always_a_head(part: str) -> bool:
    words = words_of(part)
    return part == "shared_head" or words[-2:] in {("lm", "head"), ("lm", "heads")}


def _head_outside_of_blocks(part: str) -> bool:
    words = words_of(part)
    if part in {"head_dist", "score"} or words[-1:] in {
        ("classifier",),
        ("classifiers",),
        ("predictions",),
    }:
        return True
    return words[-1:] == ("head",) and _BEFORE_HEAD.isdisjoint(words)


def _is_norm(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    if name.own == "weight":
        bias = neighbours.beside(facts.name, "bias")
        if bias is not None and len(facts.shape) > 1 and bias.shape == facts.shape:
            return True  # an entry of each for every entry of the input
    words = name.layer_words or name.own_words
    if words[:1] in {("ln",), ("bn",), ("gn",)}:
        return True
    return any(word.endswith("norm") for word in words) and _LINEAR.isdisjoint(words)


def _is_loose(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> bool:
    # Where nothing is called weight, names are not those of torch, and tell nothing.
    return neighbours.has_weights and name.own != "weight" and not name.is_of_experts


KINDS: tuple[tuple[SkipCode, Rule], ...] = (
    (SkipCode.BIAS, _is_bias),
    (SkipCode.QUANTIZATION, _is_quantization),
    (SkipCode.STATE_SPACE, _is_state_space),
    (SkipCode.ADAPTER, _is_adapter),
    (SkipCode.NORM, _is_norm),
    (SkipCode.POSITION_TABLE, _is_position_table),
    (SkipCode.TOKEN, _is_token),
    (SkipCode.ROUTER, _is_router),
    (SkipCode.HEAD, _is_head),
    (SkipCode.EMBEDDING, _is_embedding),
    (SkipCode.LOOSE, _is_loose),
)


def kind_left_alone(facts: TensorFacts, name: TensorName, neighbours: Neighbours) -> Skip | None:
    """Tell what a tensor is, if that is left alone by default."""
    return next((code() for code, rule in KINDS if rule(facts, name, neighbours)), None)


def _at_top(name: TensorName) -> bool:
    return all(part in _HOLDERS for part in name.modules[:-1])


def _in_a_mixture(name: TensorName) -> bool:
    parent = name.modules[-2] if len(name.modules) > 1 else ""
    return parent in _MIXTURE_PARENTS or "moe" in words_of(parent)
