// ops.cpp: see ops.h.
#include "ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

namespace slm {

GpuOps::Form GpuOps::form = Form::Sweep;

namespace {

/// Workgroups over the first two dimensions.
void spread(uint32_t workgroups, uint32_t (&grid)[3]) {
  grid[1] = (workgroups + kMostWorkgroups - 1) / kMostWorkgroups;
  grid[0] = (workgroups + grid[1] - 1) / grid[1];
}

constexpr uint32_t divided(uint32_t n, uint32_t by) { return (n + by - 1) / by; }

/// The first position that a token at `position` sees.
uint32_t first_seen(uint32_t window, uint32_t position) {
  return window != 0 && position + 1 > window ? position + 1 - window : 0;
}

} // namespace

/// Many, but few that find nothing to do in the last round.
uint32_t GpuOps::lanes_for(uint32_t columns) {
  uint32_t best = 8;
  const uint32_t blocks = divided(columns, kBlock);
  for (uint32_t lanes = 8; lanes <= 64; lanes *= 2)
    if (blocks * 4 >= divided(blocks, lanes) * lanes * 3) best = lanes;
  return best;
}

/// Rows share x, as far as there are enough of them to keep a device busy; with more tokens a shader of four would
/// need too many registers.
uint32_t GpuOps::rows_at_once(uint32_t units, uint32_t n_tokens) {
  return units >= 4096 && n_tokens == 1 ? 4 : units >= 1024 ? 2 : 1;
}

void GpuOps::rotations(std::initializer_list<const Rope *> ropes, uint32_t across) {
  for (const Rope *rope : ropes) {
    const uint32_t half = rope->n_dims / 2, stride = scratch_.max_rope_dims;
    std::vector<float> &angles = scratch_.host_angles;
    angles.resize(size_t(batch_.n) * stride);
    for (uint32_t t = 0; t < batch_.n; t++)
      for (uint32_t i = 0; i < half; i++) {
        const float angle = rope->angle(i, batch_.past + t - batch_.read, across, scratch_.n_ctx);
        float *out = angles.data() + size_t(t) * stride + i * 2;
        out[0] = std::cos(angle) * rope->magnitude;
        out[1] = std::sin(angle) * rope->magnitude;
      }
    gpu_upload(scratch_.angles[rope->index].handle(), 0, angles.data(), batch_.n * stride * 4);
  }
}

void GpuOps::look_up(const Matrix &m, const WeightStore::Kept &kept, uint32_t index, bool add, float factor, uint32_t x,
                     uint32_t across) {
  const Placement &place = placement(m);
  for (const Part &part : place.parts) {
    gpu::Embed op;
    op.format = static_cast<uint32_t>(m.type);
    op.INDEX = index, op.ADD = add;
    spread(divided(batch_.n * place.blocks, 64), op.grid);
    op.heap4 = op.heap = kept.heaps[part.heap];
    op.ids = scratch_.ids.handle();
    op.x = x;
    std::copy_n(part.at, 4, op.at);
    op.blocks = place.blocks;
    op.first_row = part.first_row, op.rows = part.rows;
    op.n = batch_.n;
    op.factor = factor;
    op.across = across, op.half = m.rows / 2;
    gpu_encode(&op);
  }
}

void GpuOps::add_embedding(const Matrix &table, Index index, Rows x, uint32_t across) {
  look_up(table, kept_, 1 + static_cast<uint32_t>(index), true, 1, handle_of(x.data), across);
}

void GpuOps::copy_floats(uint32_t src, uint32_t dst, uint32_t to, uint32_t n, uint32_t from) {
  gpu::Copy op;
  op.n = n, op.to = to, op.first = from;
  op.grid[0] = std::min(divided(n, 256), kMostWorkgroups);
  op.src = src, op.dst = dst;
  gpu_encode(&op);
}

void GpuOps::layernorm(const LayerNorm &norm, Rows x, Rows out) {
  if (out.data != x.data) copy_floats(handle_of(x.data), handle_of(out.data), 0, batch_.n * stride_of(x.width));
  gpu::Layernorm op;
  op.grid[0] = batch_.n;
  op.vectors = kept_.vectors, op.x = handle_of(out.data);
  op.width = x.width;
  op.stride = stride_of(x.width);
  op.weight = kept_.vector_at(norm.weight), op.bias = kept_.vector_at(norm.bias);
  op.epsilon = norm.epsilon;
  gpu_encode(&op);
}

void GpuOps::gelu(Rows x, GeluForm which) {
  gpu::Gelu op;
  op.TANH = which == GeluForm::Tanh;
  op.x = handle_of(x.data);
  op.n = batch_.n * stride_of(x.width);
  spread(divided(op.n, 256), op.grid);
  gpu_encode(&op);
}

void GpuOps::embed(const Matrix &table, float factor, Rows out) {
  look_up(table, kept_, 0, false, factor, handle_of(out.data));
  if (adapted_ != nullptr) adapt_embedding(factor, out);
  const uint32_t stride = stride_of(out.width);
  for (const Placed &p : batch_.pictures)
    copy_floats(handle_of(p.rows.data), handle_of(out.data), p.first * stride, p.n * stride, p.from * stride);
}

void GpuOps::adapt_embedding(float factor, Rows out) {
  for (const Adaptation::Use &use : adapted_->uses)
    if (const LowRank *l = use.adapter->find_embedding(); l != nullptr) {
      const WeightStore::Kept &kept = use.adapter->weights().kept();
      const uint32_t lowered = scratch_.lowered.handle(), rank = l->a.columns;
      look_up(l->a, kept, 0, false, 1, lowered);
      const From f{lowered, stride_of(rank), 0, batch_.n, blocks_of(rank), rank};
      const To to{&l->b, &kept, handle_of(out.data), stride_of(out.width), kNone};
      multiply(f, &to, 1, Add, 0, use.scale * l->scale * factor);
    }
}

void GpuOps::rmsnorm(const Input &x, Rows out, uint32_t first) {
  From f = from(x, batch_.n);
  f.width = out.width;
  normalize(f, first, handle_of(out.data), stride_of(out.width));
}

/// Few of very many rows: this side of the device reads them from its own memory.
void GpuOps::embed(const RowTable &table, float factor, Rows out) {
  const uint32_t stride = stride_of(out.width), slices = table.columns / table.slice();
  std::vector<float> &rows = scratch_.host_rows;
  rows.assign(size_t(batch_.n) * stride, 0);
  for (uint32_t t = 0; t < batch_.n; t++) {
    float *row = rows.data() + size_t(t) * stride;
    const bool shown = std::any_of(batch_.pictures.begin(), batch_.pictures.end(),
                                   [&](const Placed &p) { return t >= p.first && t - p.first < p.n; });
    for (uint32_t i = 0; i < slices; i++)
      table.read(shown ? 0 : static_cast<uint32_t>(batch_.ids[t]), i, row + i * table.slice());
    for (uint32_t c = 0; c < table.columns; c++)
      row[c] *= factor;
  }
  gpu_upload(handle_of(out.data), 0, rows.data(), static_cast<uint32_t>(rows.size() * sizeof(float)));
}

void GpuOps::add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x, float factor) {
  gpu::AddRmsnorm op;
  op.grid[0] = op.n = batch_.n;
  op.y = handle_of(y.data), op.x = handle_of(x.data), op.vectors = kept_.vectors;
  op.width = x.width;
  op.stride = stride_of(x.width);
  op.weight = kept_.vector_at(weight);
  op.epsilon = epsilon;
  op.factor = factor;
  gpu_encode(&op);
}

