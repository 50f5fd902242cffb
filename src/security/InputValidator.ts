// Checks on what comes from outside: detectors of injections and rules for strings, numbers, addresses, files, objects.
// A tripwire and a signal, not the defence: that is output encoding, CSP, Trusted Types and parameterised queries.
// The methods, and the counts: what is wrong with a value is found by inspector.ts.

import { checkOption, checkOptions, withDefaults } from '../core/options.ts'
import { Inspector, KIND, NONE, type ScalarKind } from './inspector.ts'
import {
  type ArrayOptions,
  defaultFieldRules,
  type FieldSpec,
  type FieldsOptions,
  type InputValidatorOptions,
  type Named,
  type ObjectOptions,
  type ResolvedOptions,
  type StringOptions,
  validatorDefaults,
  validatorRules,
} from './options.ts'
import { sanitizeHtml } from './sanitizeHtml.ts'
import { pathOf, type StandardSchema } from './standardSchema.ts'
import { isSecretField, textFields } from './textFields.ts'
import { type Issue, ValidationError } from './ValidationError.ts'
import type { Base64ImageOptions } from './validate/base64Image.ts'
import type { FilenameOptions } from './validate/filename.ts'
import type { JsonOptions } from './validate/json.ts'
import type { NumberOptions } from './validate/number.ts'
import type { UrlOptions } from './validate/url.ts'

export type {
  ArrayOptions,
  FieldSpec,
  FieldsOptions,
  InputValidatorOptions,
  ObjectOptions,
  StringOptions,
} from './options.ts'
export type { StandardSchema } from './standardSchema.ts'
export { type Issue, type Severity, ValidationError } from './ValidationError.ts'

/** What `check` answers. */
export interface CheckResult {
  /** Whether `validateString` would have returned true. */
  readonly ok: boolean
  /** Everything found, warnings included. */
  readonly issues: readonly Issue[]
}

/** Counts since the start or the last `resetStats()`. */
export interface ValidatorStats {
  totalValidations: number
  failures: number
  /** By what was validated: `string`, `number`, `email`, `url`, `object`, `array`, ... */
  byType: Record<string, KindStats>
}

export interface KindStats {
  validations: number
  failures: number
}

/** Kinds of value that `schema()` makes Standard Schemas of, with their options. */
export interface SchemaOptions {
  string: StringOptions
  number: NumberOptions & Named
  email: Named
  url: UrlOptions & Named
  filename: FilenameOptions & Named
  json: JsonOptions & Named
  base64Image: Base64ImageOptions & Named
  object: ObjectOptions
  array: ArrayOptions
}

/** What statistics count a value as. */
function kindOf(spec: keyof SchemaOptions | FieldSpec): string {
  if (typeof spec === 'string') return spec
  return 'type' in spec && typeof spec.type === 'string' ? spec.type : 'schema'
}

/** Validates input. Methods return `true` or throw a `ValidationError`; `check` never throws. */
export class InputValidator {
  readonly #options: ResolvedOptions
  readonly #inspector: Inspector
  #totalValidations = 0
  #failures = 0
  #byType: Record<string, KindStats> = Object.create(null)

  /** @throws TypeError or RangeError naming the option, when one is wrong */
  constructor(options: InputValidatorOptions = {}) {
    checkOptions('InputValidator', options, validatorRules as never)
    this.#options = withDefaults(validatorDefaults, options)
    this.#inspector = new Inspector(this.#options)
  }

  /**
   * Checks a string's type, length and pattern, and whatever detectors `options` names.
   * @throws ValidationError with the first issue that is an error
   */
  validateString(value: unknown, options: StringOptions = NONE): true {
    return this.#conclude('string', this.#inspector.stringIssues(value, options, true))
  }

  /** The same as `validateString` for callers who want to know all that is wrong; never throws for a value. */
  check(value: unknown, options: StringOptions = NONE): CheckResult {
    const issues = this.#inspector.stringIssues(value, options, false)
    const ok = !issues.some((issue) => issue.severity === 'error')
    this.#record('string', issues, ok)
    return { ok, issues }
  }

