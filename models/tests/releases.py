"""Files as the authors of LAPA, UniVLA and villa-X export them, of small sizes, with random values.

Names and shapes are those of their classes; nothing here knows of the renaming under test.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
Weights = dict[str, Tensor]


def affine(name: str, out_width: int, in_width: int) -> Shapes:
    return {f"{name}.weight": (out_width, in_width), f"{name}.bias": (out_width,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def drawn(shapes: Shapes) -> Weights:
    generator = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def laq_attention(null_keys: int, width: int, heads: int, head_dim: int) -> Shapes:
    inner = heads * head_dim
    shapes: Shapes = {"null_kv": (heads, null_keys, head_dim), "to_q.weight": (inner, width)}
    shapes |= {"to_kv.weight": (2 * inner, width), "to_out.weight": (width, inner)}
    shapes |= {"q_scale": (head_dim,), "k_scale": (head_dim,)}
    norms = ("norm.gamma", "norm.beta", "context_norm.gamma", "context_norm.beta")
    return shapes | dict.fromkeys(norms, (width,))


def laq_block(cross: bool, width: int, heads: int, head_dim: int) -> Shapes:
    inner = int(4 * (2 / 3) * width)
    shapes: Shapes = {"0.dsconv.weight": (width, 1, 3, 3, 3), "0.dsconv.bias": (width,)}
    shapes |= under("1", laq_attention(0, width, heads, head_dim))
    shapes |= under("2", laq_attention(4, width, heads, head_dim)) if cross else {}
    shapes |= norm("3.0", width)
    return shapes | {"3.1.weight": (2 * inner, width), "3.4.weight": (width, inner)}


def laq(depth: int = 2) -> Weights:
    """LAPA's state dict: 32 x 32 pixels in patches of 4, 8 codes of 8 dimensions."""
    width, heads, head_dim, code, pixels = 32, 2, 16, 8, 48
    shapes: Shapes = {"vq.codebooks": (8, code)}
    shapes |= affine("spatial_rel_pos_bias.net.0.0", width, 2)
    shapes |= affine("spatial_rel_pos_bias.net.1.0", width, width)
    shapes |= affine("spatial_rel_pos_bias.net.2", heads, width)
    shapes |= norm("to_patch_emb_first_frame.1", pixels) | norm("to_patch_emb_first_frame.3", width)
    shapes |= affine("to_patch_emb_first_frame.2", width, pixels)
    shapes |= affine("to_pixels_first_frame.0", pixels, width)
    shapes |= affine("vq.project_in", code, width) | affine("vq.project_out", width, code)
    for layer in ("vq.cnn_encoder.0", "vq.cnn_encoder.2"):
        shapes |= {f"{layer}.weight": (code, code, 3, 3), f"{layer}.bias": (code,)}
    for part in ("enc_spatial", "enc_temporal", "dec_spatial"):
        block = laq_block(part == "dec_spatial", width, heads, head_dim)
        for layer in range(depth):
            shapes |= under(f"{part}_transformer.layers.{layer}", block)
        shapes |= {f"{part}_transformer.norm_out.{value}": (width,) for value in ("gamma", "beta")}
    weights = drawn(shapes)
    return {k: torch.zeros_like(v) if k.endswith("beta") else v for k, v in weights.items()}


def dinov2(width: int = 96, depth: int = 4, patch: int = 8, side: int = 8) -> Shapes:
    """facebookresearch/dinov2's vision transformer with registers; by default a known size."""
    shapes: Shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + side**2, width)}
    shapes |= {"register_tokens": (1, 4, width), "mask_token": (1, width)}
    shapes |= {
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
    }
    for block in (f"blocks.{i}" for i in range(depth)):
        shapes |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        shapes |= affine(f"{block}.attn.qkv", 3 * width, width)
        shapes |= affine(f"{block}.attn.proj", width, width)
        shapes |= affine(f"{block}.mlp.fc1", 4 * width, width)
        shapes |= affine(f"{block}.mlp.fc2", width, 4 * width)
        shapes |= {f"{block}.ls1.gamma": (width,), f"{block}.ls2.gamma": (width,)}
    return shapes | norm("norm", width)


def t5(width: int = 16, heads: int = 1, hidden: int = 32) -> Shapes:
    """transformers' T5EncoderModel of one block, with the vocabulary of the release."""
    block, inner = "encoder.block.0.layer", 64 * heads
    shapes: Shapes = {"encoder.embed_tokens.weight": (32_128, width)}
    shapes |= {f"{block}.0.SelfAttention.{part}.weight": (inner, width) for part in "qkv"}
    shapes[f"{block}.0.SelfAttention.o.weight"] = (width, inner)
    shapes[f"{block}.0.SelfAttention.relative_attention_bias.weight"] = (32, heads)
    shapes[f"{block}.1.DenseReluDense.wi.weight"] = (hidden, width)
    shapes[f"{block}.1.DenseReluDense.wo.weight"] = (width, hidden)
    norms = (f"{block}.0.layer_norm", f"{block}.1.layer_norm", "encoder.final_layer_norm")
    return shapes | {f"{name}.weight": (width,) for name in norms}