void GpuOps::add_rmsnorm_slices(Rows y, const float *weight, uint32_t width, float epsilon, Rows x) {
  gpu::AddRmsnorm op;
  // Slices are whole blocks, so that they follow each other like rows.
  op.n = batch_.n * (x.width / width);
  spread(op.n, op.grid);
  op.y = handle_of(y.data), op.x = handle_of(x.data), op.vectors = kept_.vectors;
  op.width = width;
  op.stride = stride_of(width);
  op.weight = kept_.vector_at(weight);
  op.epsilon = epsilon;
  op.factor = 1;
  gpu_encode(&op);
}

void GpuOps::accumulate(Rows x, Rows y) { combine(handle_of(x.data), batch_.n, 1, y); }
void GpuOps::copy(Rows from, Rows to) { combine(handle_of(from.data), batch_.n, 0, to); }
void GpuOps::difference(Rows x, Rows y) { combine(handle_of(x.data), batch_.n, -1, y); }
void GpuOps::add_row(const float *row, Rows x) { combine(handle_of(row), 1, 1, x); }

void GpuOps::combine(uint32_t x, uint32_t n, float factor, Rows y) {
  const uint32_t quads = stride_of(y.width) / 4;
  gpu::Combine op;
  op.n = batch_.n * quads;
  op.period = n * quads;
  op.factor = factor;
  spread(divided(op.n, 256), op.grid);
  op.x = x, op.y = handle_of(y.data);
  gpu_encode(&op);
}