  /**
   * `validateString`, and then the `inspect` hook given to the constructor.
   * @throws (rejects) ValidationError; or with what the hook throws
   */
  async inspectString(value: unknown, options: StringOptions = NONE): Promise<true> {
    this.validateString(value, options)
    const field = options.field ?? 'value'
    const found = await this.#options.inspect?.(value as string, { field })
    if (!found) return true
    const severity = (options.mode ?? this.#options.mode) === 'warn' ? 'warning' : 'error'
    const problem = { rule: 'inspect', message: 'was objected to by the inspect hook' }
    return this.#conclude('inspect', [this.#inspector.issue(problem, field, value, severity)])
  }

  /** @throws ValidationError */
  validateNumber(value: unknown, options: NumberOptions & Named = NONE): true {
    return this.#single('number', value, options)
  }

  /** @throws ValidationError ("invalid email") */
  validateEmail(value: unknown, options: Named = NONE): true {
    return this.#single('email', value, options)
  }

  /** @throws ValidationError ("invalid URL", "protocol not allowed", "dangerous") */
  validateURL(value: unknown, options: UrlOptions & Named = NONE): true {
    return this.#single('url', value, options)
  }

  /** @throws ValidationError */
  validateFilename(value: unknown, options: FilenameOptions & Named = NONE): true {
    return this.#single('filename', value, options)
  }

  /** Checks the text of a JSON document before anything parses it. @throws ValidationError */
  validateJson(value: unknown, options: JsonOptions & Named = NONE): true {
    return this.#single('json', value, options)
  }

  /** @throws ValidationError */
  validateBase64Image(value: unknown, options: Base64ImageOptions & Named = NONE): true {
    return this.#single('base64Image', value, options)
  }

  /**
   * An object: no dangerous keys, not too deep, required fields there, fields as specified; or as a Standard Schema says.
   * @throws ValidationError; TypeError when the schema answers with a promise
   */
  validateObject(value: unknown, options: ObjectOptions | StandardSchema = NONE): true {
    return this.#conclude('object', this.#inspector.objectIssues(value, options, 'value'))
  }

  /**
   * Every text within a value: of objects, arrays, forms and queries. The clients do this with what they send when they are
   * given `validate: { validator, rules, fields }`.
   * @throws ValidationError whose `field` is the path, such as `data.user.name`
   */
  validateFields(value: object, options: FieldsOptions = {}): true {
    this.#inspector.checkKind('fields', options)
    const { rules = defaultFieldRules, fields = {} } = options
    const issues: Issue[] = []
    for (const [name, part] of Object.entries(value)) {
      for (const { path, text } of textFields(part, name, this.#options.maxDepth)) {
        const named = path.replace(/\[\d+\]/g, '[]')
        const chosen = Object.hasOwn(fields, path)
          ? fields[path]
          : Object.hasOwn(fields, named)
            ? fields[named]
            : undefined
        const inForce = chosen ?? (isSecretField(path) ? false : rules)
        if (inForce) {
          this.#inspector.checkKind('string', inForce)
          issues.push(...this.#inspector.textIssues(text, inForce, path, true))
        }
      }
    }
    return this.#conclude('fields', issues)
  }

  /** @throws ValidationError */
  validateArray(value: unknown, options: ArrayOptions = NONE): true {
    this.#inspector.checkKind('array', options)
    return this.#conclude('array', this.#inspector.arrayIssues(value, options, options.field ?? 'value'))
  }

  /**
   * Any value, as `spec` says: the name of a kind, a kind with its options (`{ type: 'string', maxLength: 40 }`), a Standard
   * Schema, or a function that throws or returns false. `options` go with the name of a kind.
   * @throws ValidationError with the first issue that is an error
   */
  validate<Kind extends keyof SchemaOptions>(value: unknown, spec: Kind, options?: SchemaOptions[Kind]): true
  validate(value: unknown, spec: FieldSpec, options?: Named): true
  validate(value: unknown, spec: keyof SchemaOptions | FieldSpec, options: Named = NONE): true {
    return this.#conclude(kindOf(spec), this.#specIssues(value, spec, options))
  }

  /** What `validate` does, answered by true or false. */
  isValid<Kind extends keyof SchemaOptions>(
    value: unknown,
    spec: Kind,
    options?: SchemaOptions[Kind],
  ): boolean
  isValid(value: unknown, spec: FieldSpec, options?: Named): boolean
  isValid(value: unknown, spec: keyof SchemaOptions | FieldSpec, options: Named = NONE): boolean {
    return this.#holds(kindOf(spec), this.#specIssues(value, spec, options))
  }

  // The `is` methods answer by true or false what the `validate` methods of the same kind answer by returning or throwing.

  isString(value: unknown, options: StringOptions = NONE): boolean {
    return this.#holds('string', this.#inspector.stringIssues(value, options, true))
  }

  isNumber(value: unknown, options: NumberOptions & Named = NONE): boolean {
    return this.#holds('number', this.#inspector.scalarIssues('number', value, options))
  }

  isEmail(value: unknown, options: Named = NONE): boolean {
    return this.#holds('email', this.#inspector.scalarIssues('email', value, options))
  }

  isURL(value: unknown, options: UrlOptions & Named = NONE): boolean {
    return this.#holds('url', this.#inspector.scalarIssues('url', value, options))
  }

  isFilename(value: unknown, options: FilenameOptions & Named = NONE): boolean {
    return this.#holds('filename', this.#inspector.scalarIssues('filename', value, options))
  }

  isJson(value: unknown, options: JsonOptions & Named = NONE): boolean {
    return this.#holds('json', this.#inspector.scalarIssues('json', value, options))
  }

  isBase64Image(value: unknown, options: Base64ImageOptions & Named = NONE): boolean {
    return this.#holds('base64Image', this.#inspector.scalarIssues('base64Image', value, options))
  }

  isObject(value: unknown, options: ObjectOptions | StandardSchema = NONE): boolean {
    return this.#holds('object', this.#inspector.objectIssues(value, options, 'value'))
  }

  isArray(value: unknown, options: ArrayOptions = NONE): boolean {
    this.#inspector.checkKind('array', options)
    return this.#holds('array', this.#inspector.arrayIssues(value, options, options.field ?? 'value'))
  }

  /**
   * A Standard Schema (usable wherever zod, valibot or arktype schemas are) that does what `validate...` does.
   * Its result is the value itself; nothing is converted.
   */
  schema<Kind extends keyof SchemaOptions>(kind: Kind, options?: SchemaOptions[Kind]): StandardSchema {
    checkOption('InputValidator', 'kind', kind, KIND)
    const spec = { ...options, type: kind } as FieldSpec
    if (options) this.#inspector.checkKind(kind, options)
    return {
      '~standard': {
        version: 1,
        vendor: 'guru-comms',
        validate: (value) => {
          const issues = this.#inspector.specIssues(value, spec, options?.field ?? 'value')
          const ok = !issues.some((issue) => issue.severity === 'error')
          this.#record(kind, issues, ok)
          const root = (options?.field ?? 'value').length
          return ok
            ? { value }
            : { issues: issues.map(({ message, field }) => ({ message, path: pathOf(field.slice(root)) })) }
        },
      },
    }
  }

  /** HTML that is safe to render, by DOMPurify (optional peer; outside of browsers also jsdom or happy-dom). */
  sanitizeHtml(html: string, config?: Readonly<Record<string, unknown>>): Promise<string> {
    return sanitizeHtml(html, config)
  }

  getStats(): ValidatorStats {
    const byType: Record<string, KindStats> = {}
    for (const [kind, stats] of Object.entries(this.#byType)) byType[kind] = { ...stats }
    return { totalValidations: this.#totalValidations, failures: this.#failures, byType }
  }

  resetStats(): void {
    this.#totalValidations = this.#failures = 0
    this.#byType = Object.create(null)
  }

  #specIssues(value: unknown, spec: keyof SchemaOptions | FieldSpec, options: Named): Issue[] {
    const whole = typeof spec === 'string' ? ({ ...options, type: spec } as FieldSpec) : spec
    return this.#inspector.specIssues(value, whole, options.field ?? 'value')
  }

  #single(kind: ScalarKind, value: unknown, options: Named): true {
    return this.#conclude(kind, this.#inspector.scalarIssues(kind, value, options))
  }

  /** Counts, reports, and throws the first error. */
  #conclude(kind: string, issues: readonly Issue[]): true {
    const error = issues.find((issue) => issue.severity === 'error')
    this.#record(kind, issues, error === undefined)
    if (error) throw new ValidationError(error)
    return true
  }

  /** Counts, reports, and says whether no issue is an error. */
  #holds(kind: string, issues: readonly Issue[]): boolean {
    const ok = !issues.some((issue) => issue.severity === 'error')
    this.#record(kind, issues, ok)
    return ok
  }

  #record(kind: string, issues: readonly Issue[], ok: boolean): void {
    this.#byType[kind] ??= { validations: 0, failures: 0 }
    const stats = this.#byType[kind]
    this.#totalValidations++
    stats.validations++
    if (!ok) {
      this.#failures++
      stats.failures++
    }
    const { onIssue } = this.#options
    if (!onIssue) return
    for (const issue of issues) {
      try {
        onIssue(issue)
      } catch {
        // An observer that fails must not decide what passes.
      }
    }
  }
}
