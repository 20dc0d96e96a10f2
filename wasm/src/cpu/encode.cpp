// encode.cpp: the encoding of a picture on the CPU; see ../vision.h. Its memory
// is taken for each picture anew: it is many times that of a conversation's
// token, and pictures are rare.
#include <cstring>

#include "../backend.h"
#include "../vision.h"
#include "arena.h"
#include "ops.h"

namespace slm {
namespace {

struct CpuPicture final : Picture {
  using Picture::Picture;
  void read(float *out) const override { std::memcpy(out, rows.data, size_t(n) * rows.width * sizeof(float)); }
  Block memory;
};

struct Shapes {
  KvLayer keys; // of one layer, and the next one's in their place
  Workspace workspace;
  uint64_t cache = 0, activations = 0, scratch = 0; // bytes

  uint64_t bytes() const { return cache + activations + scratch; }
};

Shapes shapes_of(const Vision &vision, Extent picture) {
  const PictureEncoder &encoder = vision.encoder();
  const ModelShape &m = encoder.shape();
  const uint32_t n_patches = encoder.n_patches(picture);
  Shapes s;
  s.keys.n_head_kv = m.n_head_kv;
  s.keys.head_dim = m.head_dim;
  s.keys.capacity = (n_patches + kKvBlock - 1) / kKvBlock * kKvBlock;
  s.keys.f16 = vision.f16_cache();
  s.cache = 2 * s.keys.bytes_each();
  Workspace &w = s.workspace;
  w.n_batch = n_patches;
  w.n_embd = m.n_embd;
  w.max_columns = encoder.max_columns();
  w.max_head_dim = m.head_dim;
  w.n_head = m.n_head;
  w.max_rope_dims = m.rope_dims;
  w.threads = team().size();
  w.n_segments = 1; // only one token alone has several
  w.rounds = vision.rounds();
  s.scratch = w.lay_out(nullptr);
  BlockArena counting(nullptr, n_patches);
  (void)encoder.new_state(counting);
  s.activations = counting.used();
  return s;
}

} // namespace

Status Vision::plan(Extent picture, uint64_t &bytes) const {
  bytes = shapes_of(*this, picture).bytes();
  return SLM_OK;
}

Status Vision::run(const uint8_t *rgb, Extent extent, std::unique_ptr<Picture> &out) const {
  Shapes shapes = shapes_of(*this, extent);
  auto picture = std::make_unique<CpuPicture>(model_, projector_->sight);
  Block cache, activations, scratch;
  SLM_TRY(allocate_zeroed(cache, shapes.cache, "a picture's keys and values"));
  SLM_TRY(allocate(activations, shapes.activations, "a picture's activations"));
  SLM_TRY(allocate(scratch, shapes.scratch, "a picture's scratch memory"));
  picture->n = encoder_->n_tokens(extent);
  picture->rows.width = model_.family().shape().n_embd;
  SLM_TRY(allocate(picture->memory, (uint64_t(picture->n) * picture->rows.width + 4) * sizeof(float), "a picture"));
  picture->rows.data = reinterpret_cast<float *>(picture->memory.get());
  shapes.workspace.lay_out(scratch.get());
  BlockArena arena(activations.get(), encoder_->n_patches(extent));
  const std::unique_ptr<State> state = encoder_->new_state(arena);
  shapes.keys.keys = cache.get();
  shapes.keys.values = cache.get() + shapes.keys.bytes_each();
  state->cache.push_back(shapes.keys);
  struct Job {
    const PictureEncoder *encoder;
    Workspace *workspace;
    State *state;
    const uint8_t *rgb;
    Extent extent;
    Rows out;
  };
  team().run<Job>(
      [](const Job &j, uint32_t thread, uint64_t step) {
        CpuOps op(team(), thread, step, {nullptr, j.encoder->n_patches(j.extent), 0}, *j.workspace);
        j.encoder->forward(op, *j.state, j.rgb, j.extent, j.out);
      },
      {encoder_.get(), &shapes.workspace, state.get(), rgb, extent, picture->rows});
  settle(); // threads that are late still read what goes now
  out = std::move(picture);
  return SLM_OK;
}

} // namespace slm
