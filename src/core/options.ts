// Checking options: one table of rules per class, one message for all.
// A wrong option throws a TypeError or RangeError that names the option, what was expected and what came.

import { MAX_TIMER_MS } from './clock.ts'
import { isSecretName } from './redact.ts'

/** What a value must be: words for the message, and the test. */
export interface Rule {
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

/** A rule for every option that a class knows. */
export type Rules<Options> = { readonly [Name in keyof Options]-?: Rule }

/** A number within [min, max]; `Infinity` only where `max` is. */
export function numberRule(min: number, max: number, unit = '', integer = false): Rule {
  const kind = integer ? 'a whole number' : 'a number'
  const range = max === Infinity ? `>= ${min}` : `from ${min} to ${max}`
  return {
    expected: `${kind}${unit && ` of ${unit}`} ${range}`,
    accepts: (value) =>
      typeof value === 'number' &&
      value >= min &&
      value <= max &&
      (!integer || Number.isInteger(value) || value === Infinity),
  }
}

/** A number above 0, such as a rate. */
export const positive: Rule = {
  expected: 'a number above 0',
  accepts: (value) => typeof value === 'number' && value > 0 && value < Infinity,
}
/** A delay that a timer can keep. */
export const delay: Rule = numberRule(0, MAX_TIMER_MS, 'milliseconds')
/** A delay that a timer can keep, not 0. */
export const interval: Rule = numberRule(1, MAX_TIMER_MS, 'milliseconds')
/** Any length of time, `Infinity` included. */
export const duration: Rule = numberRule(0, Infinity, 'milliseconds')
/** A count, `Infinity` included. */
export const count: Rule = numberRule(0, Infinity, '', true)
/** A count of at least one, `Infinity` included. */
export const positiveCount: Rule = numberRule(1, Infinity, '', true)
/** A share from 0 to 1. */
export const share: Rule = numberRule(0, 1)

export const flag: Rule = { expected: 'true or false', accepts: (value) => typeof value === 'boolean' }
export const text: Rule = { expected: 'a string', accepts: (value) => typeof value === 'string' }
export const callable: Rule = { expected: 'a function', accepts: (value) => typeof value === 'function' }
export const plainObject: Rule = {
  expected: 'an object',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}

/** One of the given strings. */
export function oneOf(...values: readonly string[]): Rule {
  return {
    expected: values.map((value) => JSON.stringify(value)).join(' or '),
    accepts: (value) => values.includes(value as string),
  }
}

/** Either of two rules. */
export function either(one: Rule, other: Rule): Rule {
  return {
    expected: `${one.expected} or ${other.expected}`,
    accepts: (value) => one.accepts(value) || other.accepts(value),
  }
}

/** An array all of whose items keep `rule`. */
export function listOf(rule: Rule): Rule {
  return {
    expected: `an array, each item ${rule.expected}`,
    accepts: (value) => Array.isArray(value) && value.every(rule.accepts),
  }
}

/** An object with the methods named. */
export function objectWith(...methods: readonly string[]): Rule {
  return {
    expected: `an object with ${methods.join(', ')}`,
    accepts: (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function'),
  }
}

export const clockRule: Rule = objectWith('now', 'wallNow', 'setTimeout', 'clearTimeout')
export const loggerRule: Rule = objectWith('debug', 'info', 'warn', 'error')

/** What came, in a few words and without a secret. */
export function describe(value: unknown, name = ''): string {
  if (typeof value === 'string') {
    if (isSecretName(name)) return 'a string'
    return value.length > 60 ? `a string of ${value.length} characters` : JSON.stringify(value)
  }
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'object') return Array.isArray(value) ? 'an array' : 'an object'
  if (typeof value === 'function') return 'a function'
  return `${String(value)}${typeof value === 'number' ? '' : ` (${typeof value})`}`
}

/** Thrown for a wrong option: a TypeError, or a RangeError when only the size is wrong. */
function optionError(owner: string, name: string, expected: string, value: unknown): Error {
  const message = `${owner}: option "${name}" must be ${expected}, got ${describe(value, name)}`
  const error =
    typeof value === 'number' && /number/.test(expected) ? new RangeError(message) : new TypeError(message)
  return Object.assign(error, { code: 'INVALID_OPTION', option: name })
}

/**
 * Checks one value against its rule.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`, `option`: the name)
 */
export function checkOption(owner: string, name: string, value: unknown, rule: Rule): void {
  if (!rule.accepts(value)) throw optionError(owner, name, rule.expected, value)
}

/**
 * Checks every given option against the table; one that is `undefined` counts as not given.
 * A name that differs from a known one in nothing but case is a slip of the pen and is refused;
 * other unknown names are left alone, so that a wider configuration object can be passed as it is.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`, `option`: the name)
 */
export function checkOptions(owner: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  if (!plainObject.accepts(options)) throw optionError(owner, 'options', plainObject.expected, options)
  for (const [name, value] of Object.entries(options as Record<string, unknown>)) {
    if (value === undefined) continue
    if (Object.hasOwn(rules, name)) {
      checkOption(owner, name, value, rules[name] as Rule)
      continue
    }
    const meant = Object.keys(rules).find((known) => known.toLowerCase() === name.toLowerCase())
    if (meant) throw optionError(owner, name, `spelt "${meant}"`, value)
  }
}

/** `defaults` overlaid with what was given: own properties only, `undefined` counts as not given. */
export function withDefaults<T extends object>(defaults: T, given: object): T {
  const resolved = { ...defaults } as Record<string, unknown>
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && name !== '__proto__') resolved[name] = value
  }
  return resolved as T
}

/**
 * A live view of `values` for users: reading gives the value in force, writing checks first and takes effect at once.
 * Inner code keeps reading `values` itself.
 * @throws TypeError or RangeError on writing, as `checkOption`
 */
export function checkedView<T extends object>(
  owner: string,
  values: T,
  rules: Readonly<Record<string, Rule>>,
): T {
  const view = {} as T
  for (const name of Object.keys(values) as (keyof T & string)[]) {
    Object.defineProperty(view, name, {
      enumerable: true,
      get: () => values[name],
      set(value: T[typeof name]) {
        const rule = rules[name]
        if (rule) checkOption(owner, name, value, rule)
        values[name] = value
      },
    })
  }
  return Object.preventExtensions(view)
}
