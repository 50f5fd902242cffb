// Checks on what comes from outside: detectors of injections and rules for strings, numbers, addresses, files, objects.
// A tripwire and a signal, not the defence: that is output encoding, CSP, Trusted Types and parameterised queries.
// Wiring only: every rule and every detector is a file of its own.

import { checkOption, checkOptions, oneOf, plainObject, text, withDefaults } from '../core/options.ts'
import { isSecretName } from '../core/redact.ts'
import { blankCode } from './blankCode.ts'
import { detectCommandInjection } from './detect/commandInjection.ts'
import type { Detect } from './detect/finding.ts'
import { detectInvisible } from './detect/invisible.ts'
import { detectSqlInjection } from './detect/sqlInjection.ts'
import { detectXss } from './detect/xss.ts'
import {
  type ArrayOptions,
  defaultFieldRules,
  type FieldSpec,
  type FieldsOptions,
  type InputValidatorOptions,
  kindRules,
  type Named,
  type ObjectOptions,
  type ResolvedOptions,
  type StringOptions,
  validatorDefaults,
  validatorRules,
} from './options.ts'
import { sanitizeHtml } from './sanitizeHtml.ts'
import { isStandardSchema, pathOf, pathText, type StandardSchema } from './standardSchema.ts'
import { isSecretField, textFields } from './textFields.ts'
import { type Issue, inertExcerpt, type Severity, ValidationError } from './ValidationError.ts'
import { type Base64ImageOptions, checkBase64Image } from './validate/base64Image.ts'
import { checkEmail } from './validate/email.ts'
import { checkFilename, type FilenameOptions } from './validate/filename.ts'
import { checkJson, type JsonOptions } from './validate/json.ts'
import { checkNumber, type NumberOptions } from './validate/number.ts'
import { checkShape, isObject } from './validate/object.ts'
import type { Problem } from './validate/problem.ts'
import { checkString } from './validate/string.ts'
import { checkUrl, type UrlOptions } from './validate/url.ts'

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

type DetectorOption = 'noXss' | 'noSqlInjection' | 'noCommandInjection' | 'noInvisible'

const DETECTORS: readonly (readonly [option: DetectorOption, rule: string, name: string, detect: Detect])[] =
  [
    ['noXss', 'xss', 'XSS', detectXss],
    ['noSqlInjection', 'sqlInjection', 'SQL injection', detectSqlInjection],
    ['noCommandInjection', 'commandInjection', 'command injection', detectCommandInjection],
    ['noInvisible', 'invisible', 'invisible characters', detectInvisible],
  ]

type Check = (value: unknown, options: never) => Problem | null

/** Kinds whose rule is one function of the value and the options. */
const SCALARS = {
  number: checkNumber,
  email: checkEmail,
  url: checkUrl,
  filename: checkFilename,
  json: checkJson,
  base64Image: checkBase64Image,
} satisfies Record<string, Check>

const KIND = oneOf(...Object.keys(kindRules).filter((kind) => kind !== 'fields'))

const NONE: StringOptions = Object.freeze({})

/** Validates input. Methods return `true` or throw a `ValidationError`; `check` never throws. */
export class InputValidator {
  readonly #options: ResolvedOptions
  #totalValidations = 0
  #failures = 0
  #byType: Record<string, KindStats> = Object.create(null)
  /** Options objects that have been checked: callers pass the same constant again and again. */
  readonly #checked = new WeakSet<object>()

  /** @throws TypeError or RangeError naming the option, when one is wrong */
  constructor(options: InputValidatorOptions = {}) {
    checkOptions('InputValidator', options, validatorRules as never)
    this.#options = withDefaults(validatorDefaults, options)
  }

  /**
   * Checks a string's type, length and pattern, and whatever detectors `options` names.
   * @throws ValidationError with the first issue that is an error
   */
  validateString(value: unknown, options: StringOptions = NONE): true {
    return this.#conclude('string', this.#stringIssues(value, options, true))
  }

  /** The same as `validateString` for callers who want to know all that is wrong; never throws for a value. */
  check(value: unknown, options: StringOptions = NONE): CheckResult {
    const issues = this.#stringIssues(value, options, false)
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
    return this.#conclude('inspect', [this.#issue(problem, field, value, severity)])
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
    return this.#conclude('object', this.#objectIssues(value, options, 'value'))
  }

