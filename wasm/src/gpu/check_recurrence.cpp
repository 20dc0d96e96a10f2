// check_recurrence.cpp: the self-tests of what recurrent layers add: a convolution,
// gates of blocks and RG-LRU, a convolution that stands alone, a delta rule, or a
// state space; over a few tokens and one behind them, which reads what those left in memory.
#include <cmath>
#include <limits>

#include "running.h"

namespace slm {
namespace {

constexpr uint32_t kBlocks = 2, kFirst = 5, kTokens = kFirst + 1;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// Rows [past, past + n) of `of`.
Rows rows_of(Checks::Running &r, const std::vector<float> &of, uint32_t width, uint32_t past, uint32_t n) {
  const auto from = of.begin() + ptrdiff_t(past) * width;
  return r.upload({from, from + ptrdiff_t(n) * width}, width);
}

/// Encodes the first tokens and then the one behind them, each into rows of their own.
template <class Encode> void run_twice(Checks::Running &r, RecurrentLayer &memory, uint32_t width, Encode encode) {
  const Rows outs[2] = {r.room(kFirst, width), r.room(1, width)};
  r.buffers.emplace_back(memory.floats() * sizeof(float));
  memory.memory = name_of<float>(r.buffers.back().handle());
  r.scratch.batch = Buffer(16);
  for (uint32_t past = 0, n = kFirst; past < kTokens; past += n, n = 1) {
    const uint32_t position[4] = {past};
    gpu_upload(r.scratch.batch.handle(), 0, position, sizeof position);
    GpuOps op({nullptr, n, past}, r.scratch, r.weights, nullptr, false);
    encode(op, past, n, outs[past / kFirst]);
    gpu_submit(); // what the next call uploads would come before what this one has encoded
  }
  r.outs[0] = outs[0], r.outs[1] = outs[1];
}

/// What those have computed, to be held against what was expected.
void read_both(Checks::Running &r) {
  r.found.assign(r.expected.size(), std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < kTokens; t++)
    r.read(r.outs[t / kFirst], t % kFirst);
  gpu_submit();
}

} // namespace

Status start_recurrence(Checks::Running &r, const Kinds::Recurrence &kind) {
  const uint32_t width = kBlocks * kind.block, n_taps = kind.n_taps;
  uint64_t state = 1;
  for (Linear *l : {&r.first, &r.second}) {
    l->weight.type = kind.type, l->weight.rows = width, l->weight.columns = kind.block;
    SLM_TRY(r.weights.place(l->weight, "a self-test"));
    SLM_TRY(r.weights.place(l->bias, width, "a self-test"));
  }
  r.convolution.n_taps = n_taps;
  SLM_TRY(r.weights.place(r.convolution.taps, width * n_taps, "a self-test"));
  SLM_TRY(r.weights.place(r.convolution.bias, width, "a self-test"));
  SLM_TRY(r.weights.place(r.decay, width, "a self-test"));
  SLM_TRY(r.weights.placed());
  std::vector<float> values[2]; // of the pattern in both gates
  SLM_TRY(r.pack(r.first.weight, 1, values[0]));
  SLM_TRY(r.pack(r.second.weight, 2, values[1]));
  for (uint32_t i = 0; i < width * n_taps; i++)
    r.convolution.taps[i] = next_float(state);
  for (uint32_t i = 0; i < width; i++) {
    // Small, so that gates are neither open nor shut.
    r.convolution.bias[i] = next_float(state) / 16;
    r.first.bias[i] = next_float(state), r.second.bias[i] = next_float(state);
    r.decay[i] = -std::fabs(next_float(state)) - 0.01f;
  }
  SLM_TRY(r.weights.packed());
  const std::vector<float> x = draw(size_t(kTokens) * width, 1.f / 16, state),
                           gate = draw(size_t(kTokens) * width, 2, state);

  RecurrentLayer memory{.n_inputs = (n_taps - 1) * width, .n_state = width};
  run_twice(r, memory, width, [&](GpuOps &op, uint32_t past, uint32_t n, Rows out) {
    const Rows in = rows_of(r, x, width, past, n), output = rows_of(r, gate, width, past, n);
    const Rows input = r.room(n, width), recurrence = r.room(n, width);
    op.convolve(in, r.convolution, memory, out);
    op.block_matmul(out, {{r.first, input}, {r.second, recurrence}});
    op.rg_lru({input, recurrence, output, r.decay}, memory, out);
  });

  std::vector<double> h(width), convolved(width);
  for (uint32_t t = 0; t < kTokens; t++) {
    for (uint32_t c = 0; c < width; c++) {
      convolved[c] = double(r.convolution.bias[c]);
      for (uint32_t back = 0; back < n_taps && back <= t; back++)
        convolved[c] +=
            double(r.convolution.taps[c * n_taps + n_taps - 1 - back]) * double(x[size_t(t - back) * width + c]);
    }
    for (uint32_t c = 0; c < width; c++) {
      const auto product = [&](uint32_t m, const float *bias) {
        const float *row = &values[m][size_t(c % kPattern) * kind.block];
        double sum = double(bias[c]);
        for (uint32_t k = 0; k < kind.block; k++)
          sum += double(row[k]) * convolved[c / kind.block * kind.block + k];
        return sigmoid(sum);
      };
      const double log_a = product(1, r.second.bias) * double(r.decay[c]);
      const double in = product(0, r.first.bias) * convolved[c];
      h[c] = t == 0 ? in : std::exp(log_a) * h[c] + std::sqrt(-std::expm1(2 * log_a)) * in;
      r.expected.push_back(float(h[c] * gelu(double(gate[size_t(t) * width + c]))));
    }
  }
  read_both(r);
  return SLM_OK;
}

Status start_convolution(Checks::Running &r, const Convolution &kind) {
  const bool gates = kind.around == Around::Gates;
  // Those that are no gates are convolved from a column on.
  const uint32_t width = 2 * 32 + 1, first = gates ? 2 * width : 3, wide = first + width, n_taps = kind.n_taps;
  uint64_t state = 1;
  r.convolution = kind;
  r.convolution.first = first;
  SLM_TRY(r.weights.place(r.convolution.taps, width * n_taps, "a self-test"));
  r.convolution.bias = nullptr;
  SLM_TRY(r.weights.placed());
  for (uint32_t i = 0; i < width * n_taps; i++)
    r.convolution.taps[i] = next_float(state);
  SLM_TRY(r.weights.packed());
  const std::vector<float> x = draw(size_t(kTokens) * wide, 1, state);

  RecurrentLayer memory{.n_inputs = (n_taps - 1) * width};
  run_twice(r, memory, width, [&](GpuOps &op, uint32_t past, uint32_t n, Rows out) {
    op.convolve(rows_of(r, x, wide, past, n), r.convolution, memory, out);
  });

  for (uint32_t t = 0; t < kTokens; t++)
    for (uint32_t c = 0; c < width; c++) {
      const auto at = [&](uint32_t token, uint32_t from) { return double(x[size_t(token) * wide + from + c]); };
      double sum = 0;
      for (uint32_t back = 0; back < n_taps && back <= t; back++)
        sum += double(r.convolution.taps[c * n_taps + n_taps - 1 - back]) * at(t - back, first) *
               (gates ? at(t - back, 0) : 1);
      r.expected.push_back(float(sum * (gates ? at(t, width) : sigmoid(sum))));
    }
  read_both(r);
  return SLM_OK;
}

Status start_delta_rule(Checks::Running &r, const DeltaRule &kind) {
  constexpr uint32_t n_head_k = 2, n_head = 4;
  const uint32_t width = kind.head_dim, n_key = n_head_k * width, n_values = n_head * width;
  uint64_t state = 1;
  float *bias = nullptr, *rate = nullptr;
  SLM_TRY(r.weights.place(bias, n_head, "a self-test"));
  SLM_TRY(r.weights.place(rate, n_head, "a self-test"));
  SLM_TRY(r.weights.place(r.norm, width, "a self-test"));
  SLM_TRY(r.weights.placed());
  for (uint32_t h = 0; h < n_head; h++)
    bias[h] = next_float(state), rate[h] = -std::fabs(next_float(state)) - 0.01f;
  for (uint32_t i = 0; i < width; i++)
    r.norm[i] = 1 + next_float(state) / 2;
  SLM_TRY(r.weights.packed());
  const uint32_t n_inputs = 2 * n_key + n_values;
  const std::vector<float> qkv = draw(size_t(kTokens) * n_inputs, 1, state);
  const std::vector<float> strength = draw(size_t(kTokens) * n_head, 2, state),
                           decay = draw(size_t(kTokens) * n_head, 2, state),
                           // Of what comes out, and of that again.
      gates = draw(size_t(kTokens) * 2 * n_values, 2, state);

  RecurrentLayer memory{.n_inputs = 3, .n_state = n_values * width};
  run_twice(r, memory, n_values, [&](GpuOps &op, uint32_t past, uint32_t n, Rows out) {
    const Rows gate = r.room(n, n_values), again = r.room(n, n_values);
    op.part_heads(rows_of(r, gates, 2 * n_values, past, n), width, gate, again);
    op.delta_rule({n_head_k, n_head, width, rows_of(r, qkv, n_inputs, past, n), rows_of(r, strength, n_head, past, n),
                   rows_of(r, decay, n_head, past, n), gate, bias, rate, r.norm, kind.norm_epsilon},
                  memory, out);
    op.gate(again, out);
  });

  std::vector<double> s(size_t(n_values) * width), answer(width); // by heads, keys and values
  for (uint32_t t = 0; t < kTokens; t++)
    for (uint32_t h = 0; h < n_head; h++) {
      const float *q = &qkv[size_t(t) * n_inputs + h % n_head_k * width], *k = q + n_key;
      const float *v = &qkv[size_t(t) * n_inputs + 2 * n_key + h * width];
      double keys = 1e-6, queries = 1e-6, squares = 0;
      for (uint32_t i = 0; i < width; i++)
        keys += double(k[i]) * double(k[i]), queries += double(q[i]) * double(q[i]);
      const size_t at = size_t(t) * n_head + h;
      const double a = std::exp(double(rate[h]) * std::log1p(std::exp(double(decay[at]) + double(bias[h]))));
      for (uint32_t c = 0; c < width; c++) {
        const auto cell = [&](uint32_t i) -> double & { return s[(size_t(h) * width + i) * width + c]; };
        double had = 0;
        for (uint32_t i = 0; i < width; i++)
          had += a * cell(i) * double(k[i]) / std::sqrt(keys);
        const double change = sigmoid(double(strength[at])) * (double(v[c]) - had);
        answer[c] = 0;
        for (uint32_t i = 0; i < width; i++) {
          cell(i) = a * cell(i) + change * double(k[i]) / std::sqrt(keys);
          answer[c] += cell(i) * double(q[i]) / std::sqrt(queries * width);
        }
        squares += answer[c] * answer[c];
      }
      for (uint32_t c = 0; c < width; c++) {
        const size_t gate = size_t(t) * 2 * n_values + 2 * h * width + c;
        const double g = double(gates[gate]);
        const double out = answer[c] / std::sqrt(squares / width + double(kind.norm_epsilon)) * double(r.norm[c]);
        r.expected.push_back(float(out * g * sigmoid(g) * sigmoid(double(gates[gate + width]))));
      }
    }
  read_both(r);
  return SLM_OK;
}

Status start_state_space(Checks::Running &r, const StateSpace &kind) {
  StateSpace space = kind;
  space.n_head = 4, space.n_group = 2;
  const uint32_t n_head = 4, n_group = 2, n_state = kind.n_state, head_dim = kind.head_dim, width = space.width();
  uint64_t state = 1;
  float *bias = nullptr, *rate = nullptr, *skip = nullptr;
  for (float **v : {&bias, &rate, &skip})
    SLM_TRY(r.weights.place(*v, n_head, "a self-test"));
  SLM_TRY(r.weights.place(r.norm, width, "a self-test"));
  SLM_TRY(r.weights.placed());
  for (uint32_t h = 0; h < n_head; h++)
    bias[h] = next_float(state), rate[h] = -std::fabs(next_float(state)) - 0.01f, skip[h] = next_float(state);
  for (uint32_t i = 0; i < width; i++)
    r.norm[i] = 1 + next_float(state) / 2;
  SLM_TRY(r.weights.packed());
  space.step_bias = bias, space.rate = rate, space.skip = skip, space.norm = r.norm;
  const uint32_t n_in = space.n_in(), n_inputs = space.n_inputs(), steps = n_in - n_head;
  const std::vector<float> in = draw(size_t(kTokens) * n_in, 2, state),
                           convolved = draw(size_t(kTokens) * n_inputs, 1, state);

  RecurrentLayer memory{.n_inputs = 3, .n_state = width * n_state};
  run_twice(r, memory, width, [&](GpuOps &op, uint32_t past, uint32_t n, Rows out) {
    space.in = rows_of(r, in, n_in, past, n), space.convolved = rows_of(r, convolved, n_inputs, past, n);
    op.state_space(space, memory, out);
  });

  std::vector<double> s(size_t(width) * n_state), gated(width); // by heads, their columns and states
  for (uint32_t t = 0; t < kTokens; t++) {
    const float *gate = &in[size_t(t) * n_in], *x = &convolved[size_t(t) * n_inputs];
    std::vector<double> squares(n_group);
    for (uint32_t i = 0; i < width; i++) {
      const uint32_t h = i / head_dim, group = h / (n_head / n_group);
      const float *write = x + width + group * n_state, *read = write + n_group * n_state;
      const double step = std::log1p(std::exp(double(gate[steps + h]) + double(bias[h])));
      double y = double(skip[h]) * double(x[i]);
      for (uint32_t j = 0; j < n_state; j++) {
        double &cell = s[size_t(i) * n_state + j];
        cell = std::exp(double(rate[h]) * step) * cell + step * double(x[i]) * double(write[j]);
        y += cell * double(read[j]);
      }
      gated[i] = y * double(gate[i]) * sigmoid(double(gate[i]));
      squares[group] += gated[i] * gated[i];
    }
    for (uint32_t i = 0; i < width; i++) {
      const double mean = squares[i / (width / n_group)] / (width / n_group);
      r.expected.push_back(float(gated[i] / std::sqrt(mean + double(kind.norm_epsilon)) * double(r.norm[i])));
    }
  }
  read_both(r);
  return SLM_OK;
}

} // namespace slm
