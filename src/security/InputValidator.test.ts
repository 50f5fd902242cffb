import { describe, expect, it } from 'vitest'
import { InputValidator, type Issue, ValidationError } from './InputValidator.ts'

const validator = new InputValidator()

function refusal(run: () => unknown): ValidationError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(ValidationError)
    return error as ValidationError
  }
  throw new Error('nothing was thrown')
}

describe('validateString', () => {
  it.each([
    [42, {}, /must be a string/, 'type'],
    ['ab', { minLength: 3 }, /minimum 3/, 'minLength'],
    ['abcd', { maxLength: 3 }, /maximum 3/, 'maxLength'],
    ['abc', { pattern: /^\d+$/ }, /pattern/, 'pattern'],
    ['<script>steal()</script>', { noXss: true }, /XSS/, 'xss'],
    ["nobody' or 'z'='z", { noSqlInjection: true }, /SQL injection/, 'sqlInjection'],
    ['10.0.0.1; cat /etc/hosts', { noCommandInjection: true }, /command injection/, 'commandInjection'],
  ])('refuses %j under %j', (value, options, message, rule) => {
    const error = refusal(() => validator.validateString(value, { ...options, field: 'note' }))
    expect(error.message).toMatch(message)
    expect(error).toMatchObject({
      code: 'VALIDATION',
      name: 'ValidationError',
      field: 'note',
      rule,
      severity: 'error',
    })
  })

  it('returns true for what passes, whatever a pattern remembers between calls', () => {
    const pattern = /^a+$/g
    for (let round = 0; round < 3; round++) expect(validator.validateString('aaa', { pattern })).toBe(true)
    expect(validator.validateString('')).toBe(true)
    expect(
      validator.validateString('Is a < b and b > c? Then select an item; or drop it.', {
        noXss: true,
        noSqlInjection: true,
        noCommandInjection: true,
        noInvisible: true,
      }),
    ).toBe(true)
  })

  it('names the place in the original string and never quotes it in the message', () => {
    const text = 'see %3Cscript src=//a.example%3E'
    const error = refusal(() => validator.validateString(text, { noXss: true }))
    expect(error.offset).toBe(4)
    expect(error.decodedVia).toBe('percent')
    expect(error.offset + error.length).toBeLessThanOrEqual(text.length)
    expect(error.message).not.toMatch(/src|a\.example/)
    expect(error.excerpt).not.toMatch(/[<>"'%]/)
    expect(Object.keys(error)).not.toContain('excerpt')
    expect(JSON.stringify(error)).not.toMatch(/a.example/)
  })

  it('shows no excerpt of fields that hold secrets', () => {
    const error = refusal(() => validator.validateString('<script>', { noXss: true, field: 'password' }))
    expect(error.excerpt).toBe('')
  })

  it('lets through and reports in mode warn, but keeps refusing types and lengths', () => {
    const seen: Issue[] = []
    const lenient = new InputValidator({ mode: 'warn', onIssue: (issue) => seen.push(issue) })
    expect(lenient.validateString('<script>', { noXss: true })).toBe(true)
    expect(seen).toMatchObject([{ rule: 'xss', severity: 'warning' }])
    expect(() => lenient.validateString('abc', { maxLength: 2 })).toThrow(ValidationError)
    expect(() => lenient.validateString('<script>', { noXss: true, mode: 'reject' })).toThrow(ValidationError)
  })

  it('ignores code that is shown as code under the profile allowCode', () => {
    const text = 'What does `<script>` do?\n```html\n<img onerror="x()">\n```\nThanks'
    expect(() => validator.validateString(text, { noXss: true })).toThrow(ValidationError)
    expect(validator.validateString(text, { noXss: true, profile: 'allowCode' })).toBe(true)
    const after = `${text}\n<script>`
    expect(refusal(() => validator.validateString(after, { noXss: true, profile: 'allowCode' })).offset).toBe(
      after.length - 8,
    )
  })

  it('refuses wrong options by name', () => {
    expect(() => validator.validateString('a', { minLength: -1 })).toThrow(/minLength/)
    expect(() => validator.validateString('a', { noXSS: true } as never)).toThrow(/noXss/)
    expect(() => new InputValidator({ mode: 'log' as never })).toThrow(/mode/)
  })
})

describe('check', () => {
  it('lists everything and throws nothing', () => {
    const { ok, issues } = validator.check("' or 1=1 -- <script>", {
      noXss: true,
      noSqlInjection: true,
      minLength: 99,
    })
    expect(ok).toBe(false)
    expect(issues.map((issue) => issue.rule)).toEqual(['minLength', 'xss', 'sqlInjection'])
    expect(validator.check(null, { noXss: true })).toMatchObject({ ok: false, issues: [{ rule: 'type' }] })
  })
})

describe('statistics', () => {
  it('count validations and failures by kind until they are reset', () => {
    const counted = new InputValidator()
    counted.validateString('a')
    counted.check(1)
    expect(() => counted.validateEmail('nobody')).toThrow()
    expect(counted.getStats()).toEqual({
      totalValidations: 3,
      failures: 2,
      byType: { string: { validations: 2, failures: 1 }, email: { validations: 1, failures: 1 } },
    })
    counted.resetStats()
    expect(counted.getStats()).toEqual({ totalValidations: 0, failures: 0, byType: {} })
  })

  it('survive an observer that throws', () => {
    const counted = new InputValidator({
      onIssue: () => {
        throw new Error('broken observer')
      },
    })
    expect(counted.check('<script>', { noXss: true }).ok).toBe(false)
    expect(counted.getStats().failures).toBe(1)
  })
})

describe('objects and arrays', () => {
  it.each([
    [[], /must be an object/],
    [null, /must be an object/],
    [JSON.parse('{"a":{"__proto__":{"admin":true}}}'), /dangerous keys/],
    [{ a: 1 }, /required field/],
    [{ name: 7 }, /must be a string/],
    [{ name: '<script>' }, /XSS/],
  ])('refuses %j', (value, message) => {
    const error = refusal(() =>
      validator.validateObject(value, {
        required: ['name'],
        fields: { name: { type: 'string', noXss: true } },
      }),
    )
    expect(error.message).toMatch(message)
  })

  it('refuses what is too deep or holds itself, without recursing', () => {
    let deep: object = {}
    for (let level = 0; level < 100_000; level++) deep = { deep }
    expect(refusal(() => validator.validateObject(deep)).message).toMatch(/too deep/)
    const round: Record<string, unknown> = {}
    round.self = round
    expect(refusal(() => validator.validateObject(round)).message).toMatch(/too deep/)
    const shared = { a: 1 }
    expect(validator.validateObject({ one: shared, two: shared })).toBe(true)
  })

  it.each([
    ['no', /must be an array/],
    [[1], /minimum 2/],
    [[1, 2, 3, 4], /maximum 3/],
    [[1, 'x'], /value\[1\]: must be a number/],
  ])('refuses the array %j', (value, message) => {
    const options = { minLength: 2, maxLength: 3, elementSchema: { type: 'number' } } as const
    expect(refusal(() => validator.validateArray(value, options)).message).toMatch(message)
  })

  it('names the path of a nested field', () => {
    const error = refusal(() =>
      validator.validateObject(
        { users: [{ mail: 'a@b.example' }, { mail: 'nobody' }] },
        {
          field: 'body',
          fields: {
            users: { type: 'array', elementSchema: { type: 'object', fields: { mail: { type: 'email' } } } },
          },
        },
      ),
    )
    expect(error).toMatchObject({ field: 'body.users[1].mail', rule: 'email' })
  })
})

describe('validate and the is methods', () => {
  it('check a value by the name of a kind, by a specification, a schema or a function', () => {
    const validator = new InputValidator()
    expect(validator.validate('a@b.example', 'email')).toBe(true)
    expect(validator.validate('abc', 'string', { maxLength: 3 })).toBe(true)
    expect(validator.validate({ tags: ['a'] }, { type: 'object', required: ['tags'] })).toBe(true)
    expect(validator.validate(4, (value) => value === 4)).toBe(true)
    expect(validator.validate(4, validator.schema('number', { max: 4 }))).toBe(true)
    expect(
      refusal(() => validator.validate('abcd', 'string', { maxLength: 3, field: 'code' })),
    ).toMatchObject({
      field: 'code',
      rule: 'maxLength',
    })
    expect(refusal(() => validator.validate(5, (value) => value === 4))).toMatchObject({ rule: 'custom' })
    expect(refusal(() => validator.validate(5, validator.schema('number', { max: 4 })))).toMatchObject({
      rule: 'schema',
    })
  })

  it('refuse a kind that there is not, and options that are wrong', () => {
    const validator = new InputValidator()
    expect(() => validator.validate('x', 'colour' as 'string')).toThrow(/InputValidator: .*type/)
    expect(() => validator.validate('x', 'string', { maxLength: -1 })).toThrow(/InputValidator: .*maxLength/)
    expect(() => validator.isString('x', { maxLength: -1 })).toThrow(/InputValidator: .*maxLength/)
  })

  it('answer as the validate methods do, and count', () => {
    const validator = new InputValidator()
    const calls: readonly (readonly [boolean, boolean])[] = [
      [validator.isString('abc', { minLength: 3 }), true],
      [validator.isString("x' or 1=1--", { noSqlInjection: true }), false],
      [validator.isNumber(3, { integer: true }), true],
      [validator.isNumber(Number.NaN), false],
      [validator.isEmail('a@b.example'), true],
      [validator.isEmail('a@'), false],
      [validator.isURL('https://a.example'), true],
      [validator.isURL('https://10.0.0.1', { ssrf: true }), false],
      [validator.isFilename('a.txt'), true],
      [validator.isFilename('../a'), false],
      [validator.isJson('{}'), true],
      [validator.isJson('{'), false],
      [validator.isBase64Image('x'), false],
      [validator.isObject({ a: 1 }, { required: ['a'] }), true],
      [validator.isObject([], {}), false],
      [validator.isArray([1], { minLength: 1 }), true],
      [validator.isArray({}), false],
      [validator.isValid('abc', 'string'), true],
      [validator.isValid(7, { type: 'string' }), false],
    ]
    for (const [answer, expected] of calls) expect(answer).toBe(expected)
    expect(validator.getStats()).toMatchObject({
      totalValidations: calls.length,
      failures: calls.filter(([, ok]) => !ok).length,
    })
  })

  it('let through in mode warn what the detectors find', () => {
    const lenient = new InputValidator({ mode: 'warn' })
    expect(lenient.isString('<script>', { noXss: true })).toBe(true)
  })
})

describe('phrases of messages', () => {
  it.each([
    [() => validator.validateString('a', { minLength: 2 }), /too short.*minimum 2/],
    [() => validator.validateString('abc', { maxLength: 2 }), /too large.*maximum 2/],
    [() => validator.validateNumber(1, { min: 2 }), /too small.*minimum 2/],
    [() => validator.validateNumber(3, { max: 2 }), /too large.*maximum 2/],
    [() => validator.validateArray([], { minLength: 1 }), /too short.*minimum 1/],
    [() => validator.validateArray([1, 2], { maxLength: 1 }), /too large.*maximum 1/],
  ])('%s', (run, message) => {
    expect(refusal(run).message).toMatch(message)
  })
})