// ---- products -----------------------------------------------------------------------

GpuOps::From GpuOps::from(const Input &x, uint32_t n) const {
  return {handle_of(x.rows.data), stride_of(x.rows.width), batch_.n - n, n, blocks_of(x.rows.width),
          x.rows.width,           kept_.vector_at(x.norm), x.epsilon};
}

GpuOps::From GpuOps::normalized(const From &f) { return f.norm == kNone || f.n <= kFewTokens ? f : normalize(f); }

GpuOps::From GpuOps::normalize(const From &f) { return normalize(f, 0, scratch_.normed.handle(), f.stride); }

GpuOps::From GpuOps::normalize(const From &f, uint32_t first, uint32_t out, uint32_t stride) {
  gpu::Rmsnorm op;
  op.grid[0] = f.n;
  op.PLAIN = f.norm == kNone;
  op.x = f.x, op.vectors = kept_.vectors, op.out = out;
  op.width = f.width;
  op.x_stride = f.stride, op.stride = stride;
  op.first = f.first_token * f.stride + first;
  op.weight = f.norm;
  op.epsilon = f.epsilon;
  gpu_encode(&op);
  return {op.out, stride, 0, f.n, f.blocks, f.width};
}

GpuOps::To GpuOps::to(const Linear &linear, Rows out) const {
  return {&linear.weight, &kept_, handle_of(out.data), stride_of(out.width), kept_.vector_at(linear.bias)};
}

template <class Operation>
void GpuOps::encode_few(Operation &op, const From &f, const To *to, uint32_t count, Finish finish, float cap,
                        float scale) {
  constexpr bool sweeps = !std::is_same_v<Operation, gpu::MatvecLane>;
  const bool paired = finish == Silu || finish == Gelu;
  const size_t parts = count > 1 ? 1 : placement(*to[0].w).parts.size();
  for (size_t i = 0; i < parts; i++) {
    op.format = static_cast<uint32_t>(to[0].w->type);
    op.heap4 = op.heap = to[0].kept->heaps[placement(*to[0].w).parts[i].heap];
    op.x = f.x, op.vectors = kept_.vectors;
    uint32_t units = 0;
    uint32_t *const ats[] = {op.at0, op.at1, op.at2}, *const ys[] = {&op.y0, &op.y1, &op.y2};
    for (uint32_t p = 0; p < count; p++) {
      const Part &part = placement(*to[p].w).parts[i];
      std::copy_n(part.at, 4, ats[p]);
      if (!paired || p == 0) *ys[p] = to[p].y;
      op.rows[p] = part.rows, op.first_row[p] = part.first_row;
      op.bias[p] = to[p].bias;
      op.y_stride[p] = to[p].y_stride;
      // A workgroup that sweeps never has rows of two products.
      const uint32_t rows = sweeps ? divided(part.rows, kRows) * kRows : part.rows;
      units = paired ? rows : units + rows;
    }
    op.TOKENS = f.n == 1 ? 1 : kFewTokens;
    op.PRODUCTS = count;
    op.FINISH = finish;
    op.NORM = f.norm != kNone;
    op.blocks = f.blocks, op.width = f.width;
    op.x_stride = f.stride;
    op.first_token = f.first_token;
    op.n = f.n;
    op.norm = f.norm, op.epsilon = f.epsilon;
    op.cap = cap, op.scale = scale;
    if constexpr (sweeps) {
      // With more tokens a workgroup's share of x has fewer blocks; see sweep.wgsl.
      op.LANES = std::min(lanes_for(f.width), 64 / op.TOKENS);
      op.ROWS = rows_at_once(units, f.n);
      spread(divided(units, 64 / op.LANES * op.ROWS), op.grid);
    } else {
      spread(divided(units, 64), op.grid);
      op.grid[2] = divided(f.n, op.TOKENS);
    }
    gpu_encode(&op);
  }
}

