// activation.wgsl: silu, gelu, softplus and the soft cap by exp of a bounded argument: tanh is NaN for large arguments on some
// devices (gpuweb#4458), and only roughly right on others.

fn silu(x: f32) -> f32 {
  return x / (1.0 + exp(-max(x, -80.0)));
}

// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), and (1 + tanh(a)) / 2 is 1 / (1 + exp(-2a)).
fn gelu(x: f32) -> f32 {
  let c = clamp(x, -16.0, 16.0);
  let a = 0.7978845608 * (c + 0.044715 * c * c * c);
  return x / (1.0 + exp(-2.0 * clamp(a, -40.0, 40.0)));
}

// cap * tanh(x / cap)
fn softcap(x: f32, cap: f32) -> f32 {
  return cap - 2.0 * cap / (1.0 + exp(2.0 * clamp(x / cap, -10.0, 10.0)));
}

// log(1 + e^x), also where e^x is next to nothing: log(1 + y) is twice the inverse hyperbolic tangent of y / (2 + y).
fn softplus(x: f32) -> f32 {
  let y = exp(-abs(x));
  let z = y / (2.0 + y);
  let s = z * z;
  let series = 1.0 + s * (1.0 / 3.0 + s * (0.2 + s * (1.0 / 7.0 + s * (1.0 / 9.0 + s / 11.0))));
  return max(x, 0.0) + 2.0 * z * series;
}
