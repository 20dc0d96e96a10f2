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
  KvLayer keys;                                   // of one layer, and the next one's in their place
  uint64_t pixels, normed, angles, widest, bytes; // bytes; `widest` are of the largest buffer
};

Shapes shapes_of(const Vision &vision, Extent picture) {
  const PictureEncoder &encoder = vision.encoder();
  const ModelShape &m = encoder.shape();
  const uint32_t n = encoder.n_patches(picture);
  Shapes s{};
  s.keys.n_head_kv = m.n_head_kv;
  s.keys.head_dim = m.head_dim;
  s.keys.capacity = (n + kKvBlock - 1) / kKvBlock * kKvBlock;
  s.keys.f16 = vision.f16_cache();
  s.pixels = (uint64_t(picture.width) * picture.height * 3 + 3) / 4 * 4;
  const uint64_t widest = stride_of(encoder.max_columns()) * sizeof(float);
  s.normed = encoder.n_tokens(picture) * widest;
  s.widest = std::max({s.keys.bytes_each(), s.pixels, n * widest});
  BufferArena counting(n, nullptr);
  (void)encoder.new_state(counting);
  s.angles = std::max(uint64_t(n) * m.rope_dims * sizeof(float), uint64_t(16));
  s.bytes = 2 * s.keys.bytes_each() + s.pixels + s.normed + s.angles + n * 4 + counting.used;
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

Status Vision::plan(Extent picture, uint64_t &bytes) const {
  bytes = shapes_of(*this, picture).bytes;
  return SLM_OK;
}

Status Vision::run(const uint8_t *rgb, Extent extent, std::unique_ptr<Picture> &out) const {
  Shapes shapes = shapes_of(*this, extent);
  if (shapes.widest > gpu_limit())
    return fail(SLM_ERR_OUT_OF_MEMORY, "the activations of a picture take ", shapes.widest,
                " bytes, but this GPU binds at most ", gpu_limit(), "; use the CPU");
  const uint32_t n = encoder_->n_patches(extent);
  auto picture = std::make_unique<GpuPicture>(model_, projector_->sight);
  picture->n = encoder_->n_tokens(extent);
  picture->rows.width = model_.family().shape().n_embd;
  picture->buffer = Buffer(uint64_t(picture->n) * stride_of(picture->rows.width) * sizeof(float));
  picture->rows.data = name_of<float>(picture->buffer.handle());

  Scratch scratch;
  scratch.n_batch = n;
  scratch.batch = Buffer(16);
  scratch.ids = Buffer(n * sizeof(uint32_t));
  scratch.angles[0] = Buffer(shapes.angles); // where nothing is rotated, too
  scratch.max_rope_dims = encoder_->shape().rope_dims;
  scratch.normed = Buffer(shapes.normed);
  std::vector<Buffer> buffers;
  BufferArena arena(n, &buffers);
  const std::unique_ptr<State> state = encoder_->new_state(arena);
  for (void **each : {&shapes.keys.keys, &shapes.keys.values}) {
    buffers.emplace_back(shapes.keys.bytes_each());
    *each = name_of<void>(buffers.back().handle());
  }
  state->cache.push_back(shapes.keys);
  buffers.emplace_back(shapes.pixels);
  const Buffer &pixels = buffers.back();
  upload(pixels, rgb, extent.width * extent.height * 3);
  GpuOps op({nullptr, n, 0}, scratch, weights_, nullptr, false);
  encoder_->forward(op, *state, name_of<uint8_t>(pixels.handle()), extent, picture->rows);
  gpu_submit();
  out = std::move(picture);
  return SLM_OK;
}

} // namespace slm