void GpuOps::multiply_few(const From &f, const To *to, uint32_t count, Finish finish, float cap, float scale) {
  const auto encode = [&](auto op) { encode_few(op, f, to, count, finish, cap, scale); };
  if (form_ == Form::Lane)
    encode(gpu::MatvecLane());
  else if (form_ == Form::Dot8 && is_quantized(to[0].w->type))
    encode(gpu::MatvecDot8());
  else if (form_ == Form::Subgroup)
    encode(gpu::MatvecSubgroup());
  else
    encode(gpu::Matvec());
}

void GpuOps::multiply_many(const From &f, const To &to, Finish finish, float cap, float scale) {
  for (const Part &part : placement(*to.w).parts) {
    gpu::Matmul op;
    op.format = static_cast<uint32_t>(to.w->type);
    op.grid[0] = divided(part.rows, 64), op.grid[1] = divided(f.n, 64);
    op.heap4 = op.heap = to.kept->heaps[part.heap];
    op.x = f.x, op.vectors = kept_.vectors, op.y = to.y;
    op.FINISH = finish;
    std::copy_n(part.at, 4, op.at);
    op.rows = part.rows, op.first_row = part.first_row;
    op.bias = to.bias;
    op.y_stride = to.y_stride;
    op.blocks = f.blocks;
    op.x_stride = f.stride;
    op.first_token = f.first_token;
    op.n = f.n;
    op.cap = cap, op.scale = scale;
    gpu_encode(&op);
  }
}

/// Neighbours among the products whose weights lie together become one dispatch.
void GpuOps::multiply(const From &f, const To *to, uint32_t count, Finish finish, float cap, float scale) {
  const auto together = [&](const To &a, const To &b) {
    const Placement &one = placement(*a.w), &other = placement(*b.w);
    return a.w->type == b.w->type && one.parts.size() == 1 && other.parts.size() == 1 &&
           one.parts[0].heap == other.parts[0].heap;
  };
  for (uint32_t p = 0; p < count;) {
    uint32_t run = 1;
    if (!are_few(f.n))
      multiply_many(f, to[p], finish, cap, scale);
    else {
      while (p + run < count && together(to[p], to[p + run]))
        run++;
      multiply_few(f, to + p, run, finish, cap, scale);
    }
    p += run;
  }
}

bool GpuOps::is_adapted(std::initializer_list<Product> products) const {
  if (adapted_ != nullptr)
    for (const Adaptation::Use &use : adapted_->uses)
      for (const Product &p : products)
        if (use.adapter->find(p.linear.slot) != nullptr) return true;
  return false;
}

void GpuOps::adapt(const From &f, const Product &product, Finish last, float factor, float cap) {
  uint32_t left = 0;
  for (const Adaptation::Use &use : adapted_->uses)
    left += use.adapter->find(product.linear.slot) != nullptr;
  for (const Adaptation::Use &use : adapted_->uses)
    if (const LowRank *l = use.adapter->find(product.linear.slot); l != nullptr) {
      const WeightStore::Kept &kept = use.adapter->weights().kept();
      const uint32_t rank = l->a.rows;
      const To lowered{&l->a, &kept, scratch_.lowered.handle(), stride_of(rank), kNone};
      multiply(f, &lowered, 1, Store, 0, 1);
      const From from_lowered{lowered.y, lowered.y_stride, 0, f.n, blocks_of(rank), rank};
      // Of a tensor that holds several products' rows, those of this one.
      Placement rows{};
      Matrix b = l->b;
      if (const uint32_t n = product.linear.weight.rows; n != b.rows) {
        rows = part_of(l->b, product.linear.from, n);
        b.rows = n, b.data = reinterpret_cast<uint8_t *>(&rows);
      }
      const To raised{&b, &kept, handle_of(product.out.data), stride_of(product.out.width), kNone};
      multiply(from_lowered, &raised, 1, --left == 0 ? last : Add, cap, use.scale * l->scale * factor);
    }
}

