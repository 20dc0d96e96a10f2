// quantize.wgsl: rows of x, normalized or not, rounded to signed bytes with a scale for each 32 columns. CPU:
// quantize_rows(). One workgroup a token (x of the grid); eight lanes have a block.
//:include sum256

override NORM: u32 = 0; // 1: x is normalized with params.norm

struct Params {
  blocks: u32,      // of a row
  width: u32,       // columns
  x_stride: u32,    // floats
  first_token: u32, // of x; out begins with it
  norm: u32,        // in vectors
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
// (n, blocks, 12): the bytes, then the scale, and the scale times the sum of the first 16 and of the last 16.
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

var<workgroup> largest: array<f32, 256>;
var<workgroup> sums: array<i32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = (params.first_token + group.x) * params.x_stride / 4u;
  var factor = 1.0;
  if (NORM == 1u) {
    var squares = 0.0;
    for (var i = lane; i < params.blocks * 8u; i += 256u) {
      squares += dot(x[row + i], x[row + i]);
    }
    factor = inverseSqrt(sum256(squares, lane) / f32(params.width) + params.epsilon);
  }
  let quad = lane % 8u;
  for (var first = 0u; first < params.blocks; first += 32u) {
    let block = first + lane / 8u;
    let there = block < params.blocks;
    var value = vec4<f32>(0.0);
    if (there) {
      value = x[row + block * 8u + quad];
      if (NORM == 1u) {
        value *= factor * vectors[params.norm / 4u + block * 8u + quad];
      }
    }
    let size = abs(value);
    workgroupBarrier(); // the sums before these have been used
    largest[lane] = max(max(size.x, size.y), max(size.z, size.w));
    workgroupBarrier();
    var most = 0.0;
    for (var i = 0u; i < 8u; i++) {
      most = max(most, largest[lane - quad + i]);
    }
    let q = vec4<i32>(round(value * select(0.0, 127.0 / most, most > 1e-30)));
    sums[lane] = q.x + q.y + q.z + q.w;
    workgroupBarrier();
    if (there) {
      let at = (group.x * params.blocks + block) * 12u;
      let bytes = bitcast<vec4<u32>>(q) & vec4<u32>(255u);
      out[at + quad] = bytes.x | (bytes.y << 8u) | (bytes.z << 16u) | (bytes.w << 24u);
      if (quad == 0u) {
        let scale = most / 127.0;
        let low = sums[lane] + sums[lane + 1u] + sums[lane + 2u] + sums[lane + 3u];
        let high = sums[lane + 4u] + sums[lane + 5u] + sums[lane + 6u] + sums[lane + 7u];
        out[at + 8u] = bitcast<u32>(scale);
        out[at + 9u] = bitcast<u32>(scale * f32(low));
        out[at + 10u] = bitcast<u32>(scale * f32(high));
        out[at + 11u] = 0u;
      }
    }
  }
}
