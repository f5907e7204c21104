"""Tensors as checkpoints of known architectures have them, scaled down, and what each of them is.

By name: shape, what it is ("" for a weight that is pruned, else the reason in lower case), and a
dtype that is not float32.
"""

from __future__ import annotations

Tensors = dict[str, tuple[object, ...]]

_LAYER = "encoder.layer.0"

BERT: Tensors = {
    "bert.embeddings.word_embeddings.weight": ((96, 16), "embedding"),
    "bert.embeddings.position_embeddings.weight": ((32, 16), "position_table"),
    "bert.embeddings.token_type_embeddings.weight": ((8, 16), "embedding"),
    "bert.embeddings.LayerNorm.weight": ((16,), "norm"),
    f"bert.{_LAYER}.attention.self.query.weight": ((16, 16), ""),
    f"bert.{_LAYER}.attention.self.query.bias": ((16,), "bias"),
    f"bert.{_LAYER}.attention.output.dense.weight": ((16, 16), ""),
    f"bert.{_LAYER}.intermediate.dense.weight": ((64, 16), ""),
    f"bert.{_LAYER}.output.dense.weight": ((16, 64), ""),
    f"bert.{_LAYER}.output.LayerNorm.weight": ((16,), "norm"),
    "bert.pooler.dense.weight": ((16, 16), ""),
    "cls.predictions.transform.dense.weight": ((16, 16), "head"),
    "cls.predictions.decoder.weight": ((96, 16), "head"),
    "classifier.weight": ((8, 16), "head"),
}
GPT2: Tensors = {
    "transformer.wte.weight": ((96, 16), "embedding"),
    "transformer.wpe.weight": ((32, 16), "position_table"),
    "transformer.h.0.ln_1.weight": ((16,), "norm"),
    "transformer.h.0.attn.bias": ((1, 1, 32, 32), "bias"),
    "transformer.h.0.attn.c_attn.weight": ((16, 48), ""),
    "transformer.h.0.attn.c_attn.bias": ((48,), "bias"),
    "transformer.h.0.attn.c_proj.weight": ((16, 16), ""),
    "transformer.h.0.attn.c_proj.bias": ((16,), "bias"),
    "transformer.h.0.mlp.c_fc.weight": ((16, 64), ""),
    "transformer.h.0.mlp.c_proj.weight": ((64, 16), ""),
    "transformer.ln_f.weight": ((16,), "norm"),
    "score.weight": ((8, 16), "head"),
}
LLAMA: Tensors = {
    "model.embed_tokens.weight": ((96, 16), "embedding"),
    "model.layers.0.self_attn.q_proj.weight": ((16, 16), ""),
    "model.layers.0.self_attn.rotary_emb.inv_freq": ((4,), "position_table"),
    "model.layers.0.mlp.gate_proj.weight": ((48, 16), ""),
    "model.layers.0.mlp.gate_up_proj.weight": ((96, 16), ""),
    "model.layers.0.mlp.down_proj.weight": ((16, 48), ""),
    "model.layers.0.input_layernorm.weight": ((16,), "norm"),
    "model.norm.weight": ((16,), "norm"),
    "lm_head.weight": ((96, 16), "head"),
}
LLAMA_OF_META: Tensors = {
    "tok_embeddings.weight": ((96, 16), "embedding"),
    "layers.0.attention.wq.weight": ((16, 16), ""),
    "layers.0.feed_forward.w1.weight": ((48, 16), ""),
    "layers.0.attention_norm.weight": ((16,), "norm"),
    "output.weight": ((96, 16), "head"),
    "freqs_cis": ((32, 8), "position_table"),
}
MIN_GPT: Tensors = {
    "pos_emb": ((1, 32, 16), "position_table"),
    "tok_emb.weight": ((96, 16), "embedding"),
    "blocks.0.attn.key.weight": ((16, 16), ""),
    "blocks.0.sa.heads.0.query.weight": ((8, 16), ""),
    "blocks.0.attn.head_proj.weight": ((16, 16), ""),
    "blocks.0.mlp.0.weight": ((64, 16), ""),
    "head.weight": ((96, 16), "head"),
}
T5: Tensors = {
    "shared.weight": ((96, 16), "embedding"),
    "encoder.block.0.layer.0.SelfAttention.q.weight": ((16, 16), ""),
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": ((32, 8), "bias"),
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight": ((48, 16), ""),
    "encoder.block.0.layer.1.layer_norm.weight": ((16,), "norm"),
    "decoder.block.0.layer.1.EncDecAttention.o.weight": ((16, 16), ""),
}
VIT: Tensors = {
    "cls_token": ((1, 1, 16), "token"),
    "pos_embed": ((1, 17, 16), "position_table"),
    "patch_embed.proj.weight": ((16, 4, 4, 4), "embedding"),
    "blocks.0.attn.qkv.weight": ((48, 16), ""),
    "blocks.0.attn.proj.weight": ((16, 16), ""),
    "blocks.0.mlp.fc1.weight": ((64, 16), ""),
    "blocks.0.ls1.gamma": ((16,), "loose"),
    "blocks.0.norm1.weight": ((16,), "norm"),
    "head.weight": ((8, 16), "head"),
}
VIT_OF_TORCHVISION: Tensors = {
    "class_token": ((1, 1, 16), "token"),
    "conv_proj.weight": ((16, 4, 4, 4), ""),
    "encoder.pos_embedding": ((1, 17, 16), "position_table"),
    "encoder.layers.encoder_layer_0.self_attention.in_proj_weight": ((48, 16), "loose"),
    "encoder.layers.encoder_layer_0.self_attention.out_proj.weight": ((16, 16), ""),
    "encoder.layers.encoder_layer_0.mlp.0.weight": ((64, 16), ""),
    "encoder.ln.weight": ((16,), "norm"),
    "heads.head.weight": ((8, 16), "head"),
}
SWIN: Tensors = {
    "layers.0.blocks.0.attn.relative_position_bias_table": ((49, 4), "bias"),
    "layers.0.blocks.0.attn.qkv.weight": ((48, 16), ""),
    "layers.0.downsample.reduction.weight": ((32, 64), ""),
}
RESNET: Tensors = {
    "conv1.weight": ((16, 4, 7, 7), ""),
    "bn1.weight": ((16,), "norm"),
    "bn1.running_mean": ((16,), "norm"),
    "layer1.0.conv2.weight": ((16, 16, 3, 3), ""),
    "layer1.0.downsample.0.weight": ((16, 16, 1, 1), ""),
    "fc.weight": ((8, 16), ""),
}
MOBILENET: Tensors = {
    "features.1.conv.0.0.weight": ((16, 1, 3, 3), ""),
    "conv_head.weight": ((16, 4, 1, 1), ""),  # before the pooling
    "classifier.1.weight": ((8, 16), "head"),
}
MAMBA: Tensors = {
    "backbone.embeddings.weight": ((96, 16), "embedding"),
    "backbone.layers.0.mixer.A_log": ((32, 16), "state_space"),
    "backbone.layers.0.mixer.D": ((32,), "state_space"),
    "backbone.layers.0.mixer.dt_bias": ((8,), "bias"),
    "backbone.layers.0.mixer.conv1d.weight": ((32, 1, 4), ""),
    "backbone.layers.0.mixer.in_proj.weight": ((64, 16), ""),
    "backbone.layers.0.mixer.x_proj.weight": ((40, 32), ""),
    "backbone.layers.0.mixer.dt_proj.weight": ((32, 8), ""),
    "backbone.norm_f.weight": ((16,), "norm"),
    "lm_head.weight": ((96, 16), "head"),
}
MIXTRAL: Tensors = {
    "model.layers.0.block_sparse_moe.gate.weight": ((8, 16), "router"),
    "model.layers.0.block_sparse_moe.experts.0.w1.weight": ((48, 16), ""),
    "model.layers.0.block_sparse_moe.experts.0.w2.weight": ((16, 48), ""),
}
MIXTRAL_FUSED: Tensors = {
    "model.layers.0.mlp.gate.weight": ((8, 16), "router"),
    "model.layers.0.mlp.experts.gate_up_proj": ((8, 96, 16), ""),
    "model.layers.0.mlp.experts.down_proj": ((8, 16, 48), ""),
}
QWEN_MOE: Tensors = {
    "model.layers.0.mlp.gate.weight": ((8, 16), "router"),
    "model.layers.0.mlp.experts.0.gate_proj.weight": ((48, 16), ""),
    "model.layers.0.mlp.shared_expert.gate_proj.weight": ((48, 16), ""),
    "model.layers.0.mlp.shared_expert_gate.weight": ((1, 16), "router"),
}
GATED_MLP: Tensors = {
    "blocks.0.mlp.gate.weight": ((48, 16), ""),
    "blocks.0.mlp.up.weight": ((48, 16), ""),
    "blocks.0.mlp.down.weight": ((16, 48), ""),
}
GPT_OSS: Tensors = {
    "model.layers.0.self_attn.sinks": ((8,), "loose"),
    "model.layers.0.mlp.router.weight": ((8, 16), "router"),
    "model.layers.0.mlp.router.bias": ((8,), "bias"),
    "model.layers.0.mlp.experts.gate_up_proj": ((8, 16, 96), ""),
    "model.layers.0.mlp.experts.gate_up_proj_bias": ((8, 96), "bias"),
    "model.layers.0.mlp.experts.down_proj": ((8, 48, 16), ""),
    "model.layers.0.mlp.experts.down_proj_bias": ((8, 16), "bias"),
}
DEEPSEEK: Tensors = {
    "model.layers.3.self_attn.q_a_proj.weight": ((16, 32), "quantized", "float8_e4m3fn"),
    "model.layers.3.self_attn.q_a_proj.weight_scale_inv": ((8, 8), "part_of_quantized"),
    "model.layers.3.mlp.gate.weight": ((8, 32), "router"),
    "model.layers.3.mlp.gate.e_score_correction_bias": ((8,), "bias"),
    "model.layers.3.mlp.experts.0.up_proj.weight": ((16, 32), "quantized", "float8_e4m3fn"),
    "model.layers.3.mlp.experts.0.up_proj.weight_scale_inv": ((8, 8), "part_of_quantized"),
    "model.layers.3.self_attn.indexer.wk.weight": ((16, 32), ""),
    "model.layers.61.shared_head.head.weight": ((96, 32), "head"),
}
WHISPER: Tensors = {
    "model.encoder.conv1.weight": ((16, 8, 3), ""),
    "model.encoder.conv1.bias": ((16,), "bias"),
    "model.encoder.embed_positions.weight": ((32, 16), "position_table"),
    "model.decoder.embed_tokens.weight": ((96, 16), "embedding"),
    "model.decoder.layers.0.encoder_attn.out_proj.weight": ((16, 16), ""),
    "model.decoder.layers.0.fc1.weight": ((64, 16), ""),
    "proj_out.weight": ((96, 16), "head"),
}
CLIP: Tensors = {
    "text_model.embeddings.token_embedding.weight": ((96, 16), "embedding"),
    "text_model.embeddings.position_embedding.weight": ((32, 16), "position_table"),
    "vision_model.embeddings.class_embedding": ((16,), "embedding"),
    "vision_model.embeddings.patch_embedding.weight": ((16, 4, 4, 4), "embedding"),
    "vision_model.pre_layrnorm.weight": ((16,), "norm"),
    "vision_model.encoder.layers.0.mlp.fc1.weight": ((64, 16), ""),
    "visual_projection.weight": ((16, 16), ""),
    "logit_scale": ((), "quantization"),
}
CLIP_OF_OPENAI: Tensors = {
    "positional_embedding": ((32, 16), "position_table"),
    "text_projection": ((16, 16), "loose"),
    "transformer.resblocks.0.attn.in_proj_weight": ((48, 16), "loose"),
    "transformer.resblocks.0.mlp.c_fc.weight": ((64, 16), ""),
    "transformer.resblocks.0.mlp.c_proj.weight": ((16, 64), ""),
    "visual.proj": ((16, 16), "loose"),
}
FLUX: Tensors = {
    "transformer_blocks.0.norm1.linear.weight": ((96, 16), ""),
    "single_transformer_blocks.0.proj_out.weight": ((16, 64), ""),
    "proj_out.weight": ((16, 16), "head"),
}
GPTQ: Tensors = {
    "model.layers.0.self_attn.q_proj.qweight": ((4, 32), "quantized", "int32"),
    "model.layers.0.self_attn.q_proj.qzeros": ((4, 4), "part_of_quantized", "int32"),
    "model.layers.0.self_attn.q_proj.scales": ((4, 32), "part_of_quantized", "float16"),
    "model.layers.0.self_attn.q_proj.g_idx": ((32,), "part_of_quantized", "int32"),
    "model.layers.0.self_attn.q_proj.bias": ((32,), "bias"),
    "lm_head.weight": ((96, 32), "head"),
}
AWQ: Tensors = {
    "model.layers.0.mlp.up_proj.qweight": ((32, 4), "quantized", "int32"),
    "model.layers.0.mlp.up_proj.qzeros": ((4, 4), "part_of_quantized", "int32"),
    "model.layers.0.mlp.up_proj.scales": ((4, 32), "part_of_quantized", "float16"),
}
FLOAT8: Tensors = {
    "model.layers.0.mlp.up_proj.weight": ((32, 16), "quantized", "float8_e4m3fn"),
    "model.layers.0.mlp.up_proj.weight_scale": ((32, 1), "part_of_quantized"),
    "model.layers.0.mlp.up_proj.input_scale": ((1,), "part_of_quantized"),
    "model.layers.0.mlp.down_proj.weight": ((16, 32), "", "bfloat16"),
}
BITSANDBYTES: Tensors = {
    "model.layers.0.mlp.up_proj.weight": ((256, 1), "quantized", "uint8"),
    "model.layers.0.mlp.up_proj.weight.absmax": ((8, 8), "part_of_quantized"),
    "model.layers.0.mlp.up_proj.weight.quant_map": ((16,), "part_of_quantized"),
    "model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4": (
        (64,), "part_of_quantized", "uint8",
    ),
    "model.layers.0.mlp.down_proj.weight": ((16, 32), "quantized", "int8"),
    "model.layers.0.mlp.down_proj.SCB": ((16,), "part_of_quantized"),
}  # fmt: skip
MXFP4: Tensors = {
    "model.layers.0.mlp.experts.down_proj_blocks": ((8, 16, 2, 16), "quantized", "uint8"),
    "model.layers.0.mlp.experts.down_proj_scales": ((8, 16, 8), "part_of_quantized", "uint8"),
    "model.layers.0.mlp.experts.down_proj_bias": ((8, 16), "bias"),
    "model.layers.0.self_attn.q_proj.weight": ((16, 16), "", "bfloat16"),
}
LORA: Tensors = {
    "base_model.model.model.layers.0.q_proj.base_layer.weight": ((16, 16), ""),
    "base_model.model.model.layers.0.q_proj.lora_A.default.weight": ((8, 16), "adapter"),
    "base_model.model.model.layers.0.q_proj.lora_B.default.weight": ((16, 8), "adapter"),
    "base_model.model.score.modules_to_save.default.weight": ((8, 16), "head"),
}
ODD: Tensors = {
    "module.lm_head.weight": ((96, 16), "head"),
    "layers.0._orig_mod.proj.weight": ((16, 16), ""),
    "layers.0.proj2.parametrizations.weight.original": ((16, 16), ""),
    "layers.0.conv.weight_v": ((16, 16, 3), "loose"),
    "led.shared.weight": ((96, 16), "embedding"),
    "ffn.shared.weight": ((64, 16), ""),
    "layers.0.layer_scale": ((16, 1, 1), "quantization"),
    "encoder.relative_attention_bias_layer.bias_values.weight": ((32, 8), "bias"),
    "layers.0.lstm.weight_hh_l0": ((64, 16), "loose"),
    "layers.0.affine.weight": ((16, 16), "norm"),
    "layers.0.affine.bias": ((16, 16), "bias"),
    "layers.0.self_attn.linear_pos.weight": ((16, 16), ""),
    "layers.0.positionwise_feedforward.w_1.weight": ((64, 16), ""),
    "attn.r_w_bias": ((4, 16), "bias"),
    "mask_decoder.mask_tokens.weight": ((8, 16), "token"),
    "lm_heads.0.weight": ((96, 16), "head"),
    "layers.0.mlp.router.classifier.weight": ((8, 16), "router"),
}

ENCODEC: Tensors = {
    "encoder.layers.0.conv.parametrizations.weight.original0": ((16, 1, 1), "loose"),
    "encoder.layers.0.conv.parametrizations.weight.original1": ((16, 16, 7), "loose"),
    "encoder.layers.13.lstm.weight_ih_l0": ((64, 16), "loose"),
    "quantizer.layers.0.codebook.embed": ((32, 16), "embedding"),
}

ARCHITECTURES = {
    name.lower(): tensors
    for name, tensors in list(globals().items())
    if name.isupper() and not name.startswith("_")
}
