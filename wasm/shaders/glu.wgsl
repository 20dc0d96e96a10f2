// glu.wgsl: gate = act(gate) * up, where the two products could not be one dispatch. CPU: silu_multiply, gelu_multiply.
// One invocation an element of (n, stride): the padding is zero and stays zero. Workgroups over x and y of the grid.
override GELU: u32 = 0; // 1: gelu (tanh form), else silu

struct Params {
  n: u32, // floats in all
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read_write> gate: array<f32>;