void GpuOps::products(const Input &x, uint32_t n, std::initializer_list<Product> list, Finish finish, float factor,
                      float cap) {
  const From f = normalized(from(x, n));
  To to_[kMaxProducts];
  uint32_t count = 0;
  for (const Product &p : list)
    to_[count++] = to(p.linear, p.out);
  if (!is_adapted(list)) return multiply(f, to_, count, finish, cap, factor);
  for (const Product &p : list) {
    const To one = to(p.linear, p.out);
    const bool own = is_adapted({p});
    multiply(f, &one, 1, own && finish == Cap ? Store : finish, cap, factor);
    if (own) adapt(f, p, finish == Cap ? AddCap : Add, factor, cap);
  }
}

void GpuOps::matmul(const Input &x, std::initializer_list<Product> list) { products(x, batch_.n, list, Store); }

void GpuOps::matmul_add(const Input &x, const Linear &w, Rows sum, float factor) {
  products(x, batch_.n, {{w, sum}}, Add, factor);
}

void GpuOps::matmul_tanh(const Input &x, const Linear &w, float factor, Rows out) {
  products(x, batch_.n, {{w, out}}, Cap, factor, 1);
}

void GpuOps::glu(const Input &x, const Linear &gate, const Linear &up, Glu act, Rows out) {
  const Placement &one = placement(gate.weight), &other = placement(up.weight);
  const bool together = gate.weight.type == up.weight.type && one.parts.size() == 1 && other.parts.size() == 1 &&
                        one.parts[0].heap == other.parts[0].heap;
  const Rows apart{name_of<float>(scratch_.up.handle()), out.width};
  if (are_few(batch_.n) && together && !is_adapted({{gate, out}, {up, out}})) {
    const From f = from(x, batch_.n);
    const To both[] = {to(gate, out), to(up, out)};
    return multiply_few(f, both, 2, act == Glu::Silu ? Silu : Gelu, 0, 1);
  }
  products(x, batch_.n, {{gate, out}, {up, apart}}, Store);
  glu(apart, act, out);
}

void GpuOps::glu(Rows up, Glu act, Rows gate) {
  gpu::Glu op;
  op.GELU = act == Glu::Gelu;
  op.n = batch_.n * stride_of(gate.width);
  spread(divided(op.n, 256), op.grid);
  op.up = handle_of(up.data), op.gate = handle_of(gate.data);
  op.quads = op.n / 4;
  gpu_encode(&op);
}

void GpuOps::clip(Rows x, float low, float high) {
  gpu::Clip op;
  op.x = handle_of(x.data);
  op.n = batch_.n * stride_of(x.width);
  spread(divided(op.n, 256), op.grid);
  // A shader knows no infinity; what pads a row is zero, and nobody reads it as anything else.
  op.low = std::fmax(low, -std::numeric_limits<float>::max());
  op.high = std::fmin(high, std::numeric_limits<float>::max());
  gpu_encode(&op);
}

void GpuOps::gate(const Input &x, const Linear &gate, Glu act, Rows by, uint32_t first, Rows out) {
  products(x, batch_.n, {{gate, out}}, Store);
  gpu::Glu op;
  op.GELU = act == Glu::Gelu;
  op.n = batch_.n * stride_of(out.width);
  spread(divided(op.n, 256), op.grid);
  op.up = handle_of(by.data), op.gate = handle_of(out.data);
  op.quads = stride_of(out.width) / 4;
  op.up_quads = stride_of(by.width) / 4, op.up_first = first / 4;
  gpu_encode(&op);
}

