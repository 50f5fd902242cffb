// Numbers.

import type { Problem } from './problem.ts'

export interface NumberOptions {
  readonly min?: number | undefined
  readonly max?: number | undefined
  /** Only whole numbers that a double holds exactly. @default false */
  readonly integer?: boolean | undefined
  /** Only numbers above 0. @default false */
  readonly positive?: boolean | undefined
}

/** The first thing wrong with a number; NaN and the infinities never pass. */
export function checkNumber(value: unknown, options: NumberOptions = {}): Problem | null {
  if (typeof value !== 'number' || !Number.isFinite(value))
    return { rule: 'type', message: 'must be a number' }
  if (options.integer && !Number.isSafeInteger(value))
    return { rule: 'integer', message: 'must be an integer' }
  if (options.positive && value <= 0) return { rule: 'positive', message: 'must be positive' }
  if (options.min !== undefined && value < options.min) {
    return { rule: 'min', message: `is too small: must be at least the minimum ${options.min}` }
  }
  if (options.max !== undefined && value > options.max) {
    return { rule: 'max', message: `is too large: must be at most the maximum ${options.max}` }
  }
  return null
}
