import { describe, expect, it, vi } from 'vitest'
import { accepts } from '../core/options.ts'
import { InputValidator, ValidationError } from '../security/InputValidator.ts'
import { guardRequests } from './guardCalls.ts'
import { validateRule } from './options.ts'

const validator = new InputValidator()
const ATTACK = '<img src=x onerror=steal()>'

function refusedField(value: object, options = {}): string | undefined {
  try {
    validator.validateFields(value, options)
    return undefined
  } catch (error) {
    expect(error).toBeInstanceOf(ValidationError)
    return (error as ValidationError).field
  }
}

describe('the texts of what is sent are looked at', () => {
  it.each([
    ['a string', { data: ATTACK }, 'data'],
    ['an object', { data: { user: { name: ATTACK } } }, 'data.user.name'],
    ['an array', { data: { tags: ['a', ATTACK] } }, 'data.tags[1]'],
    ['text that is JSON', { data: JSON.stringify({ note: ATTACK }) }, 'data.note'],
    ['text that only begins like JSON', { data: `{${ATTACK}` }, 'data'],
    ['a query', { params: { q: "nobody' or 1=1 -- " } }, 'params.q'],
    ['search parameters', { data: new URLSearchParams({ q: ATTACK }) }, 'data.q'],
    ['a map', { data: new Map([['q', ATTACK]]) }, 'data.q'],
  ])('in %s', (_, value, field) => {
    expect(refusedField(value)).toBe(field)
  })

  it('in a form, but not in its files', () => {
    const form = new FormData()
    form.set('file', new Blob([ATTACK]), 'a.txt')
    expect(refusedField({ data: form })).toBeUndefined()
    form.set('note', ATTACK)
    expect(refusedField({ data: form })).toBe('data.note')
  })

  it('in no bytes, streams, dates or nothing at all', () => {
    const data = [
      new TextEncoder().encode(ATTACK),
      new Blob([ATTACK]),
      new ReadableStream(),
      new Date(),
      null,
      undefined,
      7,
    ]
    expect(refusedField({ data, params: undefined })).toBeUndefined()
  })

  it('where a value holds itself, once', () => {
    const round: Record<string, unknown> = { note: 'a' }
    round.self = round
    expect(refusedField({ data: round })).toBeUndefined()
    round.later = ATTACK
    expect(refusedField({ data: round })).toBe('data.later')
  })

  it('but for secrets, unless they are named', () => {
    const value = { data: { password: "' or 1=1 -- ", token: { value: ATTACK } } }
    expect(refusedField(value)).toBeUndefined()
    expect(refusedField({ data: { author: ATTACK } })).toBe('data.author')
    expect(refusedField(value, { fields: { 'data.password': { noSqlInjection: true } } })).toBe(
      'data.password',
    )
  })
})

describe('rules by field', () => {
  const value = { data: { html: ATTACK, items: [{ note: 'a' }, { note: 'abcdef' }] } }

  it('take the place of those for all', () => {
    expect(refusedField(value)).toBe('data.html')
    expect(refusedField(value, { fields: { 'data.html': false } })).toBeUndefined()
    expect(refusedField(value, { fields: { 'data.html': { maxLength: 3 } } })).toBe('data.html')
  })

  it('may be all there are', () => {
    expect(refusedField(value, { rules: false })).toBeUndefined()
    expect(refusedField(value, { rules: false, fields: { 'data.items[].note': { maxLength: 3 } } })).toBe(
      'data.items[1].note',
    )
    expect(
      refusedField(value, { rules: false, fields: { 'data.items[0].note': { maxLength: 3 } } }),
    ).toBeUndefined()
  })

  it('are checked like all options', () => {
    expect(() => validator.validateFields(value, { rules: { maxLength: -1 } })).toThrow(/maxLength/)
    expect(() => validator.validateFields(value, { fields: { a: 7 as never } })).toThrow(/fields/)
  })
})

describe('for the clients', () => {
  it('a guard hands data and query of a request to the validator', () => {
    const validateFields = vi.fn()
    const validate = { validator: { validateFields }, rules: {} }
    guardRequests(validate)({ data: { a: 1 }, params: { b: 2 }, url: '/x' } as never)
    expect(validateFields).toHaveBeenCalledWith({ params: { b: 2 }, data: { a: 1 } }, validate)
    expect(() => guardRequests({ validator })({ data: ATTACK })).toThrow(ValidationError)
  })

  it('a validator is what has validateFields', () => {
    expect(accepts(validateRule, { validator })).toBe(true)
    for (const wrong of [null, undefined, 7, {}, { validator: {} }, validator])
      expect(accepts(validateRule, wrong)).toBe(false)
  })

  it('what is found in warn mode is reported and sent', () => {
    const onIssue = vi.fn()
    const lenient = new InputValidator({ mode: 'warn', onIssue })
    expect(() => guardRequests({ validator: lenient })({ data: { a: ATTACK } })).not.toThrow()
    expect(onIssue).toHaveBeenCalledWith(expect.objectContaining({ field: 'data.a', severity: 'warning' }))
  })
})
