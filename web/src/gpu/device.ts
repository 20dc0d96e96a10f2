// Finds a GPU and opens it with the largest buffers that it can give. It decides
// whether a device is worth using, not what is computed on it.

import type { GpuAdapter } from '../api/backend';
import { GpuFailure } from './failure';
import { ANSWER_MS, within } from './patience';

export interface DeviceWish {
  /** By default the browser's; Node and tests bring their own. */
  readonly gpu?: GPU | undefined;
  /** Take a GPU that is emulated by the processor, too. */
  readonly software?: boolean;
  /** Bytes of the largest binding, if the device has more: 128 MiB is what every one has. */
  readonly maxBinding?: number | undefined;
  /** Measure the time of each operation, which slows all of them down. */
  readonly profile?: boolean;
  /** Use subgroups; by default unless the GPU is emulated: they are four lanes there, and nothing to gain. */
  readonly subgroups?: boolean;
}

export interface Found {
  readonly adapter: GPUAdapter;
  readonly info: GpuAdapter;
}

/** Handles and sizes are 32-bit numbers, and an offset may have to be signed. */
const MOST_BINDING = 2 ** 31;

/** Bytes of a buffer that every device has. */
const LEAST_BUFFER = 2 ** 28;

/** What the kernels are written for; every device of WebGPU's core has as much. */
const LEAST: Partial<Record<keyof GPUSupportedLimits, number>> = {
  maxStorageBuffersPerShaderStage: 8,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupStorageSize: 16384,
};

/** The adapter that would be used, or a GpuFailure with the reason why there is none. */
export async function findAdapter({ gpu, software = false }: DeviceWish = {}): Promise<Found> {
  const entry = gpu ?? globalThis.navigator?.gpu;
  if (entry === undefined) throw new GpuFailure({ code: 'gpu_missing' });
  const asked = entry.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  const adapter = await within(asked, ANSWER_MS, 'requestAdapter');
  if (adapter === null) throw new GpuFailure({ code: 'gpu_none_found' });
  const { vendor, architecture, device, description } = adapter.info;
  const info = { vendor, architecture, device, description };
  if (isSoftware(adapter) && !software) throw new GpuFailure({ code: 'gpu_software', device: nameOf(info) });
  for (const [limit, needed] of Object.entries(LEAST)) {
    const available = adapter.limits[limit as 'maxBufferSize'];
    if (available < needed) throw new GpuFailure({ code: 'gpu_limit', limit, needed, available });
  }
  return { adapter, info };
}

/** Opens it. The device's own word of its loss is `device.lost`. */
export async function openDevice(found: Found, wish: DeviceWish = {}): Promise<GPUDevice> {
  const { limits, features } = found.adapter;
  const binding = Math.min(limits.maxStorageBufferBindingSize, wish.maxBinding ?? MOST_BINDING, MOST_BINDING);
  // Every kernel that needs an optional one has a form that does not.
  const { profile = false, subgroups = !isSoftware(found.adapter) } = wish;
  const wanted: GPUFeatureName[] = [];
  if (profile) wanted.push('timestamp-query');
  if (subgroups) wanted.push('subgroups');
  try {
    const asked = found.adapter.requestDevice({
      label: 'slmweb',
      requiredFeatures: wanted.filter((feature) => features.has(feature)),
      requiredLimits: {
        maxStorageBufferBindingSize: binding - (binding % 4),
        maxBufferSize: Math.min(limits.maxBufferSize, Math.max(binding, LEAST_BUFFER)),
        ...LEAST,
      },
    });
    return await within(asked, ANSWER_MS, 'requestDevice', (device) => device.destroy());
  } catch (error) {
    throw GpuFailure.of(error);
  }
}

/** What people call it: the first of its names that says something. */
export function nameOf({ description, vendor, architecture, device }: GpuAdapter): string {
  return description || [vendor, device || architecture].filter((part) => part !== '').join(' ') || 'GPU';
}

/** Whether the processor emulates it. */
export function isSoftware({ info }: GPUAdapter): boolean {
  if (info.isFallbackAdapter) return true;
  // Chromium does not call its own emulation a fallback where it is asked for by a switch.
  return info.vendor === 'google' && info.architecture === 'swiftshader';
}