/// Rows lie at a buffer's beginning, so that those that are left have to move there.
uint32_t GpuOps::keep_last(uint32_t n, std::initializer_list<Rows *> rows) {
  const uint32_t left_out = batch_.n - n;
  if (n > left_out || is_tapped()) return batch_.n; // they would overlap
  for (Rows *r : rows) {
    gpu::LastRows op;
    const uint32_t quads = stride_of(r->width) / 4;
    op.x = handle_of(r->data);
    op.n = n * quads, op.first = left_out * quads;
    op.grid[0] = std::min(divided(op.n, 256), kMostWorkgroups);
    if (op.n != 0) gpu_encode(&op);
  }
  first_ += left_out;
  batch_ = {batch_.ids == nullptr ? nullptr : batch_.ids + left_out, n, batch_.past + left_out};
  return n;
}

void GpuOps::pool(const Input &x, Pooling how, Rows out) {
  From f = from(x, batch_.n);
  if (how != Pooling::Mean) f.first_token = how == Pooling::Last ? batch_.n - 1 : 0, f.n = 1;
  if (f.norm != kNone) f = normalize(f);
  gpu::Pool op;
  op.x = f.x, op.out = handle_of(out.data);
  op.stride = f.stride;
  op.quads = divided(f.width, 4);
  op.first = f.first_token, op.count = f.n;
  spread(divided(op.quads, 64), op.grid);
  gpu_encode(&op);
  batch_.n = 1;
}

void GpuOps::patches(const Pixels &pixels, uint32_t side, Rows out) {
  gpu::Patches op;
  op.pixels = handle_of(pixels.rgb), op.out = handle_of(out.data);
  op.width = pixels.width, op.length = side, op.across = pixels.width / side;
  op.stride = stride_of(out.width);
  op.n = batch_.n * 3 * side * side;
  spread(divided(op.n, 64), op.grid);
  float *const factors[] = {&op.factor0, &op.factor1, &op.factor2};
  float *const offsets[] = {&op.offset0, &op.offset1, &op.offset2};
  for (uint32_t i = 0; i < 3; i++) {
    *factors[i] = 1 / (255 * pixels.deviation[i]);
    *offsets[i] = -pixels.mean[i] / pixels.deviation[i];
  }
  gpu_encode(&op);
}

void GpuOps::merge_rows(Rows x, uint32_t across, uint32_t factor, Merge how, Rows out) {
  batch_.n /= factor * factor;
  gpu::MergeRows op;
  op.MEAN = how == Merge::Mean;
  op.x = handle_of(x.data), op.out = handle_of(out.data);
  op.across = across, op.factor = factor;
  op.quads = x.width / 4; // a head has a multiple of 8 columns
  op.x_stride = stride_of(x.width), op.out_stride = stride_of(out.width);
  op.n = batch_.n * (out.width / 4);
  spread(divided(op.n, 64), op.grid);
  gpu_encode(&op);
}

void GpuOps::logits(const Input &x, const Linear &head, float cap, uint32_t n, float *out, float factor) {
  if (n != 0) products(x, n, {{head, {out, head.weight.rows}}}, cap > 0 ? Cap : Store, factor, cap);
}

// ---- attention ----------------------------------------------------------------------

/// The shaders know one position of a call: in a ring that is where its keys go, and then the last one seen.
void GpuOps::wrap(uint32_t window) {
  if (wrapped_) return; // all rings of a model are as wide
  wrapped_ = true;
  for (Buffer *buffer : {&scratch_.slot, &scratch_.last})
    if (buffer->handle() == 0) *buffer = Buffer(16);
  const uint32_t slot[4] = {batch_.slot(window, batch_.past)}, last[4] = {batch_.read + window - 1};
  gpu_upload(scratch_.slot.handle(), 0, slot, sizeof slot);
  gpu_upload(scratch_.last.handle(), 0, last, sizeof last);
}

