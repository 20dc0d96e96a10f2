// recurrent.cpp: the operations of recurrent layers on the CPU; see ops.h. Time is
// gone through in order, by each thread for channels of its own, so that a
// sequence gives the same numbers however it is cut into batches.
#include <cstring>

#include "kernels/recurrent.h"
#include "ops.h"

namespace slm {
namespace {

constexpr uint32_t kChannels = 4; // of a unit; see Loader's checks
static_assert(Convolution::kMaxTaps == sizeof(ChannelTaps::taps) / sizeof(ChannelTaps::bias));

} // namespace

void CpuOps::convolve(Rows x, const Convolution &c, RecurrentLayer &memory, Rows out) {
  const uint32_t n = batch.n, before = c.n_taps - 1, width = out.width;
  const bool gates = c.around == Around::Gates;
  float *kept = memory.memory + memory.at;
  // A channel's results are its convolved rows, then the inputs that are kept of it.
  const auto compute = [&](Range units) {
    for (uint32_t first = units.begin * kChannels, u = 0; first < units.end * kChannels; first += kChannels, u++) {
      float *results = own_.results + size_t(u) * (n + before) * kChannels;
      float *inputs = results + size_t(n) * kChannels;
      for (uint32_t j = 0; j < before; j++)
        for (uint32_t i = 0; i < kChannels; i++)
          inputs[j * kChannels + i] = batch.past == 0 ? 0 : kept[size_t(j) * width + first + i];
      ChannelTaps taps;
      gather_taps(c.taps + size_t(first) * c.n_taps, c.n_taps, c.bias == nullptr ? nullptr : c.bias + first, taps);
      for (uint32_t t = 0; t < n; t++) {
        const float *in = x.data + size_t(t) * x.width + first;
        const float *before_it = gates ? in : nullptr, *behind_it = gates ? in + width : nullptr;
        convolve_step(taps, {gates ? in + 2 * width : in, before_it, behind_it}, inputs,
                      results + size_t(t) * kChannels);
      }
    }
  };
  const auto commit = [&](Range units) {
    for (uint32_t first = units.begin * kChannels, u = 0; first < units.end * kChannels; first += kChannels, u++) {
      const float *results = own_.results + size_t(u) * (n + before) * kChannels;
      for (uint32_t t = 0; t < n; t++)
        std::memcpy(out.data + size_t(t) * width + first, results + size_t(t) * kChannels, kChannels * sizeof(float));
      for (uint32_t j = 0; j < before; j++)
        std::memcpy(kept + size_t(j) * width + first, results + size_t(n + j) * kChannels, kChannels * sizeof(float));
    }
  };
  cut(width / kChannels, ws_.result_floats() / ((n + before) * kChannels), uint64_t(n) * kChannels * c.n_taps, compute,
      commit);
}

void CpuOps::rg_lru(const RgLru &gates, RecurrentLayer &memory, Rows x) {
  const uint32_t n = batch.n, width = x.width;
  float *kept = memory.memory + memory.at + memory.n_inputs;
  constexpr uint64_t kCost = 64; // of an element, in multiply-accumulates: four exponentials and a root
  const auto compute = [&](Range units) {
    for (uint32_t first = units.begin * kChannels, u = 0; first < units.end * kChannels; first += kChannels, u++) {
      float *results = own_.results + size_t(u) * (n + 1) * kChannels, *state = results + size_t(n) * kChannels;
      std::memcpy(state, kept + first, kChannels * sizeof(float));
      for (uint32_t t = 0; t < n; t++) {
        const size_t at = size_t(t) * width + first;
        const GateRows rows{x.data + at, gates.input.data + at, gates.recurrence.data + at, gates.output.data + at,
                            gates.decay + first};
        rg_lru_step(rows, batch.past + t == 0, state, results + size_t(t) * kChannels);
      }
    }
  };
  const auto commit = [&](Range units) {
    for (uint32_t first = units.begin * kChannels, u = 0; first < units.end * kChannels; first += kChannels, u++) {
      const float *results = own_.results + size_t(u) * (n + 1) * kChannels;
      for (uint32_t t = 0; t < n; t++)
        std::memcpy(x.data + size_t(t) * width + first, results + size_t(t) * kChannels, kChannels * sizeof(float));
      std::memcpy(kept + first, results + size_t(n) * kChannels, kChannels * sizeof(float));
    }
  };
  cut(width / kChannels, ws_.result_floats() / ((n + 1) * kChannels), kCost * n * kChannels, compute, commit);
}

/// A block of a token is a row of its own to a kernel; a unit is one of them.
void CpuOps::block_matmul(Rows x, std::initializer_list<Product> products) {
  for (const Product &p : products) {
    const Matrix &w = p.linear.weight;
    const uint32_t block = w.columns, n_blocks = w.rows / block;
    const Activations all = shared_activations({x}, batch.n, ws_.exact ? 0 : uint32_t(w.kernel->rounding));
    if (w.input_squares != nullptr) collect(x.data, batch.n * n_blocks, w);
    const auto compute = [&](Range units) {
      for (uint32_t u = units.begin; u < units.end; u++) {
        const uint32_t row = u % n_blocks * block;
        const size_t at = size_t(u / n_blocks) * x.width + row;
        Activations a = all;
        a.n_tokens = 1;
        a.f32 += at;
        QuantizedRows &q = a.quantized;
        q.columns = block;
        if (q.q != nullptr) {
          q.q += at, q.scale += at / 32, q.sum32 += at / 32, q.sum16 += at / 16;
          q.words += at, q.words_scale += at / 32;
        }
        Matrix part = w;
        part.data += size_t(row) / kRows * group_bytes(w);
        part.rows = block;
        float *y = own_.results + size_t(u - units.begin) * block;
        const auto multiply = ws_.exact ? multiply_exact : &w.kernel->multiply();
        multiply(part, a, y, block, 0, block / kRows, own_.panels);
        if (p.linear.bias != nullptr)
          for (uint32_t r = 0; r < block; r++)
            y[r] += p.linear.bias[row + r];
      }
    };
    const auto commit = [&](Range units) {
      for (uint32_t u = units.begin; u < units.end; u++)
        std::memcpy(p.out.data + size_t(u / n_blocks) * p.out.width + u % n_blocks * block,
                    own_.results + size_t(u - units.begin) * block, block * sizeof(float));
    };
    cut(batch.n * n_blocks, ws_.result_floats() / block, uint64_t(block) * block, compute, commit);
  }
}

} // namespace slm
