// What is wrong with a value, by its kind: each finding with its place and an inert excerpt. Counts and throws nothing.

import { checkOption, checkOptions, oneOf, plainObject, text } from '../core/options.ts'
import { isSecretName } from '../core/redact.ts'
import { blankCode } from './blankCode.ts'
import { detectCommandInjection } from './detect/commandInjection.ts'
import type { Detect } from './detect/finding.ts'
import { detectInvisible } from './detect/invisible.ts'
import { detectSqlInjection } from './detect/sqlInjection.ts'
import { detectXss } from './detect/xss.ts'
import {
  type ArrayOptions,
  type FieldSpec,
  kindRules,
  type Named,
  type ObjectOptions,
  type ResolvedOptions,
  type StringOptions,
} from './options.ts'
import { isStandardSchema, pathText, type StandardSchema } from './standardSchema.ts'
import { type Issue, inertExcerpt, type Severity } from './ValidationError.ts'
import { checkBase64Image } from './validate/base64Image.ts'
import { checkEmail } from './validate/email.ts'
import { checkFilename } from './validate/filename.ts'
import { checkJson } from './validate/json.ts'
import { checkNumber } from './validate/number.ts'
import { checkShape, isObject } from './validate/object.ts'
import type { Problem } from './validate/problem.ts'
import { checkString } from './validate/string.ts'
import { checkUrl } from './validate/url.ts'

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

export const KIND = oneOf(...Object.keys(kindRules).filter((kind) => kind !== 'fields'))

export const NONE: StringOptions = Object.freeze({})

/** Kinds of which one function knows all. */
export type ScalarKind = keyof typeof SCALARS

/** Finds what is wrong. */
export class Inspector {
  readonly #options: ResolvedOptions
  /** Options objects that have been checked: callers pass the same constant again and again. */
  readonly #checked = new WeakSet<object>()

  constructor(options: ResolvedOptions) {
    this.#options = options
  }

  /** @throws TypeError or RangeError naming the option, when one is wrong */
  checkKind(kind: string, options: object): void {
    if (options === NONE || this.#checked.has(options)) return
    const rules = kindRules[kind]
    // As an element of a schema it has a type; the clients pass their `validate` on.
    if (rules) checkOptions('InputValidator', options, { type: text, validator: plainObject, ...rules })
    this.#checked.add(options)
  }

  stringIssues(value: unknown, options: StringOptions, firstOnly: boolean): Issue[] {
    this.checkKind('string', options)
    return this.textIssues(value, options, options.field ?? 'value', firstOnly)
  }

  textIssues(
    value: unknown,
    options: Omit<StringOptions, 'field'>,
    field: string,
    firstOnly: boolean,
  ): Issue[] {
    const { minLength, pattern, maxLength = this.#options.maxLength } = options
    const problem = checkString(value, { minLength, maxLength, pattern })
    const issues = problem ? [this.issue(problem, field, value)] : []
    if (typeof value !== 'string' || problem?.rule === 'maxLength' || (problem && firstOnly)) return issues
    const severity = (options.mode ?? this.#options.mode) === 'warn' ? 'warning' : 'error'
    let text: string | undefined
    for (const [option, rule, name, detect] of DETECTORS) {
      if (!options[option]) continue
      text ??= (options.profile ?? this.#options.profile) === 'allowCode' ? blankCode(value) : value
      const finding = detect(text)
      if (!finding) continue
      issues.push(
        this.issue(
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

  issue(problem: Problem, field: string, value: unknown, severity: Severity = 'error'): Issue {
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

  objectIssues(value: unknown, options: ObjectOptions | StandardSchema, given: string): Issue[] {
    if (isStandardSchema(options)) {
      const field = given
      if (isObject(value)) {
        const problem = checkShape(value, this.#options.maxDepth)
        if (problem) return [this.issue(problem, field, value)]
      }
      return this.#standardIssues(value, options, field)
    }
    this.checkKind('object', options)
    const field = options.field ?? given
    if (!isObject(value)) return [this.issue({ rule: 'type', message: 'must be an object' }, field, value)]
    const problem = checkShape(value, options.maxDepth ?? this.#options.maxDepth)
    if (problem) return [this.issue(problem, field, value)]
    for (const name of options.required ?? []) {
      if (!Object.hasOwn(value, name) || value[name] === undefined) {
        return [
          this.issue(
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
        issues.push(...this.specIssues(value[name], spec, `${field}.${name}`))
      }
    }
    return issues
  }

  arrayIssues(value: unknown, options: Omit<ArrayOptions, 'field'>, field: string): Issue[] {
    if (!Array.isArray(value))
      return [this.issue({ rule: 'type', message: 'must be an array' }, field, value)]
    const { minLength, maxLength, elementSchema } = options
    if (minLength !== undefined && value.length < minLength) {
      return [
        this.issue(
          { rule: 'minLength', message: `is too short: must have at least the minimum ${minLength} items` },
          field,
          value,
        ),
      ]
    }
    if (maxLength !== undefined && value.length > maxLength) {
      return [
        this.issue(
          { rule: 'maxLength', message: `is too large: must have at most the maximum ${maxLength} items` },
          field,
          value,
        ),
      ]
    }
    const problem = checkShape(value, options.maxDepth ?? this.#options.maxDepth)
    if (problem) return [this.issue(problem, field, value)]
    if (elementSchema === undefined) return []
    return value.flatMap((item: unknown, index) => this.specIssues(item, elementSchema, `${field}[${index}]`))
  }

  specIssues(value: unknown, spec: FieldSpec, field: string): Issue[] {
    if (isStandardSchema(spec)) return this.#standardIssues(value, spec, field)
    if (typeof spec === 'function') {
      const fails = { rule: 'custom', message: 'does not pass its check' }
      try {
        return spec(value) === false ? [this.issue(fails, field, value)] : []
      } catch {
        return [this.issue(fails, field, value)]
      }
    }
    checkOption('InputValidator', 'type', spec.type, KIND)
    this.checkKind(spec.type, spec)
    switch (spec.type) {
      case 'string':
        return this.textIssues(value, spec, field, false)

      case 'boolean':
        return typeof value === 'boolean'
          ? []
          : [this.issue({ rule: 'type', message: 'must be a boolean' }, field, value)]
      case 'object':
        return this.objectIssues(value, spec, field)
      case 'array':
        return this.arrayIssues(value, spec, field)
      default: {
        const problem = (SCALARS[spec.type] as Check)(value, spec as never)
        return problem ? [this.issue(problem, field, value)] : []
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
      this.issue(
        { rule: 'schema', message: 'does not match its schema', path: pathText(path) },
        field,
        undefined,
      ),
    )
  }

  /** What is wrong with a value of a kind that one function knows all of. */
  scalarIssues(kind: ScalarKind, value: unknown, options: Named): Issue[] {
    this.checkKind(kind, options)
    const problem = (SCALARS[kind] as Check)(value, options as never)
    return problem ? [this.issue(problem, options.field ?? 'value', value)] : []
  }
}
