// encode.cpp: the encoding of a picture on the GPU; see ../vision.h. Its buffers
// are made for each picture anew, and go when the device has done with them; the
// rows stay there, where sessions copy them from.
#include <algorithm>
#include <cstring>

#include "../vision.h"
#include "arena.h"
#include "ops.h"

namespace slm {
namespace {

struct GpuPicture final : Picture {
  using Picture::Picture;
  void read(float *out) const override {
    for (uint32_t i = 0; i < n; i++)
      gpu_read(buffer.handle(), i * stride_of(rows.width) * 4, rows.width * 4, out + size_t(i) * rows.width);
  }
  Buffer buffer;
};

struct Shapes {
  KvLayer keys;                           // of one layer, and the next one's in their place
  uint64_t pixels, normed, widest, bytes; // bytes; `widest` are of the largest buffer
};

Shapes shapes_of(const Vision &vision) {
  const Siglip &siglip = vision.siglip();
  const ModelShape &m = siglip.shape();
  const uint32_t n = siglip.n_patches();
  Shapes s{};
  s.keys.n_head_kv = m.n_head_kv;
  s.keys.head_dim = m.head_dim;
  s.keys.capacity = (n + kKvBlock - 1) / kKvBlock * kKvBlock;
  s.keys.f16 = vision.f16_cache();
  s.pixels = (uint64_t(siglip.image_size()) * siglip.image_size() * 3 + 3) / 4 * 4;
  const uint64_t widest = stride_of(siglip.max_columns()) * sizeof(float);
  s.normed = siglip.n_tokens() * widest;
  s.widest = std::max({s.keys.bytes_each(), s.pixels, n * widest});
  BufferArena counting(n, nullptr);
  (void)siglip.new_state(counting);
  s.bytes = 2 * s.keys.bytes_each() + s.pixels + s.normed + n * 4 + counting.used;
  return s;
}

/// A host writes whole words.
void upload(const Buffer &buffer, const uint8_t *bytes, uint32_t n) {
  gpu_upload(buffer.handle(), 0, bytes, n / 4 * 4);
  if (n % 4 == 0) return;
  uint8_t last[4] = {};
  std::memcpy(last, bytes + n / 4 * 4, n % 4);
  gpu_upload(buffer.handle(), n / 4 * 4, last, 4);
}

} // namespace

Status Vision::plan(uint64_t &bytes) const {
  bytes = shapes_of(*this).bytes;
  return SLM_OK;
}

Status Vision::run(const uint8_t *rgb, std::unique_ptr<Picture> &out) const {
  Shapes shapes = shapes_of(*this);
  if (shapes.widest > gpu_limit())
    return fail(SLM_ERR_OUT_OF_MEMORY, "the activations of a picture take ", shapes.widest,
                " bytes, but this GPU binds at most ", gpu_limit(), "; use the CPU");
  const uint32_t n = siglip_.n_patches(), side = siglip_.image_size();
  auto picture = std::make_unique<GpuPicture>(model_, siglip_.projector().sight);
  picture->n = siglip_.n_tokens();
  picture->rows.width = model_.family().shape().n_embd;
  picture->buffer = Buffer(uint64_t(picture->n) * stride_of(picture->rows.width) * sizeof(float));
  picture->rows.data = name_of<float>(picture->buffer.handle());

  Scratch scratch;
  scratch.n_batch = n;
  scratch.batch = Buffer(16);
  scratch.ids = Buffer(n * sizeof(uint32_t));
  scratch.angles[0] = Buffer(16); // nothing is rotated
  scratch.normed = Buffer(shapes.normed);
  std::vector<Buffer> buffers;
  BufferArena arena(n, &buffers);
  const std::unique_ptr<State> state = siglip_.new_state(arena);
  for (void **each : {&shapes.keys.keys, &shapes.keys.values}) {
    buffers.emplace_back(shapes.keys.bytes_each());
    *each = name_of<void>(buffers.back().handle());
  }
  state->cache.push_back(shapes.keys);
  buffers.emplace_back(shapes.pixels);
  const Buffer &pixels = buffers.back();
  upload(pixels, rgb, side * side * 3);
  GpuOps op({nullptr, n, 0}, scratch, weights_, nullptr, false);
  siglip_.forward(op, *state, name_of<uint8_t>(pixels.handle()), picture->rows);
  gpu_submit();
  out = std::move(picture);
  return SLM_OK;
}

} // namespace slm
