// What a measurement of this device found, in words and numbers: a table, a few
// sentences, and the same as text to copy, with all that was found as JSON below.

import { nameOf } from '../gpu/device';
import { describeError } from './errors';
import { bytes, bytesPerSecond, duration, flops, percent, speed } from './format';
import type { Missing, Report, Side } from './measurement';
import { sayAll } from './notice';
import { S } from './strings';

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly { readonly label: string; readonly cells: readonly string[] }[];
}

const isSide = (side: Side | Missing): side is Side => 'rates' in side;
const isMissing = (found: object): found is Missing => 'error' in found;

export function tableOf({ cpu, webgpu }: Report): Table {
  const row = (label: string, of: (side: Side) => string) => ({
    label,
    cells: [cpu, webgpu].map((side) => (isSide(side) ? of(side) : S.notMeasured)),
  });
  return {
    head: [S.processor, S.chip],
    rows: [
      row(S.readingRate, ({ rates }) => S.perSecond(speed(rates.prefill_tokens_per_second))),
      row(S.writingRate, ({ rates }) => S.perSecond(speed(rates.decode_tokens_per_second))),
      row(S.openingTime, ({ open_seconds }) => duration(open_seconds)),
    ],
  };
}

/** What the graphics chip is and can do by itself. */
export function deviceFacts({ webgpu, device }: Report): (readonly [label: string, value: string])[] {
  const gpu = isSide(webgpu) ? webgpu.info.gpu : null;
  return [
    ...(gpu === null ? [] : [[S.chip, nameOf(gpu.adapter)] as const]),
    ...(device === null || isMissing(device)
      ? []
      : [
          [S.gpuMemoryRate, bytesPerSecond(device.copy_bytes_per_second)] as const,
          [S.gpuArithmetic, flops(device.flops_per_second)] as const,
        ]),
  ];
}

/** What follows from the figures, and why some are missing. */
export function conclusions(report: Report): string[] {
  const { cpu, webgpu, device } = report;
  const parts = [
    [S.processor, cpu],
    [S.chip, webgpu],
    [S.measuring.memory, device],
  ] as const;
  const said = parts.flatMap(([what, found]) =>
    found !== null && isMissing(found) ? [whyMissing(what, found)] : [],
  );
  if (isSide(webgpu) && device !== null && !isMissing(device)) {
    // Each token reads all weights; a copy reads and writes.
    const read = webgpu.rates.decode_tokens_per_second * weightsOf(report);
    said.push(S.gpuShare(percent(read / device.copy_bytes_per_second)));
  }
  if (isSide(cpu) && isSide(webgpu)) {
    const sooner = seconds(webgpu) < seconds(cpu) ? 'webgpu' : 'cpu';
    said.push(S.faster[sooner]);
  }
  return said;
}

/** For a message to somebody: the words, and below them everything as JSON. */
export function textOf(report: Report): string {
  const { info } = report;
  const { head, rows } = tableOf(report);
  const lines = [
    `${info.title}, ${bytes(info.size)}`,
    '',
    ...rows.flatMap(({ label, cells }) => cells.map((cell, i) => `${head[i]}: ${label} ${cell}`)),
    ...deviceFacts(report).map(([label, value]) => `${label}: ${value}`),
    '',
    ...conclusions(report),
  ];
  return `${lines.join('\n').trim()}\n\n${JSON.stringify(jsonOf(report), null, 1)}\n`;
}

function jsonOf({ info, cpu, webgpu, device }: Report): object {
  const { name, title, architecture, parameters, size, types } = info;
  return {
    model: { name, title, architecture, parameters, size, types },
    cpu: sideJson(cpu),
    webgpu: sideJson(webgpu),
    device: device === null || !isMissing(device) ? device : missingJson(device),
    browser: navigator.userAgent,
    processors: navigator.hardwareConcurrency,
  };
}

function sideJson(side: Side | Missing): object {
  if (!isSide(side)) return missingJson(side);
  const { rates, open_seconds, info } = side;
  const { variant, threads, dot, n_ctx, gpu, checks } = info;
  return { ...rates, open_seconds, variant, threads, dot, n_ctx, gpu, checks };
}

const missingJson = ({ notices, error }: Missing): object => ({
  notices,
  ...(error === null ? {} : { error: String(error) }),
});

/** What is said of the chip says by itself what it is about. */
function whyMissing(what: string, { notices, error }: Missing): string {
  return error === null ? sayAll(notices) : `${what}: ${describeError(error, false).sentence}`;
}

function weightsOf({ info }: Report): number {
  const sizes = Object.values(info.types);
  return sizes.length === 0 ? info.size : sizes.reduce((a, b) => a + b);
}

/** What a short question and its answer take. */
function seconds({ rates }: Side): number {
  return (
    rates.prefill_tokens / rates.prefill_tokens_per_second +
    (4 * rates.decode_tokens) / rates.decode_tokens_per_second
  );
}
