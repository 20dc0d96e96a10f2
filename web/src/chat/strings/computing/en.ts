// English: the words about where the model computes, how that is proved, and how
// fast it is. The graphics chip is what engineers call the GPU, the processor the CPU.

import type { BackendNotice, Check, CheckName } from '../../../api/backend';
import { pluralOf } from '../../language';

const plural = pluralOf<'one' | 'other'>('en');

export const computing = {
  // settings
  place: 'Where it computes',
  computeOn: 'Compute on',
  computeHint:
    'Automatic takes the graphics chip where there is one that passes every check, else the processor.',
  chip: 'Graphics chip',
  processor: 'Processor',
  chipMemory: 'Memory on it',
  chipPrepared: 'Prepared in',
  preparing: (done: string, total: string) => `Preparing the graphics chip, ${done} of ${total}`,
  whereGpu: (device: string) => `It computes in this tab, on your graphics chip: WebGPU, ${device}.`,

  // checks
  checks: {
    kernels: 'Arithmetic',
    weights: 'Weights',
    known_answer: 'Known answer',
  } satisfies Record<CheckName, string>,
  checkStates: {
    passed: 'right',
    failed: 'wrong',
    absent: 'not checked',
  } satisfies Record<Check['state'], string>,
  checkNotes: {
    kernels: 'Products and attention are tried on small numbers, beside a plain calculation.',
    weights: 'What lies on the chip is compared with what was sent.',
    known_answer: 'The model brings along what it must answer to a few tokens.',
  } satisfies Record<CheckName, string>,
  unchecked: 'There was nothing to compare with.',
  checkFigures: (error: string, bound: string) => `off by ${error}, at most ${bound} is allowed`,

  // what happens to it
  interrupted: 'The graphics chip failed while this was written; it goes on where it stopped.',
  gpuNotices: {
    gpu_used: (device: string) => `The graphics chip computes: ${device}.`,
    cpu_asked: 'The processor computes, as was chosen.',
    gpu_missing: 'The processor computes, because this browser lends a page no graphics chip (WebGPU).',
    gpu_none_found:
      'The processor computes, because this browser found no graphics chip that it would lend to a page.',
    gpu_software: (device: string) =>
      `The processor computes: the only graphics chip here is an imitation in software (${device}), which is slower.`,
    gpu_limit: (limit: string, needed: string, available: string) =>
      `The processor computes, because the graphics chip is too small for this model (${limit}: ${needed} are needed, ${available} are there).`,
    gpu_out_of_memory: (needed: string, given: string) =>
      `The processor computes, because the graphics chip ran out of memory: it had given ${given} and had no ${needed} more. A shorter context or a smaller model needs less.`,
    gpu_wrong: (check: string) =>
      `The processor computes, because the graphics chip failed a check and is not used: ${check}.`,
    gpu_senseless: 'The processor goes on, because the graphics chip suddenly computed nonsense.',
    gpu_failed: (error: string) =>
      `The processor computes, because the graphics chip did not work: ${error}.`,
    gpu_lost: 'The graphics chip was lost. The model is loaded again and goes on by itself.',
    gpu_given_up: (n: number, shown: string) =>
      `The processor goes on, because the graphics chip was lost ${plural(n, { one: `${shown} time`, other: `${shown} times` })}.`,
  } satisfies Record<BackendNotice['code'], string | ((...given: never[]) => string)>,

  // how fast this device is
  howFast: 'How fast is this device?',
  howFastNote: (read: string, written: string) =>
    `The model reads ${read} tokens and writes ${written}, first on the processor, then on the graphics chip. It takes about a minute, in which it answers nothing else. The result stays on this device.`,
  howFastClosed: 'It can be measured when a model is open and no answer is being written.',
  measure: 'Measure',
  measureAgain: 'Measure again',
  measuring: {
    cpu: 'Measuring the processor',
    webgpu: 'Measuring the graphics chip',
    memory: 'Measuring the memory of the graphics chip',
    back: 'Opening the model again',
  },
  readingRate: 'Reads',
  writingRate: 'Writes',
  openingTime: 'Opens in',
  notMeasured: 'not measured',
  gpuMemoryRate: 'Memory of the graphics chip',
  gpuArithmetic: 'Arithmetic of the graphics chip',
  gpuShare: (percent: string) => `Writing uses about ${percent} of what its memory can do.`,
  faster: {
    cpu: 'This model is faster on the processor of this device.',
    webgpu: 'This model is faster on the graphics chip of this device.',
  },
  copyResult: 'Copy the result',
} as const;
