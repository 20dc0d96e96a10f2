// recurrent.cpp: the operations of recurrent layers on the GPU; see ops.h. A lane
// has a channel, or a part of a column of a head's state, and goes through time.
#include "ops.h"

namespace slm {
namespace {

constexpr uint32_t kScanColumns = 16; // of a workgroup, whose lanes keep them to themselves

} // namespace

void GpuOps::convolve(Rows x, const Convolution &c, RecurrentLayer &memory, Rows out) {
  gpu::Convolve op;
  op.grid[0] = (out.width + 63) / 64;
  op.batch = scratch_.batch.handle(), op.vectors = kept_.vectors;
  op.x = handle_of(x.data), op.memory = handle_of(memory.memory), op.out = handle_of(out.data);
  op.width = out.width, op.x_stride = stride_of(x.width), op.out_stride = stride_of(out.width);
  op.n = batch_.n;
  op.n_taps = c.n_taps, op.first = c.first;
  op.taps = kept_.vector_at(c.taps), op.bias = kept_.vector_at(c.bias);
  op.at = memory.at;
  op.around = static_cast<uint32_t>(c.around);
  gpu_encode(&op);
}

void GpuOps::block_matmul(Rows x, std::initializer_list<Product> products) {
  for (const Product &p : products) {
    const Placement &place = placement(p.linear.weight);
    for (const Part &part : place.parts) {
      gpu::BlockMatmul op;
      op.format = static_cast<uint32_t>(p.linear.weight.type);
      op.grid[0] = (part.rows + 63) / 64, op.grid[1] = (batch_.n + 3) / 4;
      op.heap4 = op.heap = kept_.heaps[part.heap];
      op.x = handle_of(x.data), op.vectors = kept_.vectors, op.y = handle_of(p.out.data);
      for (uint32_t r = 0; r < 4; r++)
        op.at[r] = part.at[r];
      op.rows = part.rows, op.first_row = part.first_row;
      op.blocks = place.blocks;
      op.bias = kept_.vector_at(p.linear.bias);
      op.x_stride = stride_of(x.width), op.y_stride = stride_of(p.out.width);
      op.n = batch_.n;
      gpu_encode(&op);
    }
  }
}

void GpuOps::rg_lru(const RgLru &gates, RecurrentLayer &memory, Rows x) {
  gpu::RgLru op;
  op.grid[0] = (x.width + 63) / 64;
  op.batch = scratch_.batch.handle(), op.vectors = kept_.vectors;
  op.input = handle_of(gates.input.data), op.recurrence = handle_of(gates.recurrence.data);
  op.gate = handle_of(gates.output.data);
  op.memory = handle_of(memory.memory), op.x = handle_of(x.data);
  op.width = x.width, op.stride = stride_of(x.width);
  op.n = batch_.n;
  op.decay = kept_.vector_at(gates.decay);
  op.at = memory.at + memory.n_inputs;
  gpu_encode(&op);
}

void GpuOps::delta_rule(const DeltaRule &rule, RecurrentLayer &memory, Rows out) {
  gpu::DeltaRule op;
  op.grid[0] = rule.n_head, op.grid[1] = (rule.head_dim + kScanColumns - 1) / kScanColumns;
  op.batch = scratch_.batch.handle(), op.vectors = kept_.vectors;
  op.qkv = handle_of(rule.qkv.data), op.strength = handle_of(rule.strength.data);
  op.decay = handle_of(rule.decay.data);
  op.memory = handle_of(memory.memory), op.out = handle_of(out.data);
  op.n_head_k = rule.n_head_k, op.width = rule.head_dim;
  op.qkv_stride = stride_of(rule.qkv.width), op.heads_stride = stride_of(rule.n_head);
  op.out_stride = stride_of(out.width);
  op.n = batch_.n;
  op.decay_bias = kept_.vector_at(rule.decay_bias), op.rate = kept_.vector_at(rule.rate);
  op.at = memory.at + memory.n_inputs;
  gpu_encode(&op);

  gpu::GatedRmsnorm norm;
  norm.grid[0] = rule.n_head, norm.grid[1] = batch_.n;
  norm.gate = handle_of(rule.gate.data), norm.vectors = kept_.vectors, norm.x = op.out;
  norm.width = rule.head_dim;
  norm.gate_stride = stride_of(rule.gate.width), norm.stride = op.out_stride;
  norm.weight = kept_.vector_at(rule.norm), norm.epsilon = rule.norm_epsilon;
  norm.behind = 1;
  gpu_encode(&norm);
}

void GpuOps::state_space(const StateSpace &space, RecurrentLayer &memory, Rows out) {
  gpu::StateSpace op;
  op.grid[0] = space.n_head, op.grid[1] = (space.head_dim + kScanColumns - 1) / kScanColumns;
  op.batch = scratch_.batch.handle(), op.vectors = kept_.vectors;
  op.input = handle_of(space.in.data), op.convolved = handle_of(space.convolved.data);
  op.memory = handle_of(memory.memory), op.out = handle_of(out.data);
  op.head_dim = space.head_dim, op.n_state = space.n_state;
  op.in_group = space.n_head / space.n_group;
  op.write = space.width(), op.read = space.width() + space.n_group * space.n_state;
  op.steps = space.n_in() - space.n_head;
  op.in_stride = stride_of(space.in.width), op.convolved_stride = stride_of(space.convolved.width);
  op.out_stride = stride_of(out.width);
  op.n = batch_.n;
  op.step_bias = kept_.vector_at(space.step_bias), op.rate = kept_.vector_at(space.rate);
  op.skip = kept_.vector_at(space.skip);
  op.at = memory.at + memory.n_inputs;
  gpu_encode(&op);

  gpu::GatedRmsnorm norm;
  norm.grid[0] = space.n_group, norm.grid[1] = batch_.n;
  norm.gate = op.input, norm.vectors = kept_.vectors, norm.x = op.out;
  norm.width = norm.weight_step = space.width() / space.n_group;
  norm.gate_stride = op.in_stride, norm.stride = op.out_stride;
  norm.weight = kept_.vector_at(space.norm), norm.epsilon = space.norm_epsilon;
  gpu_encode(&norm);
}

void GpuOps::part_heads(Rows x, uint32_t head_dim, Rows first, Rows second) {
  gpu::PartHeads op;
  op.grid[0] = (first.width + 63) / 64, op.grid[1] = batch_.n;
  op.x = handle_of(x.data), op.first = handle_of(first.data), op.second = handle_of(second.data);
  op.width = first.width, op.head_dim = head_dim;
  op.x_stride = stride_of(x.width), op.stride = stride_of(first.width);
  gpu_encode(&op);
}

void GpuOps::gate(Rows gate, Rows x) {
  gpu::Gate op;
  op.grid[0] = (x.width + 63) / 64, op.grid[1] = batch_.n;
  op.gate = handle_of(gate.data), op.x = handle_of(x.data);
  op.width = x.width, op.stride = stride_of(x.width);
  gpu_encode(&op);
}

} // namespace slm
