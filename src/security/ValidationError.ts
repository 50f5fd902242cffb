// What a refused input is told: which field, which rule, where. Never what the input said.

import { CommsError } from '../core/errors.ts'

/** How much an issue weighs: an `error` refuses the value, a `warning` only reports it. */
export type Severity = 'error' | 'warning'

/** One thing wrong with a value. */
export interface Issue {
  /** The field's name as the caller gave it; `'value'` without one. In nested values a path such as `user.tags[2]`. */
  readonly field: string
  /** Stable name of the rule: `'type'`, `'maxLength'`, `'xss'`, `'sqlInjection'`, ... */
  readonly rule: string
  /** For people and logs: names field and rule, and holds nothing of the value. */
  readonly message: string
  /** Index of the first UTF-16 unit concerned, in the ORIGINAL string; 0 where the whole value is meant. */
  readonly offset: number
  /** Length in UTF-16 units; 0 for a value that is not a string. */
  readonly length: number
  /**
   * Up to 40 characters from `offset` on, made inert: markup, quotes and shell characters become look-alikes that no
   * interpreter reads, everything invisible a `·`. Empty for fields whose name says that they hold a secret.
   * It is still the sender's text: show it to people, put it nowhere else.
   */
  readonly excerpt: string
  /** Decoding steps that brought the finding to light, such as `percent>entity`; empty when it stood in plain sight. */
  readonly decodedVia: string
  readonly severity: Severity
}

/** A value was refused. `rule` says why, for programs; the message says it for people. */
export class ValidationError extends CommsError {
  override readonly name = 'ValidationError'
  readonly isValidationError = true
  declare readonly field: string
  declare readonly rule: string
  declare readonly offset: number
  declare readonly length: number
  /** See `Issue.excerpt`. Not enumerable: neither `inspect` nor `JSON.stringify` nor a logger shows it unasked. */
  declare readonly excerpt: string
  declare readonly decodedVia: string
  declare readonly severity: Severity

  /** @param issue without a place, the whole value is meant */
  constructor(issue: Pick<Issue, 'field' | 'rule' | 'message'> & Partial<Issue>) {
    const { message, excerpt = '', ...fields } = issue
    const whole = { offset: 0, length: 0, decodedVia: '', severity: 'error' }
    super(message, { code: 'VALIDATION', ...whole, ...fields })
    Object.defineProperty(this, 'excerpt', { value: excerpt, enumerable: false })
  }
}

const INERT: Readonly<Record<string, string>> = {
  '<': '‹',
  '>': '›',
  '"': '”',
  "'": '’',
  '`': 'ˋ',
  '&': '＆',
  '\\': '⧵',
  $: '＄',
  ';': '；',
  '|': '¦',
  '%': '％',
  '{': '｛',
  '}': '｝',
}

/** A piece of a refused text that no interpreter can be hurt by. */
export function inertExcerpt(text: string, offset: number, length: number): string {
  return text
    .slice(offset, offset + Math.min(length, 40))
    .replace(/[<>"'`&\\$;|%{}]/g, (char) => INERT[char] as string)
    .replace(/[\p{C}\p{Z}]/gu, (char) => (char === ' ' ? char : '·'))
}