  /**
   * Every text within a value: of objects, arrays, forms and queries. The clients do this with what they send when they are
   * given `validate: { validator, rules, fields }`.
   * @throws ValidationError whose `field` is the path, such as `data.user.name`
   */
  validateFields(value: object, options: FieldsOptions = {}): true {
    this.#checkKind('fields', options)
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
          this.#checkKind('string', inForce)
          issues.push(...this.#textIssues(text, inForce, path, true))
        }
      }
    }
    return this.#conclude('fields', issues)
  }

  /** @throws ValidationError */
  validateArray(value: unknown, options: ArrayOptions = NONE): true {
    this.#checkKind('array', options)
    return this.#conclude('array', this.#arrayIssues(value, options, options.field ?? 'value'))
  }

  /**
   * A Standard Schema (usable wherever zod, valibot or arktype schemas are) that does what `validate...` does.
   * Its result is the value itself; nothing is converted.
   */
  schema<Kind extends keyof SchemaOptions>(kind: Kind, options?: SchemaOptions[Kind]): StandardSchema {
    checkOption('InputValidator', 'kind', kind, KIND)
    const spec = { ...options, type: kind } as FieldSpec
    if (options) this.#checkKind(kind, options)
    return {
      '~standard': {
        version: 1,
        vendor: 'guru-comms',
        validate: (value) => {
          const issues = this.#specIssues(value, spec, options?.field ?? 'value')
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

  /** @throws TypeError or RangeError naming the option, when one is wrong */
  #checkKind(kind: string, options: object): void {
    if (options === NONE || this.#checked.has(options)) return
    const rules = kindRules[kind]
    // As an element of a schema it has a type; the clients pass their `validate` on.
    if (rules) checkOptions('InputValidator', options, { type: text, validator: plainObject, ...rules })
    this.#checked.add(options)
  }

  #stringIssues(value: unknown, options: StringOptions, firstOnly: boolean): Issue[] {
    this.#checkKind('string', options)
    return this.#textIssues(value, options, options.field ?? 'value', firstOnly)
  }

  #textIssues(
    value: unknown,
    options: Omit<StringOptions, 'field'>,
    field: string,
    firstOnly: boolean,
  ): Issue[] {
    const { minLength, pattern, maxLength = this.#options.maxLength } = options
    const problem = checkString(value, { minLength, maxLength, pattern })
    const issues = problem ? [this.#issue(problem, field, value)] : []
    if (typeof value !== 'string' || problem?.rule === 'maxLength' || (problem && firstOnly)) return issues
    const severity = (options.mode ?? this.#options.mode) === 'warn' ? 'warning' : 'error'
    let text: string | undefined
    for (const [option, rule, name, detect] of DETECTORS) {
      if (!options[option]) continue
      text ??= (options.profile ?? this.#options.profile) === 'allowCode' ? blankCode(value) : value
      const finding = detect(text)
      if (!finding) continue
      issues.push(
        this.#issue(
          { ...finding, rule, message: `possible ${name} (${finding.reason})` },
          field,
          value,
          severity,
        ),
      )
      if (firstOnly && severity === 'error') break
    }
    return issues
  }

  #issue(problem: Problem, field: string, value: unknown, severity: Severity = 'error'): Issue {
    const name = problem.path ? `${field}${problem.path}` : field
    const text = typeof value === 'string' ? value : ''
    const { rule, offset = 0, length = text.length, decodedVia = '' } = problem
    return {
      field: name,
      rule,
      message: `${name}: ${problem.message}`,
      offset,
      length: Math.min(length, text.length - offset),
      excerpt: isSecretName(name) ? '' : inertExcerpt(text, offset, length),
      decodedVia,
      severity,
    }
  }

  #objectIssues(value: unknown, options: ObjectOptions | StandardSchema, given: string): Issue[] {
    if (isStandardSchema(options)) {
      const field = given
      if (isObject(value)) {
        const problem = checkShape(value, this.#options.maxDepth)
        if (problem) return [this.#issue(problem, field, value)]
      }
      return this.#standardIssues(value, options, field)
    }
    this.#checkKind('object', options)
    const field = options.field ?? given
    if (!isObject(value)) return [this.#issue({ rule: 'type', message: 'must be an object' }, field, value)]
    const problem = checkShape(value, options.maxDepth ?? this.#options.maxDepth)
    if (problem) return [this.#issue(problem, field, value)]
    for (const name of options.required ?? []) {
      if (!Object.hasOwn(value, name) || value[name] === undefined) {
        return [
          this.#issue(
            { rule: 'required', message: 'required field is missing', path: `.${name}` },
            field,
            undefined,
          ),
        ]
      }
    }
    const issues: Issue[] = []
    for (const [name, spec] of Object.entries(options.fields ?? {})) {
      if (Object.hasOwn(value, name) && value[name] !== undefined) {
        issues.push(...this.#specIssues(value[name], spec, `${field}.${name}`))
      }
    }
    return issues
  }

  #arrayIssues(value: unknown, options: Omit<ArrayOptions, 'field'>, field: string): Issue[] {
    if (!Array.isArray(value))
      return [this.#issue({ rule: 'type', message: 'must be an array' }, field, value)]
    const { minLength, maxLength, elementSchema } = options
    if (minLength !== undefined && value.length < minLength) {
      return [
        this.#issue(
          { rule: 'minLength', message: `must have at least the minimum ${minLength} items` },
          field,
          value,
        ),
      ]
    }
    if (maxLength !== undefined && value.length > maxLength) {
      return [
        this.#issue(
          { rule: 'maxLength', message: `must have at most the maximum ${maxLength} items` },
          field,
          value,
        ),
      ]
    }
    const problem = checkShape(value, options.maxDepth ?? this.#options.maxDepth)
    if (problem) return [this.#issue(problem, field, value)]
    if (elementSchema === undefined) return []
    return value.flatMap((item: unknown, index) =>
      this.#specIssues(item, elementSchema, `${field}[${index}]`),
    )
  }

  #specIssues(value: unknown, spec: FieldSpec, field: string): Issue[] {
    if (isStandardSchema(spec)) return this.#standardIssues(value, spec, field)
    if (typeof spec === 'function') {
      const fails = { rule: 'custom', message: 'does not pass its check' }
      try {
        return spec(value) === false ? [this.#issue(fails, field, value)] : []
      } catch {
        return [this.#issue(fails, field, value)]
      }
    }
    checkOption('InputValidator', 'type', spec.type, KIND)
    this.#checkKind(spec.type, spec)
    switch (spec.type) {
      case 'string':
        return this.#textIssues(value, spec, field, false)

      case 'boolean':
        return typeof value === 'boolean'
          ? []
          : [this.#issue({ rule: 'type', message: 'must be a boolean' }, field, value)]
      case 'object':
        return this.#objectIssues(value, spec, field)
      case 'array':
        return this.#arrayIssues(value, spec, field)
      default: {
        const problem = (SCALARS[spec.type] as Check)(value, spec as never)
        return problem ? [this.#issue(problem, field, value)] : []
      }
    }
  }

  #standardIssues(value: unknown, schema: StandardSchema, field: string): Issue[] {
    const result = schema['~standard'].validate(value)
    if ('then' in result) {
      throw new TypeError(`InputValidator: the schema of "${field}" is asynchronous; use a synchronous one`)
    }
    // The library's own words may quote the value: they stay out of the message.
    return (result.issues ?? []).map(({ path }) =>
      this.#issue(
        { rule: 'schema', message: 'does not match its schema', path: pathText(path) },
        field,
        undefined,
      ),
    )
  }

  #single(kind: keyof typeof SCALARS, value: unknown, options: Named): true {
    this.#checkKind(kind, options)
    const problem = (SCALARS[kind] as Check)(value, options as never)
    return this.#conclude(kind, problem ? [this.#issue(problem, options.field ?? 'value', value)] : [])
  }

  /** Counts, reports, and throws the first error. */
  #conclude(kind: string, issues: readonly Issue[]): true {
    const error = issues.find((issue) => issue.severity === 'error')
    this.#record(kind, issues, error === undefined)
    if (error) throw new ValidationError(error)
    return true
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
