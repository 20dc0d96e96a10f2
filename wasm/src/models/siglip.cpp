// siglip.cpp: see siglip.h. A vision transformer (Dosovitskiy et al. 2021) with
// norms before attention and feed-forward, biases everywhere and a learned table
// of positions. Gemma 3 pools its rows by 4 x 4, normalizes and projects them;
// PaliGemma projects each; Idefics 3 and SmolVLM put those of a square behind one
// another ("pixel shuffle") and project that. Names are llama.cpp's, PaliGemma's
// of which it has none follow Gemma 3's.
#include "siglip.h"

#include <algorithm>

namespace slm {
namespace {

constexpr Projector kProjectors[] = {
    {Projector::Kind::Pooled, "gemma3", {"gemma3"}, {.both_ways = true}, 4},
    {Projector::Kind::Linear, "paligemma", {"gemma", "gemma2"}, {.both_ways = true, .whole_prompt = true}, 1},
    {Projector::Kind::Shuffled, "idefics3", {"llama"}, {}, 2},
};

// 4096 are those of 896 x 896 pixels, the largest that is published; activations grow with them, attention with
// their square.
constexpr uint32_t kMaxPatches = 4096, kMaxSide = 8192, kMaxPatch = 128, kMaxFactor = 16;

struct SiglipState : State {
  Rows patches;           // 3 * patch_size * patch_size
  Rows x, normed;         // n_embd
  Rows q, k, v, attended; // n_embd
  Rows up;                // n_ff
  Rows merged;            // n_merged, and fewer of them than patches
};

Status find_projector(std::string_view name, std::string_view architecture, const Projector *&out) {
  std::string known;
  for (const Projector &p : kProjectors) {
    known.append(known.empty() ? "" : ", ").append(p.name);
    if (p.name != name) continue;
    out = &p;
    for (const std::string_view a : p.architectures)
      if (a == architecture) return SLM_OK;
    return fail(SLM_ERR_BAD_FILE, "the encoder's projector '", name, "' was not trained with a model of architecture '",
                architecture, "'; give the encoder that belongs to this model");
  }
  return fail(SLM_ERR_UNSUPPORTED, "the projector '", name, "' is not supported; supported are ", known);
}

} // namespace

Status Siglip::load(Loader &loader, std::string_view projector, std::string_view architecture, const ModelShape &text) {
  SLM_TRY(find_projector(projector, architecture, projector_));
  ModelShape &s = c.shape;
  SLM_TRY(loader.number("embedding_length", s.n_embd));
  SLM_TRY(loader.number("feed_forward_length", s.n_ff));
  SLM_TRY(loader.number("block_count", s.n_layer));
  SLM_TRY(loader.number("attention.head_count", s.n_head));
  SLM_TRY(loader.number("attention.layer_norm_epsilon", c.norm_epsilon, 1e-6f));
  SLM_TRY(loader.number("image_size", c.image_size));
  SLM_TRY(loader.number("patch_size", c.patch_size));
  SLM_TRY(loader.number("projector.scale_factor", c.factor, projector_->factor));
  SLM_TRY(loader.between("embedding_length", s.n_embd, 8, 1u << 14));
  SLM_TRY(loader.between("feed_forward_length", s.n_ff, 1, 1u << 16));
  SLM_TRY(loader.between("block_count", s.n_layer, 1, 1024));
  SLM_TRY(loader.between("attention.head_count", s.n_head, 1, s.n_embd));
  SLM_TRY(loader.between("image_size", c.image_size, 1, kMaxSide));
  SLM_TRY(loader.between("patch_size", c.patch_size, 1, std::min(c.image_size, kMaxPatch)));
  SLM_TRY(loader.between("projector.scale_factor", c.factor, 1, kMaxFactor));
  s.n_head_kv = s.n_head;
  s.head_dim = s.n_embd / s.n_head;
  c.side = c.image_size / c.patch_size; // pixels behind the last whole patch are cut off
  if (s.n_embd % s.n_head != 0 || s.head_dim % 8 != 0 || s.head_dim > 512)
    return fail(SLM_ERR_UNSUPPORTED, "an encoder's ", s.n_head, " attention heads of ", s.n_embd,
                " columns together are not supported; each should have a multiple of 8, up to 512");
  if (c.side * c.side > kMaxPatches || c.side % c.factor != 0)
    return fail(SLM_ERR_UNSUPPORTED, "pictures of ", c.side, " x ", c.side, " patches, merged by ", c.factor,
                ", are not supported; at most ", kMaxPatches, " in whole squares are");
  c.n_merged = projector_->kind == Projector::Kind::Shuffled ? s.n_embd * c.factor * c.factor : s.n_embd;
  SLM_TRY(loader.between("embedding_length", c.n_merged, 1, Loader::kMaxWidth));
  if (projector_->kind == Projector::Kind::Linear && c.factor != 1)
    return fail(SLM_ERR_UNSUPPORTED, "the projector '", projector, "' merges no rows, but the file says ", c.factor);
  c.pixels.side = c.image_size;
  SLM_TRY(loader.numbers("image_mean", c.pixels.mean));
  SLM_TRY(loader.numbers("image_std", c.pixels.deviation));
  for (const float deviation : c.pixels.deviation)
    if (!(deviation > 0))
      return fail(SLM_ERR_BAD_FILE, "'clip.vision.image_std' should be above zero; convert the model again");

  SLM_TRY(loader.patches("v.patch_embd", s.n_embd, c.patch_size, w.patches));
  SLM_TRY(loader.linear(-1, "v.position_embd", n_patches(), s.n_embd, w.positions));
  // Files of before 2025 have the two matrices under each other's names.
  const bool swapped = s.n_ff != s.n_embd && loader.columns(0, "ffn_down") == s.n_embd;
  w.layers.resize(s.n_layer);
  for (uint32_t i = 0; i < s.n_layer; i++)
    SLM_TRY(load_layer(loader, static_cast<int>(i), swapped, w.layers[i]));
  w.norm.epsilon = c.norm_epsilon;
  SLM_TRY(loader.layernorm(-1, "v.post_ln", s.n_embd, w.norm));
  return load_projection(loader, text.n_embd);
}

Status Siglip::load_layer(Loader &loader, int at, bool swapped, Layer &l) const {
  const uint32_t n = c.shape.n_embd, n_ff = c.shape.n_ff;
  l.norm.epsilon = l.ffn_norm.epsilon = c.norm_epsilon;
  SLM_TRY(loader.layernorm(at, "ln1", n, l.norm));
  SLM_TRY(loader.linear_with_bias(at, "attn_q", n, n, l.q));
  SLM_TRY(loader.linear_with_bias(at, "attn_k", n, n, l.k));
  SLM_TRY(loader.linear_with_bias(at, "attn_v", n, n, l.v));
  SLM_TRY(loader.linear_with_bias(at, "attn_out", n, n, l.output));
  SLM_TRY(loader.layernorm(at, "ln2", n, l.ffn_norm));
  SLM_TRY(loader.linear_with_bias(at, swapped ? "ffn_down" : "ffn_up", n_ff, n, l.up));
  return loader.linear_with_bias(at, swapped ? "ffn_up" : "ffn_down", n, n_ff, l.down);
}

Status Siglip::load_projection(Loader &loader, uint32_t n_out) {
  switch (projector_->kind) {
  case Projector::Kind::Pooled:
    SLM_TRY(loader.vector(-1, "mm.soft_emb_norm", c.shape.n_embd, w.merged_norm));
    return loader.turned("mm.input_projection", n_out, c.n_merged, w.projection);
  case Projector::Kind::Linear:
    return loader.linear_with_bias(-1, "mm.input_projection", n_out, c.n_merged, w.projection);
  case Projector::Kind::Shuffled:
    return loader.linear_with_bias(-1, "mm.model.fc", n_out, c.n_merged, w.projection);
  }
}

uint32_t Siglip::max_columns() const {
  return std::max({c.shape.n_embd, c.shape.n_ff, c.n_merged, 3 * c.patch_size * c.patch_size});
}

std::unique_ptr<State> Siglip::new_state(Arena &arena) const {
  auto s = std::make_unique<SiglipState>();
  s->patches = arena.rows(3 * c.patch_size * c.patch_size);
  for (Rows *rows : {&s->x, &s->normed, &s->q, &s->k, &s->v, &s->attended})
    *rows = arena.rows(c.shape.n_embd);
  s->up = arena.rows(c.shape.n_ff);
  if (projector_->kind != Projector::Kind::Linear) s->merged = arena.rows(c.n_merged);
  return s;
}

void Siglip::forward(Ops &op, State &state, const uint8_t *rgb, Rows out) const {
  SiglipState &s = static_cast<SiglipState &>(state);
  const ModelShape &m = c.shape;
  AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, nullptr};
  attention.scale = inverse_sqrt(m.head_dim);
  attention.ahead = UINT32_MAX;
  Pixels pixels = c.pixels;
  pixels.rgb = rgb;

