// iq1_m.wgsl: a few values, by index.
//:include few
