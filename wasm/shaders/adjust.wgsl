// adjust.wgsl: penalties, biases and forbidden tokens, in the logits themselves. CPU: Sampler::adjust, Sampler::sample.
// An entry has a token to itself, whatever is to be done with it, so that no two invocations meet.
// Workgroups: ceil(entries / 64).
struct Params {
  first: u32, // the row of logits, in floats
}
struct Entry {
  id: u32,
  repeat: f32,   // divides a logit above zero, multiplies another; 1 is none
  subtract: f32,
  add: f32,      // -1e30 or less forbids
}
struct Adjustments {
  n: u32,
  entries: array<Entry>,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> adjustments: Adjustments;
@group(0) @binding(2) var<storage, read_write> logits: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= adjustments.n) {
    return;
  }
  let entry = adjustments.entries[id.x];
  let i = params.first + entry.id;
  let logit = logits[i];
  if ((bitcast<u32>(logit) & 0x7f800000u) == 0x7f800000u) {
    return; // no number, which is to be found out
  }
  if (entry.add <= -1e30) {
    logits[i] = -1e30;
  } else {
    logits[i] = select(logit * entry.repeat, logit / entry.repeat, logit > 0.0) - entry.subtract + entry.add;
  }
}
