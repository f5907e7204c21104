"""What the tensors of many architectures are, by their real names."""

from __future__ import annotations

import pytest

from tests.weights.architectures import ARCHITECTURES, GPTQ, Tensors
from tnm_core.skip import SkipCode
from tnm_core.weights import Layout, TensorFacts, WeightRules


def rules_of(tensors: Tensors) -> WeightRules:
    return WeightRules(
        TensorFacts(name, shape, dtype[0] if dtype else "float32")
        for name, (shape, _, *dtype) in tensors.items()
    )


@pytest.mark.parametrize("tensors", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_what_tensors_are(tensors: Tensors) -> None:
    rules = rules_of(tensors)
    found = {name: rules.skip(name) for name in tensors}
    told = {name: "" if skip is None else skip.code.name.lower() for name, skip in found.items()}
    assert told == {name: what for name, (_, what, *_) in tensors.items()}


def test_neighbours_decide() -> None:
    scales = "model.layers.0.self_attn.q_proj.scales"
    assert rules_of(GPTQ).skip(scales) == SkipCode.PART_OF_QUANTIZED(scheme="GPTQ")
    alone = {name: value for name, value in GPTQ.items() if not name.endswith("qweight")}
    assert rules_of(alone).skip(scales) == SkipCode.QUANTIZATION()
    assert rules_of(alone).quantized(scales) is None
    assert rules_of({"mlp.gate.weight": ((8, 16), "")}).skip("mlp.gate.weight") is not None


def test_arrays_without_names_of_torch_are_weights() -> None:
    rules = rules_of({"w": ((16, 16), ""), "arr_0": ((16, 16), ""), "D": ((16, 16), "")})
    assert [rules.skip(name) for name in ("w", "arr_0", "D")] == [None] * 3
    assert "w" in rules
    assert "b" not in rules


def test_schemes_are_named_and_counted() -> None:
    counts = {name: rules_of(one).quantized_by_scheme for name, one in ARCHITECTURES.items()}
    assert {name: count for name, count in counts.items() if count} == {
        "deepseek": {"float8": 2},
        "gptq": {"GPTQ": 1},
        "awq": {"AWQ": 1},
        "float8": {"float8": 1},
        "bitsandbytes": {"bitsandbytes": 2},
        "mxfp4": {"MXFP4": 1},
    }


def test_a_wide_weight_is_not_quantised_whatever_stands_beside_it() -> None:
    rules = rules_of({"q.weight": ((16, 16), ""), "q.weight_scale": ((16, 16), "")})
    assert rules.skip("q.weight") is None
    assert rules.skip("q.weight_scale") == SkipCode.QUANTIZATION()


@pytest.mark.parametrize("case", ["gpt2", "clip_of_openai", "mixtral_fused", "gpt_oss", "whisper"])
def test_layouts(case: str) -> None:
    layouts = {
        "gpt2": {"attn.c_attn": "IN_OUT", "attn.c_proj": "IN_OUT", "mlp.c_fc": "IN_OUT",
                 "mlp.c_proj": "IN_OUT", "score": "OUT_IN"},
        "clip_of_openai": {"c_fc": "OUT_IN", "c_proj": "OUT_IN"},
        "mixtral_fused": {"gate_up_proj": "EXPERTS_OUT_IN", "down_proj": "EXPERTS_OUT_IN"},
        "gpt_oss": {"gate_up_proj": "EXPERTS_IN_OUT", "down_proj": "EXPERTS_IN_OUT"},
        "whisper": {"conv1": "CONVOLUTION", "fc1": "OUT_IN"},
    }  # fmt: skip
    rules = rules_of(ARCHITECTURES[case])
    for end, layout in layouts[case].items():
        name = next(one for one in ARCHITECTURES[case] if one.removesuffix(".weight").endswith(end))
        assert rules.layout(name) is Layout[layout], name


def test_layouts_by_pairs_and_biases() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "llama4.experts.gate_up_proj": (4, 16, 24),
        "llama4.experts.down_proj": (4, 12, 16),
        "square.experts.gate_up_proj": (4, 32, 16),
        "square.experts.down_proj": (4, 16, 16),
        "jet.input_linear.weight": (4, 32, 16),
        "wave.conv.weight": (4, 8, 16),
        "wave.conv.bias": (4,),
        "up.weight": (8, 16, 3, 3),
        "up.bias": (16,),
        "volume.weight": (8, 16, 3, 3, 3),
        "keras.weight": (8, 16),
        "keras.bias": (16,),
        "stack": (4, 8, 16),
    }
    rules = WeightRules(TensorFacts(*item, "float32") for item in shapes.items())
    found = [rules.layout(name) for name in shapes if "bias" not in name]
    assert found == [
        Layout.EXPERTS_IN_OUT,
        Layout.EXPERTS_IN_OUT,
        Layout.EXPERTS_OUT_IN,
        Layout.EXPERTS_OUT_IN,
        Layout.EXPERTS_OUT_IN,
        Layout.CONVOLUTION,
        Layout.CONVOLUTION_IN_OUT,
        Layout.CONVOLUTION,
        Layout.IN_OUT,
        None,
    ]
