import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyFields, type HeadersInput, setHeaders } from './headers.ts'

function fieldsOf(input: HeadersInput) {
  const fields = emptyFields()
  setHeaders(fields, input)
  return { ...fields }
}

describe('headers', () => {
  it('come as an object, as Headers or as pairs, and end in lower case', () => {
    const expected = { 'x-a': '1', accept: 'b' }
    expect(fieldsOf({ 'X-A': 1, Accept: 'b' })).toEqual(expected)
    expect(fieldsOf(new Headers({ 'X-A': '1', Accept: 'b' }))).toEqual(expected)
    expect(
      fieldsOf([
        ['X-A', '1'],
        ['Accept', 'b'],
      ]),
    ).toEqual(expected)
  })

  it('are removed by undefined and null', () => {
    const fields = emptyFields()
    setHeaders(fields, { accept: 'a', 'x-b': 'b' })
    setHeaders(fields, { Accept: undefined, 'X-B': null })
    expect({ ...fields }).toEqual({})
  })

  it('join a list', () => {
    expect(fieldsOf({ vary: ['a', 'b'] })).toEqual({ vary: 'a, b' })
  })

  it("leave to the transport what is the transport's", () => {
    expect(fieldsOf({ Connection: 'close', 'Transfer-Encoding': 'chunked' })).toEqual({})
  })

  it('keep the length of a body, which must be one', () => {
    expect(fieldsOf({ 'Content-Length': 5 })).toEqual({ 'content-length': '5' })
    for (const wrong of ['5, 5', '-1', '1e3', '', '0x5', '9'.repeat(16)])
      expect(() => fieldsOf({ 'content-length': wrong })).toThrow(/content-length.*whole number/)
  })

  it('a header called __proto__ is a header and pollutes nothing', () => {
    const fields = emptyFields()
    setHeaders(fields, JSON.parse('{"__proto__":"x","constructor":"y"}'))
    expect(Object.keys(fields)).toEqual(['__proto__', 'constructor'])
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  it.each(['a\r\nb', 'a\nb', 'a\rb', 'a\u0000b', 'a\u007fb', 'snow\u2603man'])(
    'refuse CR, LF, NUL and their like in a value: %j',
    (value) => {
      const set = () => fieldsOf({ 'x-secret': value })
      expect(set).toThrow(/"x-secret"/)
      expect(set).not.toThrow(/snow|a.b/)
    },
  )

  it.each(['', 'a b', 'a:b', 'a\r\nevil', 'ü', 'a\u0000', '(x)'])('refuse %j as a name', (name) => {
    expect(() => fieldsOf({ [name]: 'x' })).toThrow(/is not a header name/)
  })

  it.each([[{ a: {} }], [{ a: () => 1 }], [{ a: Symbol('x') }]])(
    'refuse values that are no text',
    (input) => {
      expect(() => fieldsOf(input as unknown as HeadersInput)).toThrow(/must be a string/)
    },
  )

  it('whatever is accepted can neither end its line nor start another', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (name, value) => {
        try {
          for (const [field, text] of Object.entries(fieldsOf([[name, value]]))) {
            // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
            expect(`${field}${text}`).not.toMatch(/[\r\n\x00]/)
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_REQUEST' })
        }
      }),
    )
  })
})
