// What the methods of InputValidator may be told: interfaces, defaults and checks side by side.

import {
  accepts,
  callable,
  either,
  flag,
  listOf,
  numberRule,
  oneOf,
  plainObject,
  type Rule,
  type Rules,
  text,
} from '../core/options.ts'
import type { StandardSchema } from './standardSchema.ts'
import type { Issue } from './ValidationError.ts'
import type { Base64ImageOptions } from './validate/base64Image.ts'
import type { FilenameOptions } from './validate/filename.ts'
import type { JsonOptions } from './validate/json.ts'
import type { NumberOptions } from './validate/number.ts'
import type { StringShape } from './validate/string.ts'
import type { UrlOptions } from './validate/url.ts'

/** `'reject'`: findings of detectors refuse the value. `'warn'`: they are reported and let through. */
export type Mode = 'reject' | 'warn'
/** `'allowCode'`: fenced and inline code of Markdown is not looked at. */
export type Profile = 'text' | 'allowCode'

/** A check of the caller's own, such as a classifier for prompt injection; resolves to a word on what it found, or null. */
export type Inspect = (
  text: string,
  about: { readonly field: string },
) => Promise<string | null> | string | null

export interface InputValidatorOptions {
  /** What a detector's finding does. Broken types, lengths and patterns refuse the value in either mode. @default 'reject' */
  readonly mode?: Mode | undefined
  /** @default 'text' */
  readonly profile?: Profile | undefined
  /** Told of every issue, refused or not. What it throws is swallowed: watching must not change the verdict. */
  readonly onIssue?: ((issue: Issue) => void) | undefined
  /** Asked by `inspectString` after everything else has passed. */
  readonly inspect?: Inspect | undefined
  /** Maximum length of strings whose own `maxLength` is not given, in UTF-16 units. @default Infinity */
  readonly maxLength?: number | undefined
  /** Maximum nesting of objects and arrays, the outermost counted as 1. @default 20 */
  readonly maxDepth?: number | undefined
}

/** The options of a validator with nothing left open but the hooks. */
export interface ResolvedOptions {
  readonly mode: Mode
  readonly profile: Profile
  readonly onIssue: ((issue: Issue) => void) | undefined
  readonly inspect: Inspect | undefined
  readonly maxLength: number
  readonly maxDepth: number
}

export const validatorDefaults: ResolvedOptions = {
  mode: 'reject',
  profile: 'text',
  onIssue: undefined,
  inspect: undefined,
  maxLength: Infinity,
  maxDepth: 20,
}

const length: Rule = numberRule(0, Infinity, 'characters', true)
const modeRule = oneOf('reject', 'warn')
const profileRule = oneOf('text', 'allowCode')

export const validatorRules: Rules<InputValidatorOptions> = {
  mode: modeRule,
  profile: profileRule,
  onIssue: callable,
  inspect: callable,
  maxLength: length,
  maxDepth: numberRule(1, 1000, 'levels', true),
}

/** How a value is called in issues. */
export interface Named {
  /** @default 'value' */
  readonly field?: string | undefined
}

export interface StringOptions extends StringShape, Named {
  /** Refuse script injection. @default false */
  readonly noXss?: boolean | undefined
  /** Refuse SQL injection. @default false */
  readonly noSqlInjection?: boolean | undefined
  /** Refuse shell command injection. @default false */
  readonly noCommandInjection?: boolean | undefined
  /** Refuse characters that people do not see: bidi overrides, tags, lone surrogates, control codes. @default false */
  readonly noInvisible?: boolean | undefined
  /** Overrides the validator's. */
  readonly mode?: Mode | undefined
  /** Overrides the validator's. */
  readonly profile?: Profile | undefined
}

export const defaultFieldRules: StringOptions = Object.freeze({ noXss: true, noSqlInjection: true })

export const stringRules: Rules<StringOptions> = {
  field: text,
  minLength: length,
  maxLength: length,
  pattern: { expected: 'a RegExp', accepts: (value) => value instanceof RegExp },
  noXss: flag,
  noSqlInjection: flag,
  noCommandInjection: flag,
  noInvisible: flag,
  mode: modeRule,
  profile: profileRule,
}