def univla(stage: int, *, width: int = 32, depth: int = 2) -> Weights:
    """UniVLA's state dict with its DINOv2 and, in stage 1, its T5: 4 of 8 codes of 8 dimensions."""
    features, code, texts = 96, 8, 16
    shapes: Shapes = {"action_latent": (1, 1, 4, features), "vq.codebook.weight": (8, code)}
    shapes |= affine("to_codebook", code, width) | affine("action_up", width, code)
    shapes |= affine("patch_up", width, features) | affine("decoder.out", features, width)
    if stage == 1:
        shapes |= affine("lang_proj", width, texts) | under("text_encoder", t5(texts))
    else:
        shapes["action_latent_controllable"] = shapes["action_latent"]
        shapes["vq_action.codebook.weight"] = shapes["vq.codebook.weight"]
        shapes |= affine("to_codebook_uncontrol", code, width)
        shapes |= affine("action_up_uncontrol", width, code)
    for side, attentions in (("encoder", ("spatial", "temporal")), ("decoder", ("spatial",))):
        inputs = features if side == "encoder" else width
        shapes |= norm(f"{side}.ffn.0", inputs) | affine(f"{side}.ffn.1", width, inputs)
        shapes |= norm(f"{side}.ffn.2", width)
        for block in (f"{side}.transformer_blocks.{i}" for i in range(depth)):
            shapes |= affine(f"{block}.ffn.0", 4 * width, width)
            shapes |= affine(f"{block}.ffn.3", width, 4 * width)
            for i in range(len(attentions) + 1):
                shapes |= norm(f"{block}.norm{i + 1}", width)
            for attention in (f"{block}.{name}_attn" for name in attentions):
                shapes |= {f"{attention}.to_{part}.weight": (width, width) for part in "qkv"}
                shapes |= affine(f"{attention}.to_out.0", width, width)
    weights = drawn(shapes | under("dino_encoder", dinov2()))
    if stage == 1:
        embedding = weights["text_encoder.encoder.embed_tokens.weight"]
        weights["text_encoder.shared.weight"] = embedding
    return weights


def villa_attention(width: int) -> Shapes:
    shapes = affine("kv", 2 * width, width) | affine("q", width, width)
    return shapes | affine("proj", width, width)


def villa(width: int = 48, depth: int = 2) -> Weights:
    """villa-X's state dict: 32 x 32 pixels in patches of 8, windows of 4, 32 codes of 8."""
    patch, code, per_head, table = 8, 8, width // 4, (6, width)
    shapes: Shapes = {"vq.embedding.weight": (32, code), "encoder.pe_temporal": (1, 4, width)}
    shapes |= {"encoder.pe_spatial": (1, 16, width), "decoder.pe": (1, 16, width)}
    for part in ("encoder", "decoder"):
        shapes[f"{part}.embed.proj.weight"] = (width, 3, patch, patch)
        shapes |= {f"{part}.embed.proj.bias": (width,), f"{part}.norm.g": (width,)}
    for layer in (f"encoder.layers.{i}" for i in range(depth)):
        shapes |= {f"{layer}.scale_shift_table": table}
        for attention in (f"{layer}.attn", f"{layer}.attn_temp"):
            shapes |= affine(f"{attention}.qkv", 3 * width, width)
            shapes |= affine(f"{attention}.proj", width, width)
            shapes |= norm(f"{attention}.q_norm", per_head) | norm(f"{attention}.k_norm", per_head)
        shapes |= affine(f"{layer}.mlp.fc1", 4 * width, width)
        shapes |= affine(f"{layer}.mlp.fc2", width, 4 * width)
    for layer in (f"decoder.layers.{i}" for i in range(depth)):
        attention = f"{layer}.attn"
        shapes |= under(attention, villa_attention(width))
        shapes |= norm(f"{attention}.q_layernorm", per_head)
        shapes |= norm(f"{attention}.k_layernorm", per_head)
        scales = ("pre_norm_attn.g", "pre_norm_mlp.g", "layer_scale_attn.gamma")
        shapes |= {f"{layer}.{name}": (width,) for name in (*scales, "layer_scale_mlp.gamma")}
        shapes |= affine(f"{layer}.mlp.0.project", 8 * width, width)
        shapes |= affine(f"{layer}.mlp.2", width, 4 * width)
    pool = "encoder.map_block"
    shapes |= {f"{pool}.latents": (4, width), f"{pool}.attn_norm.g": (width,)}
    shapes |= {f"{pool}.mlp_norm.g": (width,)} | under(f"{pool}.attn", villa_attention(width))
    shapes |= affine(f"{pool}.pre_projection", width, width)
    shapes |= affine(f"{pool}.mlp.0.project", 8 * width, width)
    shapes |= affine(f"{pool}.mlp.1", width, 4 * width) | affine(
        f"{pool}.final_proj.0", code, width
    )
    shapes |= affine("decoder.action_embed", width, 4 * code)
    return drawn(shapes | affine("decoder.pred_head", 3 * patch**2, width))


VILLA_CONFIG = {
    "resolution": 32,
    "patch_size": 8,
    "d_t": 4,
    "encoder_depth": 2,
    "encoder_embed_dim": 48,
    "encoder_n_heads": 4,
    "decoder_depth": 2,
    "decoder_n_heads": 4,
    "map_heads": 4,
    "action_latent_dim": 8,
    "num_learned_tokens": 4,
    "n_codes": 32,
}


def weights(layout: str) -> Weights:
    if layout == "lapa":
        return laq()
    return villa() if layout == "villa_x" else univla(1 if layout == "univla_stage1" else 2)


def write(layout: str, content: Weights, folder: Path) -> Path:
    """The file or folder that the layout's authors would publish."""
    folder.mkdir(exist_ok=True)
    if layout == "villa_x":
        save_file(content, folder / "model.safetensors")
        described = {"architecture": "IgorModel", "config": VILLA_CONFIG}
        (folder / "model_config.json").write_text(json.dumps(described))
        return folder
    path = folder / ("laq.pt" if layout == "lapa" else "lam.ckpt")
    prefix = "module." if layout == "lapa" else "lam."
    wrapped = {prefix + name: value for name, value in content.items()}
    torch.save(wrapped if layout == "lapa" else {"state_dict": wrapped, "epoch": 3}, path)
    return path
