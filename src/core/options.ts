// Checking options: one table of rules per class, one message for all.
// A wrong option throws a TypeError or RangeError that names the option, what was expected and what came.
//
// A rule is written in the words of its message, and the words are what is checked:
// `a number of milliseconds >= 1`, `true or false`, `"reject" or "wait"`, `an array, each item a string`.

import { MAX_TIMER_MS } from './clock.ts'
import { isSecretName } from './redact.ts'

/** What a value must be, where no words that the checker knows say it: words for the message, and the test. */
export interface CustomRule {
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
}

/**
 * What a value must be. As words, joined by `or`: a literal (`true`, `"wait"`), or a type with what limits it:
 * `a string`, `a function`, `an object`, `an object with send, dispose`,
 * `a number` or `a whole number`, each `of` a unit, then `>= 1`, `from 0 to 1` or `above 0, at most 1`;
 * or `an array, each item` and the rule of the items. `Infinity` is a number where nothing bounds it from above.
 */
export type Rule = string | CustomRule

/** Options with every value in place. */
export type Resolved<Options> = { [Name in keyof Options]-?: Exclude<Options[Name], undefined> }

/** A rule for every option that a class knows. */
export type Rules<Options> = { readonly [Name in keyof Options]-?: Rule }

/** A number within [min, max]; `Infinity` only where `max` is. */
export function numberRule(min: number, max: number, unit = '', integer = false): Rule {
  const kind = integer ? 'a whole number' : 'a number'
  return `${kind}${unit && ` of ${unit}`} ${max === Infinity ? `>= ${min}` : `from ${min} to ${max}`}`
}

/** A number above 0, such as a rate. */
export const positive = 'a number above 0'
/** A delay that a timer can keep. */
export const delay = `a number of milliseconds from 0 to ${MAX_TIMER_MS}`
/** A delay that a timer can keep, not 0. */
export const interval = `a number of milliseconds from 1 to ${MAX_TIMER_MS}`
/** Any length of time, `Infinity` included. */
export const duration = 'a number of milliseconds >= 0'
/** A limit of time: `Infinity` for none, never 0. */
export const limit = 'a number of milliseconds >= 1'
/** A count, `Infinity` included. */
export const count = 'a whole number >= 0'
/** A count of at least one, `Infinity` included. */
export const positiveCount = 'a whole number >= 1'
/** A share from 0 to 1. */
export const share = 'a number from 0 to 1'
export const flag = 'true or false'
export const text = 'a string'
export const callable = 'a function'
export const plainObject: CustomRule = {
  expected: 'an object',
  accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
}
export const clockRule = 'an object with now, wallNow, setTimeout, clearTimeout'
export const loggerRule = 'an object with debug, info, warn, error'

/** One of the given strings. */
export function oneOf(...values: readonly string[]): Rule {
  return values.map((value) => JSON.stringify(value)).join(' or ')
}

/** An array all of whose items keep `rule`. */
export function listOf(rule: Rule): Rule {
  return {
    expected: `${EACH}${wordsOf(rule)}`,
    accepts: (value) => Array.isArray(value) && value.every((item) => accepts(rule, item)),
  }
}

/** An object with the methods named. */
export function objectWith(...methods: readonly string[]): Rule {
  return `an object with ${methods.join(', ')}`
}

/** Either of two rules. */
export function either(one: Rule, other: Rule): Rule {
  return {
    expected: `${wordsOf(one)} or ${wordsOf(other)}`,
    accepts: (value) => accepts(one, value) || accepts(other, value),
  }
}

function wordsOf(rule: Rule): string {
  return typeof rule === 'string' ? rule : rule.expected
}

const compiled = new Map<string, CustomRule['accepts']>()

/** Whether a value keeps a rule. */
export function accepts(rule: Rule, value: unknown): boolean {
  if (typeof rule !== 'string') return rule.accepts(value)
  let test = compiled.get(rule)
  if (!test) {
    test = compile(rule)
    compiled.set(rule, test)
  }
  return test(value)
}

const EACH = 'an array, each item '
const TYPE =
  /^an? (whole )?(\w+)(?: of \w+)?(?: (?:>=|from|(above)) (\S+?)(?:,? (?:to|at most) (\S+))?)?(?: with (.+))?$/

