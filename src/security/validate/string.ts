// Strings: type, length, pattern. The detectors are the InputValidator's affair.

import type { Problem } from './problem.ts'

export interface StringShape {
  /** Minimum length in UTF-16 units. */
  readonly minLength?: number | undefined
  /** Maximum length in UTF-16 units. Beyond it no detector runs. */
  readonly maxLength?: number | undefined
  /** Must match. A `g` or `y` flag changes nothing. Its cost is the caller's: `maxLength` is checked first. */
  readonly pattern?: RegExp | undefined
}

/** The first thing wrong with the shape of a string. */
export function checkString(value: unknown, shape: StringShape): Problem | null {
  if (typeof value !== 'string') return { rule: 'type', message: 'must be a string' }
  const { minLength, maxLength, pattern } = shape
  if (minLength !== undefined && value.length < minLength) {
    return {
      rule: 'minLength',
      message: `is too short: must have at least the minimum ${minLength} characters`,
    }
  }
  if (maxLength !== undefined && value.length > maxLength) {
    return {
      rule: 'maxLength',
      message: `is too large: must have at most the maximum ${maxLength} characters`,
    }
  }
  if (pattern) {
    pattern.lastIndex = 0
    if (!pattern.test(value)) return { rule: 'pattern', message: 'does not match the required pattern' }
  }
  return null
}