  op.patches(pixels, c.patch_size, s.patches);
  op.matmul({s.patches}, {{w.patches, s.x}});
  op.add_embedding(w.positions.weight, Index::Position, s.x);
  for (const Layer &l : w.layers) {
    op.layernorm(l.norm, s.x, s.normed);
    op.matmul({s.normed}, {{l.q, s.q}, {l.k, s.k}, {l.v, s.v}});
    op.attention(s.q, s.k, s.v, attention, s.cache[0], s.attended);
    op.matmul_add({s.attended}, l.output, s.x);
    op.layernorm(l.ffn_norm, s.x, s.normed);
    op.matmul({s.normed}, {{l.up, s.up}});
    op.gelu(s.up, GeluForm::Tanh);
    op.matmul_add({s.up}, l.down, s.x);
  }
  op.layernorm(w.norm, s.x, s.x);
  switch (projector_->kind) {
  case Projector::Kind::Pooled:
    op.merge_rows(s.x, c.side, c.factor, Merge::Mean, s.merged);
    return op.matmul({s.merged, w.merged_norm, c.norm_epsilon}, {{w.projection, out}});
  case Projector::Kind::Linear:
    return op.matmul({s.x}, {{w.projection, out}});
  case Projector::Kind::Shuffled:
    op.merge_rows(s.x, c.side, c.factor, Merge::Concatenation, s.merged);
    return op.matmul({s.merged}, {{w.projection, out}});
  }
}

} // namespace slm
