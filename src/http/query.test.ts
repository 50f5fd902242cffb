import { describe, expect, it } from 'vitest'
import { serializeQuery } from './query.ts'

describe('a query', () => {
  it.each([
    [{ a: 1, b: 'x y', c: true }, 'a=1&b=x+y&c=true'],
    [{ a: undefined, b: null, c: '' }, 'c='],
    [{ tags: ['x', 'y'], none: [] }, 'tags=x&tags=y'],
    [{ since: new Date(Date.UTC(2030, 0, 1)) }, 'since=2030-01-01T00%3A00%3A00.000Z'],
    [{ filter: { name: 'z', deep: { n: 1 } } }, 'filter%5Bname%5D=z&filter%5Bdeep%5D%5Bn%5D=1'],
    [{ 'ä&=': '&=#' }, '%C3%A4%26%3D=%26%3D%23'],
    [{}, ''],
  ])('of %j is %s', (params, query) => {
    expect(serializeQuery(params)).toBe(query)
  })

  it('holds numbers of any size', () => {
    expect(serializeQuery({ id: 12345678901234567890n })).toBe('id=12345678901234567890')
  })

  it('takes URLSearchParams as they are', () => {
    expect(serializeQuery(new URLSearchParams('b=2&a=1'))).toBe('b=2&a=1')
  })

  it('sees own names only, and __proto__ as one', () => {
    const inherited = Object.create({ ghost: 1 }, { a: { value: 1, enumerable: true } })
    expect(serializeQuery(inherited)).toBe('a=1')
    expect(serializeQuery(JSON.parse('{"__proto__":{"x":1}}'))).toBe('__proto__%5Bx%5D=1')
  })

  it.each([
    [{ page: Number.NaN }, /"page" is NaN/],
    [{ page: Number.POSITIVE_INFINITY }, /"page" is Infinity/],
    [{ f: () => 1 }, /"f" is a function/],
    [{ s: Symbol('s') }, /"s" is a symbol/],
    [{ when: new Date(Number.NaN) }, /"when" is an invalid date/],
  ])('refuses what has no form in one, by name', (params, message) => {
    expect(() => serializeQuery(params)).toThrow(message)
  })

  it('refuses a circle', () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    expect(() => serializeQuery(circle)).toThrow(/nested more than/)
  })
})