const bytes: Rule = numberRule(0, Infinity, 'bytes', true)
const anyNumber: Rule = numberRule(-Infinity, Infinity)
const depth: Rule = numberRule(1, 1000, 'levels', true)
const specRule: Rule = either(plainObject, callable)
const fieldsRule: Rule = {
  expected: 'an object of specifications, Standard Schemas or functions',
  accepts: (value) =>
    plainObject.accepts(value) && Object.values(value as object).every((spec) => accepts(specRule, spec)),
}
const rulesRule: Rule = either(plainObject, { expected: 'false', accepts: (value) => value === false })
const named = { field: text }

/** The options of every kind of value that has some. */
export const kindRules: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  string: stringRules,
  number: {
    ...named,
    min: anyNumber,
    max: anyNumber,
    integer: flag,
    positive: flag,
  } satisfies Rules<NumberOptions & Named>,
  boolean: named,
  email: named,
  url: {
    ...named,
    protocols: listOf(text),
    ssrf: flag,
    allowHosts: listOf(text),
    maxLength: length,
  } satisfies Rules<UrlOptions & Named>,
  filename: { ...named, extensions: listOf(text), maxBytes: bytes } satisfies Rules<FilenameOptions & Named>,
  json: {
    ...named,
    maxBytes: bytes,
    maxDepth: numberRule(0, Infinity, 'levels', true),
    maxKeys: numberRule(0, Infinity, 'keys', true),
  } satisfies Rules<JsonOptions & Named>,
  base64Image: {
    ...named,
    maxBytes: bytes,
    types: listOf(text),
    maxSide: numberRule(1, Infinity, 'pixels', true),
    strict: flag,
  } satisfies Rules<Base64ImageOptions & Named>,
  object: {
    ...named,
    required: listOf(text),
    fields: fieldsRule,
    maxDepth: depth,
  } satisfies Rules<ObjectOptions>,
  fields: {
    rules: rulesRule,
    fields: {
      expected: 'an object of rules, or false, by path',
      accepts: (value) =>
        plainObject.accepts(value) &&
        Object.values(value as object).every((rule) => accepts(rulesRule, rule)),
    },
  } satisfies Rules<FieldsOptions>,
  array: {
    ...named,
    minLength: numberRule(0, Infinity, 'items', true),
    maxLength: numberRule(0, Infinity, 'items', true),
    elementSchema: specRule,
    maxDepth: depth,
  } satisfies Rules<ArrayOptions>,
}

/** What a field or an element must be: a type with its options, a Standard Schema, or a function that throws or returns false. */
export type FieldSpec =
  | ({ readonly type: 'string' } & Omit<StringOptions, 'field'>)
  | ({ readonly type: 'number' } & NumberOptions)
  | { readonly type: 'boolean' }
  | { readonly type: 'email' }
  | ({ readonly type: 'url' } & UrlOptions)
  | ({ readonly type: 'filename' } & FilenameOptions)
  | ({ readonly type: 'json' } & JsonOptions)
  | ({ readonly type: 'base64Image' } & Base64ImageOptions)
  | ({ readonly type: 'object' } & Omit<ObjectOptions, 'field'>)
  | ({ readonly type: 'array' } & Omit<ArrayOptions, 'field'>)
  | StandardSchema
  | ((value: unknown) => unknown)

export interface ObjectOptions extends Named {
  /** Fields that must be there and not be `undefined`. */
  readonly required?: readonly string[] | undefined
  /** What fields must be, where they are there. */
  readonly fields?: Readonly<Record<string, FieldSpec>> | undefined
  /** Overrides the validator's. */
  readonly maxDepth?: number | undefined
}

/** Which texts of a value are looked at, and for what. */
export interface FieldsOptions {
  /**
   * For every text that `fields` does not name, but for those whose name says that they hold a secret.
   * `false`: only what `fields` names. @default { noXss: true, noSqlInjection: true }
   */
  readonly rules?: Omit<StringOptions, 'field'> | false | undefined
  /** By path, such as `data.comment` or `data.tags[]` for each item of a list; `false`: not looked at. */
  readonly fields?: Readonly<Record<string, Omit<StringOptions, 'field'> | false>> | undefined
}

export interface ArrayOptions extends Named {
  readonly minLength?: number | undefined
  readonly maxLength?: number | undefined
  /** What every element must be. */
  readonly elementSchema?: FieldSpec | undefined
  /** Overrides the validator's. */
  readonly maxDepth?: number | undefined
}
