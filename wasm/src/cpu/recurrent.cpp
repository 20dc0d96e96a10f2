// recurrent.cpp: the operations of recurrent layers on the CPU; see ops.h. Time is
// gone through in order, by each thread for channels of its own, so that a
// sequence gives the same numbers however it is cut into batches.
#include <cmath>
#include <cstring>

#include "kernels/elementwise.h"
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
        convolve_step(taps, {in + c.first, before_it, behind_it}, inputs, results + size_t(t) * kChannels);
      }
      if (c.around == Around::Silu) silu(results, n * kChannels);
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

template <class Step>
void CpuOps::scan(uint32_t units, uint32_t rows, uint64_t cost, RecurrentLayer &memory, Rows out, Step step) {
  const uint32_t n = batch.n, n_state = rows * kChannels, each = n_state + n * kChannels;
  float *kept = memory.memory + memory.at + memory.n_inputs;
  const auto compute = [&](Range of) {
    for (uint32_t u = of.begin; u < of.end; u++) {
      float *state = own_.results + size_t(u - of.begin) * each, *to = state + n_state;
      if (batch.past == 0)
        std::memset(state, 0, n_state * sizeof(float));
      else
        std::memcpy(state, kept + size_t(u) * n_state, n_state * sizeof(float));
      for (uint32_t t = 0; t < n; t++)
        step(u, t, state, to + size_t(t) * kChannels);
    }
  };
  const auto commit = [&](Range of) {
    for (uint32_t u = of.begin; u < of.end; u++) {
      const float *state = own_.results + size_t(u - of.begin) * each, *from = state + n_state;
      std::memcpy(kept + size_t(u) * n_state, state, n_state * sizeof(float));
      for (uint32_t t = 0; t < n; t++)
        std::memcpy(out.data + size_t(t) * out.width + u * kChannels, from + size_t(t) * kChannels,
                    kChannels * sizeof(float));
    }
  };
  cut(units, ws_.result_floats() / each, cost * n * n_state, compute, commit);
}

/// The rows of a state are keys.
void CpuOps::delta_rule(const DeltaRule &rule, RecurrentLayer &memory, Rows out) {
  const uint32_t n = batch.n, width = rule.head_dim, n_head = rule.n_head, n_key = rule.n_head_k * width;
  cut(n * rule.n_head_k, [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      float *q = rule.qkv.data + size_t(u / rule.n_head_k) * rule.qkv.width + u % rule.n_head_k * width;
      unit_length(q, width), unit_length(q + n_key, width);
      slm::scale(q, 1 / std::sqrt(float(width)), width);
    }
  });
  cut(n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      delta_gates(rule.decay_bias, rule.rate, n_head, rule.strength.data + size_t(t) * n_head,
                  rule.decay.data + size_t(t) * n_head);
  });

  const uint32_t per_head = width / kChannels;
  constexpr uint64_t kCost = 9; // three float32 products in two passes over the state
  scan(n_head * per_head, width, kCost, memory, out, [&](uint32_t unit, uint32_t t, float *state, float *to) {
    const uint32_t head = unit / per_head, column = unit % per_head * kChannels;
    const float *row = rule.qkv.data + size_t(t) * rule.qkv.width, *q = row + head % rule.n_head_k * width;
    const size_t at = size_t(t) * n_head + head;
    delta_step({q, q + n_key, row + 2 * n_key + head * width + column, rule.strength.data[at], rule.decay.data[at]},
               width, state, to);
  });

  cut(n * n_head, [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      float *head = out.data + size_t(u / n_head) * out.width + u % n_head * width;
      float *gate = rule.gate.data + size_t(u / n_head) * rule.gate.width + u % n_head * width;
      slm::rmsnorm(head, rule.norm, rule.norm_epsilon, width, head);
      silu_multiply(gate, head, width);
      std::memcpy(head, gate, width * sizeof(float));
    }
  });
}

void CpuOps::state_space(const StateSpace &space, RecurrentLayer &memory, Rows out) {
  const uint32_t n = batch.n, n_head = space.n_head, n_group = space.n_group, n_state = space.n_state;
  float *steps = space.in.data + space.in.width - n_head;
  cut(n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      state_gates(space.step_bias, space.rate, n_head, steps + size_t(t) * space.in.width,
                  space.decay.data + size_t(t) * n_head);
  });

  const uint32_t per_head = space.head_dim / kChannels, in_group = n_head / n_group;
  constexpr uint64_t kCost = 6; // three float32 products in one pass over the state
  scan(n_head * per_head, n_state, kCost, memory, out, [&](uint32_t unit, uint32_t t, float *state, float *to) {
    const uint32_t head = unit / per_head;
    const float *row = space.convolved.data + size_t(t) * space.convolved.width;
    const float *write = row + space.width() + head / in_group * n_state;
    state_step({write, write + n_group * n_state, row + unit * kChannels, steps[size_t(t) * space.in.width + head],
                space.decay.data[size_t(t) * n_head + head], space.skip[head]},
               n_state, state, to);
  });

  const uint32_t width = space.width() / n_group;
  cut(n * n_group, [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      const uint32_t t = u / n_group, first = u % n_group * width;
      float *gate = space.in.data + size_t(t) * space.in.width + first, *y = out.data + size_t(t) * out.width + first;
      silu_multiply(gate, y, width);
      slm::rmsnorm(gate, space.norm + first, space.norm_epsilon, width, y);
    }
  });
}

void CpuOps::part_heads(Rows x, uint32_t head_dim, Rows first, Rows second) {
  const uint32_t n_head = first.width / head_dim;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      for (uint32_t h = 0; h < n_head; h++) {
        const float *head = x.data + size_t(t) * x.width + 2 * h * head_dim;
        const size_t at = size_t(t) * first.width + h * head_dim;
        std::memcpy(first.data + at, head, head_dim * sizeof(float));
        std::memcpy(second.data + at, head + head_dim, head_dim * sizeof(float));
      }
  });
}

void CpuOps::gate(Rows gate, Rows x) {
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      sigmoid_multiply(x.data + size_t(t) * x.width, gate.data + size_t(t) * gate.width, x.width);
  });
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
