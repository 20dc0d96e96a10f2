// copy.wgsl: dst from `to` on = src from `first` on. Lanes stride over it. CPU: Compute::keep, Compute::restore, Ops::embed.

struct Params {
  n: u32,  // words
  to: u32, // words
  first: u32, // words of src that are left out
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> dst: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var i = id.x; i < params.n; i += groups.x * 256u) {
    dst[params.to + i] = src[params.first + i];
  }
}