function compile(rule: string): CustomRule['accepts'] {
  if (rule.startsWith(EACH)) {
    const item = rule.slice(EACH.length)
    return (value) => Array.isArray(value) && value.every((each) => accepts(item, each))
  }
  const choices = rule.split(' or ')
  if (choices.length > 1) return (value) => choices.some((choice) => accepts(choice, value))
  const [words, whole, type, above, min = -Infinity, max = Infinity, methods] = TYPE.exec(rule) ?? []
  if (!words) return (value) => value === JSON.parse(rule)
  if (type === 'number')
    return (value) =>
      typeof value === 'number' &&
      value >= +min &&
      value <= +max &&
      !(above && (value === +min || value === Infinity)) &&
      !(whole && value % 1)
  if (type === 'object')
    return (value) =>
      plainObject.accepts(value) &&
      !methods?.split(', ').some((name) => typeof (value as Record<string, unknown>)[name] !== 'function')
  return (value) => typeof value === type
}

/** What came, in a few words and without a secret. */
export function describe(value: unknown, name = ''): string {
  if (typeof value === 'string') {
    if (isSecretName(name)) return 'a string'
    return value.length > 60 ? `a string of ${value.length} characters` : JSON.stringify(value)
  }
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'object' && value) return Array.isArray(value) ? 'an array' : 'an object'
  return typeof value === 'number' || value == null ? String(value) : `${String(value)} (${typeof value})`
}

/**
 * Checks one value against its rule.
 * @throws TypeError, or a RangeError when only the size is wrong (`code: 'INVALID_OPTION'`, `option`: the name)
 */
export function checkOption(owner: string, name: string, value: unknown, rule: Rule): void {
  if (!accepts(rule, value)) throw optionError(owner, name, `must be ${wordsOf(rule)}`, value)
}

/** The error of an option that is wrong; `fault` says what about it: `must be a string`. */
export function optionError(owner: string, name: string, fault: string, value?: unknown): Error {
  const Kind = typeof value === 'number' && /number/.test(fault) ? RangeError : TypeError
  return Object.assign(new Kind(`${owner}: option "${name}" ${fault}, got ${describe(value, name)}`), {
    code: 'INVALID_OPTION',
    option: name,
  })
}

/**
 * Checks every given option against the table; one that is `undefined` counts as not given.
 * @throws TypeError or RangeError (`code: 'INVALID_OPTION'`, `option`: the name): also for a name that the table does not know
 */
export function checkOptions(owner: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  checkValues(owner, options, rules)
  checkNames(owner, options as object, rules)
}

/** Checks the options that the table knows, and lets others be. @throws as `checkOptions` */
export function checkValues(owner: string, options: unknown, rules: Readonly<Record<string, Rule>>): void {
  checkOption(owner, 'options', options, plainObject)
  for (const [name, value] of Object.entries(options as Record<string, unknown>))
    if (value !== undefined && Object.hasOwn(rules, name))
      checkOption(owner, name, value, rules[name] as Rule)
}

/**
 * @param lets whether a name may stand that is so many letters away from the nearest known one; none may without it
 * @throws TypeError (`code: 'INVALID_OPTION'`) naming an option that is not known, and the nearest that is
 */
export function checkNames(
  owner: string,
  options: object,
  rules: Readonly<Record<string, Rule>>,
  lets?: (value: unknown, letters: number) => boolean,
): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || Object.hasOwn(rules, name)) continue
    const known = Object.keys(rules)
    if (lets?.(value, Math.min(...known.map((other) => distance(name, other))))) continue
    const meant = known.find((other) => other.toLowerCase() === name.toLowerCase())
    if (meant) throw optionError(owner, name, `must be spelt "${meant}"`, value)
    throw optionError(owner, name, `is not known${nearest(name, known)}`, value)
  }
}

function nearest(name: string, known: readonly string[]): string {
  const [first] = known.toSorted((one, other) => distance(name, one) - distance(name, other))
  return first === undefined ? '' : `, the nearest that is known is "${first}"`
}

/** How many letters have to be changed, added or taken away (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from(other, (_, index) => index + 1)
  for (const [line, letter] of Array.from(one.toLowerCase()).entries()) {
    let diagonal = line
    let left = line + 1
    row = row.map((above, column) => {
      const changed = diagonal + (other[column]?.toLowerCase() === letter ? 0 : 1)
      diagonal = above
      left = Math.min(changed, above + 1, left + 1)
      return left
    })
  }
  return row.at(-1) ?? one.length
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
