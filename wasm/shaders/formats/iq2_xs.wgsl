// iq2_xs.wgsl: a few values, by index.
//:include few
