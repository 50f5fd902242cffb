import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson } from './parseJson.ts'

describe('JSON of others', () => {
  it.each([
    ['at the top', '{"__proto__":{"admin":true},"a":1}', { a: 1 }],
    ['at any depth', '[{"b":{"__proto__":[1],"c":2}}]', [{ b: { c: 2 } }]],
    ['written as escapes', '{"\\u005f_pr\\u006Fto__":{"admin":true},"a":1}', { a: 1 }],
    ['and keeps it as a value', '["__proto__"]', ['__proto__']],
    ['and keeps names that only look like it', '{"___proto__":1,"proto":2}', { ___proto__: 1, proto: 2 }],
  ])('loses an own "__proto__" %s', (_where, text, expected) => {
    const value = parseJson(text)
    expect(value).toEqual(expected)
    expect(Object.assign({}, value)).not.toHaveProperty('admin')
  })

  it('is what JSON.parse gives wherever there is no such key', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        fc.pre(!text.includes('__proto__'))
        expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  it('never has such a key, however it is written and wherever it stands', () => {
    const escaped = fc
      .array(fc.boolean(), { minLength: 9, maxLength: 9 })
      .map((flags) =>
        [...'__proto__']
          .map((letter, at) =>
            flags[at] ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}` : letter,
          )
          .join(''),
      )
    fc.assert(
      fc.property(escaped, fc.nat(5), (key, depth) => {
        const text = `${'{"x":['.repeat(depth)}{"${key}":{"admin":1}}${']}'.repeat(depth)}`
        expect(JSON.stringify(parseJson(text))).not.toContain('admin')
      }),
    )
  })
})
