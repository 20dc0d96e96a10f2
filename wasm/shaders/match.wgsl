// match.wgsl: y becomes as long as x. CPU: Ops::match. One workgroup a row. Workgroups: n.
//:include sum256

struct Params {
  quads: u32,  // of a row
  least: f32,  // what a shorter row's sum of squares counts as
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.quads;
  var wanted = 0.0;
  var found = 0.0;
  for (var i = lane; i < params.quads; i += 256u) {
    wanted += dot(x[row + i], x[row + i]);
    found += dot(y[row + i], y[row + i]);
  }
  wanted = sum256(wanted, lane);
  workgroupBarrier(); // everybody has read it
  found = sum256(found, lane);
  let factor = sqrt(wanted / max(found, params.least));
  for (var i = lane; i < params.quads; i += 256u) {
    y[row + i] *= factor;
  }
}
