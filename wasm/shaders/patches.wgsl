// patches.wgsl: the pixels of each patch as a row: all of one colour, then the next's. CPU: Ops::patches. One
// invocation makes one number. Workgroups: ceil(n / 64), over x and y of the grid.

struct Params {
  width: u32,  // of the picture, pixels
  length: u32, // side of a patch, pixels
  across: u32, // patches of a row
  stride: u32, // floats between rows of out
  n: u32,      // numbers: patches * 3 * length * length
  factor0: f32, // of a byte of each colour
  factor1: f32,
  factor2: f32,
  offset0: f32, // of each colour
  offset1: f32,
  offset2: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>; // (height, width, 3) bytes
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

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
  let area = params.length * params.length;
  let row = i / (3u * area);
  let column = i % (3u * area);
  let colour = column / area;
  let y = row / params.across * params.length + column % area / params.length;
  let x = row % params.across * params.length + column % params.length;
  let at = (y * params.width + x) * 3u + colour;
  let value = f32((pixels[at / 4u] >> (at % 4u * 8u)) & 0xffu);
  let factor = select(select(params.factor2, params.factor1, colour == 1u), params.factor0, colour == 0u);
  let offset = select(select(params.offset2, params.offset1, colour == 1u), params.offset0, colour == 0u);
  out[row * params.stride + column] = value * factor + offset;
}
