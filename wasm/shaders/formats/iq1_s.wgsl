// iq1_s.wgsl: a few values, by index.
//:include few
