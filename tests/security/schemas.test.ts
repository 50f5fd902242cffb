// Schemas both ways: those of other libraries in our validator, ours wherever theirs are taken.

import { type as arktype } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ApiClient } from '../../src/ApiClient.ts'
import { InputValidator, type StandardSchema, ValidationError } from '../../src/security/InputValidator.ts'

const validator = new InputValidator()

const schemas: [string, StandardSchema][] = [
  ['zod', z.object({ user: z.object({ tags: z.array(z.string().max(5)) }) })],
  ['valibot', v.object({ user: v.object({ tags: v.array(v.pipe(v.string(), v.maxLength(5))) }) })],
  ['arktype', arktype({ user: { tags: 'string<=5[]' } })],
]

describe.each(schemas)('a schema of %s', (_, schema) => {
  it('serves as the options of validateObject, and its issues have their path', () => {
    expect(validator.validateObject({ user: { tags: ['short'] } }, schema)).toBe(true)
    const run = () => validator.validateObject({ user: { tags: ['short', 'far too long'] } }, schema)
    expect(run).toThrow(ValidationError)
    expect(run).toThrow(expect.objectContaining({ rule: 'schema', field: 'value.user.tags[1]' }))
    expect(run).not.toThrow(/far too long/)
  })

  it('serves as one field among others, and as the element of an array', () => {
    const options = { fields: { body: schema, name: { type: 'string', noXss: true } } } as const
    expect(validator.validateObject({ body: { user: { tags: [] } }, name: 'a' }, options)).toBe(true)
    expect(() => validator.validateObject({ body: {} }, options)).toThrow(/body.*schema/)
    expect(() => validator.validateArray([{ user: { tags: [7] } }], { elementSchema: schema })).toThrow(
      /\[0\]/,
    )
  })

  it('does not undo what every object has to keep', () => {
    const value = JSON.parse('{"user":{"tags":[]},"__proto__":{"admin":true}}') as object
    expect(() => validator.validateObject(value, schema)).toThrow(/dangerous keys/)
  })
})

describe('a schema of ours', () => {
  const order = validator.schema('object', {
    required: ['mail'],
    fields: {
      mail: { type: 'email' },
      items: {
        type: 'array',
        elementSchema: { type: 'object', fields: { note: { type: 'string', noXss: true } } },
      },
    },
  })

  it('speaks Standard Schema: value or issues with their path', () => {
    const value = { mail: 'a@b.example', items: [{ note: 'a < b' }] }
    expect(order['~standard'].validate(value)).toEqual({ value })
    const result = order['~standard'].validate({ mail: 'a@b.example', items: [{}, { note: '<script>' }] })
    expect(result).toMatchObject({
      issues: [{ path: ['items', 1, 'note'], message: expect.stringMatching(/XSS/) }],
    })
    expect(order['~standard']).toMatchObject({ version: 1, vendor: 'guru-comms' })
  })

  it('stands within our own specifications', () => {
    const options = { fields: { order } }
    expect(() => validator.validateObject({ order: { mail: 'nobody' } }, options)).toThrow(/order\.mail/)
  })

  it('lets warnings pass', () => {
    const lenient = new InputValidator({ mode: 'warn' }).schema('string', { noXss: true })
    expect(lenient['~standard'].validate('<script>')).toEqual({ value: '<script>' })
  })

  it('checks a response of the ApiClient', async () => {
    const client = new ApiClient({
      baseURL: 'http://localhost',
      transport: {
        capabilities: {},
        send(_: unknown, receiver: { onSent(): void; onResponse(response: object): void }) {
          queueMicrotask(() => {
            receiver.onSent()
            const body = new TextEncoder().encode('{"mail":"nobody"}')
            receiver.onResponse({ status: 200, headers: { 'content-type': 'application/json' }, body })
          })
          return { cancel() {} }
        },
        decodeText: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
        dispose() {},
      } as never,
    })
    await expect(client.get('/', { schema: order })).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH' })
    client.dispose()
  })

  it('is refused at once when its options are wrong', () => {
    expect(() => validator.schema('string', { maxLength: -1 })).toThrow(/maxLength/)
    expect(() => validator.schema('strnig' as never)).toThrow(/kind/)
  })
})

describe('options of every method are checked', () => {
  it.each([
    [() => validator.validateNumber(1, { min: '1' as never }), /min/],
    [() => validator.validateURL('x', { protocols: 'http' as never }), /protocols/],
    [() => validator.validateURL('x', { SSRF: true } as never), /ssrf/],
    [() => validator.validateFilename('x', { maxBytes: -1 }), /maxBytes/],
    [() => validator.validateJson('1', { maxDepth: 1.5 }), /maxDepth/],
    [() => validator.validateBase64Image('x', { types: 'png' as never }), /types/],
    [() => validator.validateObject({}, { required: 'a' as never }), /required/],
    [() => validator.validateObject({ a: 1 }, { fields: { a: { type: 'nosuch' } as never } }), /type/],
    [
      () => validator.validateObject({ a: 'b' }, { fields: { a: { type: 'string', minLength: -1 } } }),
      /minLength/,
    ],
    [() => validator.validateArray([], { elementSchema: 7 as never }), /elementSchema/],
    [() => validator.validateEmail('a', { field: 7 as never }), /field/],
  ])('%s', (run, name) => {
    expect(run).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(run).toThrow(name)
  })
})
