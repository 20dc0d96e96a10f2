// merge_rows.wgsl: each factor x factor of a rectangle of rows become one: their mean, or all of them, one behind the
// other. CPU: Ops::merge_rows. An invocation makes four columns. Workgroups: ceil(n / 64), over x and y of the grid.

override MEAN: u32 = 0;

struct Params {
  across: u32,     // rows of x in a row of the rectangle
  factor: u32,
  quads: u32,      // vectors of a row of x
  x_stride: u32,   // floats between rows
  out_stride: u32, // floats
  n: u32,          // vectors of all rows of out
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// Column `quad` of the i-th row that becomes part of row `row`.
fn load(row: u32, i: u32, quad: u32) -> vec4<f32> {
  let merged = params.across / params.factor;
  let y = row / merged * params.factor + i / params.factor;
  let source = y * params.across + row % merged * params.factor + i % params.factor;
  return x[source * params.x_stride / 4u + quad];
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i >= params.n) {
    return;
  }
  let many = params.factor * params.factor;
  let width = select(params.quads * many, params.quads, MEAN == 1u);
  let row = i / width;
  let column = i % width;
  let at = row * params.out_stride / 4u + column;
  if (MEAN == 0u) {
    out[at] = load(row, column / params.quads, column % params.quads);
    return;
  }
  var sum = vec4<f32>(0.0);
  for (var j = 0u; j < many; j++) {
    sum += load(row, j, column);
  }
  out[at] = sum / f32(many);
}
