"""What can go wrong with a GPU, as scripts that run before a worker's own; what it compiled."""

from __future__ import annotations

# Listens to the page, in every worker that has a GPU.
FAULTS = """{
  const faults = new BroadcastChannel('faults');
  const request = globalThis.GPUAdapter?.prototype.requestDevice;
  const range = globalThis.GPUBuffer?.prototype.getMappedRange;
  if (request) GPUAdapter.prototype.requestDevice = async function (...args) {
    const device = await request.apply(this, args);
    faults.onmessage = ({data}) => {
      if (data === 'lose') device.destroy();
      if (data === 'poison') GPUBuffer.prototype.getMappedRange = function (...args) {
        const bytes = range.apply(this, args);
        new Uint32Array(bytes).fill(0x7fc00000);
        return bytes;
      };
    };
    return device;
  };
}
"""
# The device has room for less than the weights of the model.
NO_ROOM = """
GPUDevice.prototype.popErrorScope = async function () {
  return new GPUOutOfMemoryError('no room');
};
"""
WRONG_SHADER = """{
  const create = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function ({code, ...rest}) {
    return create.call(this, {...rest, code: code.replace('5u, w.v5)', '5u, 2.0 * w.v5)')});
  };
}
"""
# No self-test adds to the residual stream: only what the model makes of tokens is wrong.
WRONG_SUMS = """{
  const create = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function ({code, ...rest}) {
    code = code.replace('return before + value;', 'return before + 1.01 * value;');
    return create.call(this, {...rest, code});
  };
}
"""
# One form of the products: `matvec 0` and `matvec_lane 0` are what the host calls their texts.
WRONG_FORM = """{
  const create = GPUDevice.prototype.createShaderModule;
  GPUDevice.prototype.createShaderModule = function ({code, label, ...rest}) {
    if (label.startsWith('NAME ')) code = code.replace('(params.scale)', '(SCALE)');
    return create.call(this, {...rest, label, code});
  };
}
"""
BROKEN_SHADER = WRONG_SHADER.replace("2.0 * w.v5)", "w.v55)")
# One bit of what is sent becomes another on the way.
FLIPPED_BIT = """{
  const write = GPUQueue.prototype.writeBuffer;
  GPUQueue.prototype.writeBuffer = function (buffer, at, data, from, size) {
    const sent = new Uint8Array(data.slice(from, from + size));
    if (size > 4096) sent[size >> 1] ^= 4;
    return write.call(this, buffer, at, sent);
  };
}
"""
NO_DEVICE = """
GPUAdapter.prototype.requestDevice = async () => { throw new Error('the driver is gone'); };
"""
# A driver that never answers, in a thirtieth of the time that a visitor would wait.
NO_ANSWER = """{
  const timer = setTimeout;
  globalThis.setTimeout = (run, ms, ...rest) => timer(run, ms / 30, ...rest);
  GPUAdapter.prototype.requestDevice = () => new Promise(() => {});
}
"""
# The device goes away when weights begin to come.
LOST_WITH_WEIGHTS = """{
  const request = GPUAdapter.prototype.requestDevice;
  const write = GPUQueue.prototype.writeBuffer;
  let device;
  GPUAdapter.prototype.requestDevice = async function (...args) {
    return device = await request.apply(this, args);
  };
  GPUQueue.prototype.writeBuffer = function (...args) {
    if (args[4] > 4096) device.destroy();
    return write.apply(this, args);
  };
}
"""
# Which programs were compiled: `compiled` in the worker.
COMPILED = """
globalThis.compiled = [];
if (globalThis.GPUDevice) {
  const create = GPUDevice.prototype.createComputePipelineAsync;
  GPUDevice.prototype.createComputePipelineAsync = function (descriptor) {
    compiled.push(descriptor.label);
    return create.call(this, descriptor);
  };
}
"""
# An emulated device that does not say so.
PRETENDS = """
for (const [name, value] of [['architecture', 'pretended'], ['isFallbackAdapter', false]])
  if (globalThis.GPUAdapterInfo)
    Object.defineProperty(GPUAdapterInfo.prototype, name, {get: () => value});
"""