void GpuOps::attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out) {
  gpu::Rope rope;
  // By their widths: rows of a session that is only prepared for have no buffers.
  const bool appends = k.width != 0, attends = q.width != 0;
  const bool in_ring = batch_.is_in_ring(spec.window, batch_.past);
  if (in_ring) wrap(spec.window);
  rope.grid[0] = (attends ? spec.n_head : 0) + (appends ? spec.n_head_kv : 0), rope.grid[1] = batch_.n;
  rope.NEOX = spec.rope != nullptr && spec.rope->neox;
  rope.QK_NORM = spec.q_norm != nullptr;
  rope.V_NORM = spec.v_norm;
  rope.F16 = cache.f16;
  rope.batch = in_ring ? scratch_.slot.handle() : scratch_.batch.handle();
  rope.angles = scratch_.angles[spec.rope == nullptr ? 0 : spec.rope->index].handle();
  rope.vectors = kept_.vectors;
  rope.q = handle_of(q.data), rope.k = handle_of(k.data), rope.v = handle_of(v.data);
  if (appends) rope.keys = handle_of(cache.keys), rope.values = handle_of(cache.values);
  rope.n_head = attends ? spec.n_head : 0, rope.n_head_kv = spec.n_head_kv, rope.head_dim = spec.head_dim;
  rope.half = spec.rope == nullptr ? 0 : spec.rope->n_dims / 2;
  rope.pairs = spec.rope == nullptr ? 1 : spec.rope->pairs();
  rope.q_stride = stride_of(q.width), rope.kv_stride = stride_of(k.width);
  rope.angle_stride = scratch_.max_rope_dims;
  rope.capacity = cache.capacity;
  rope.q_norm = kept_.vector_at(spec.q_norm), rope.k_norm = kept_.vector_at(spec.k_norm);
  rope.epsilon = spec.norm_epsilon;
  rope.scale = spec.scale;
  rope.first = first_;
  rope.temperature = spec.temperature, rope.temperature_span = spec.temperature_span;
  gpu_encode(&rope);
  if (!attends) return;

  // A single token's positions are shared out among workgroups; many tokens are enough by themselves.
  const uint32_t rows = batch_.n * (spec.n_head / spec.n_head_kv); // of a key head
  const uint32_t window = batch_.read == 0 ? spec.window : 0;      // whose ring holds no more than it
  const uint32_t last = in_ring ? batch_.read + spec.window - 1 : batch_.past;
  const uint32_t first = first_seen(window, last) / kSegment;
  const uint32_t segments = batch_.n == 1 ? last / kSegment - first + 1 : 1;
  gpu::Attention op;
  op.HEAD_DIM = spec.head_dim;
  op.QUERIES = rows > kFewestQueries && spec.head_dim <= 256 ? 2 * kFewestQueries : kFewestQueries;
  op.SPLIT = segments > 1;
  op.F16 = cache.f16;
  op.BLOCKS = !batch_.blocks.empty();
  op.blocks = op.BLOCKS != 0 ? scratch_.blocks.handle() : 0;
  op.grid[0] = spec.n_head_kv, op.grid[1] = divided(rows, op.QUERIES), op.grid[2] = segments;
  op.batch = in_ring ? scratch_.last.handle() : scratch_.batch.handle();
  op.q = rope.q, op.keys = handle_of(cache.keys), op.values = handle_of(cache.values), op.out = handle_of(out.data);
  op.partials = segments > 1 ? scratch_.partials.handle() : 0;
  op.n_head = spec.n_head, op.n_head_kv = spec.n_head_kv;
  op.q_stride = rope.q_stride, op.out_stride = stride_of(out.width);
  op.capacity = cache.capacity;
  op.window = window;
  op.ahead = std::min(spec.ahead, batch_.n);
  op.n = batch_.n;
  op.first = first_;
  op.segment = segments > 1 ? kSegment : 1u << 30; // one segment holds all positions
  op.softcap = spec.softcap;
  gpu_encode(&op);
  if (segments == 1) return;
  gpu::AttentionMerge merge;
  merge.grid[0] = spec.n_head;
  merge.partials = op.partials, merge.out = op.out;
  merge.n_head = spec.n_head, merge.head_dim = spec.head_dim;
  merge.out_stride = op.out_stride;
  merge.segments = segments;
  gpu_encode(&merge);
}

} // namespace slm
