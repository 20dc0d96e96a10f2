// iq2_s.wgsl: a few values, by index.
//:include few
