// iq2_xxs.wgsl: a few values, by index.
//:include few
