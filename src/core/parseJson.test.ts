import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonFault, parseJson } from './parseJson.ts'

const nested = (depth: number, open = '[', close = ']') => open.repeat(depth) + close.repeat(depth)

/** What the scan should count, found out the slow way. */
function measure(value: unknown): { depth: number; values: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, values: 1 }
  const inner = Object.values(value).map(measure)
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    values: 1 + inner.reduce((sum, { values }) => sum + values, 0),
  }
}

describe('JSON from outside', () => {
  it.each([
    ['arrays', 64, '[', ']', true],
    ['arrays', 65, '[', ']', false],
    ['objects', 64, '{"a":', '}', true],
    ['objects', 65, '{"a":', '}', false],
  ])('%s nested %i deep', (_what, depth, open, close, passes) => {
    const text = open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth)
    expect(jsonFault(text) === undefined).toBe(passes)
  })

  it.each([
    ['brackets in a string', JSON.stringify('['.repeat(200))],
    ['escaped quotes before brackets', JSON.stringify(`${'"['.repeat(200)}`)],
    ['backslashes before the closing quote', JSON.stringify([`${'\\'.repeat(200)}`, '['.repeat(100)])],
    ['a key with brackets', JSON.stringify({ ['{'.repeat(200)]: 1 })],
    ['brackets side by side', `[${Array(500).fill('[]').join()}]`],
  ])('%s are not depth', (_what, text) => {
    expect(jsonFault(text)).toBeUndefined()
    expect(parseJson(text)).toEqual(JSON.parse(text))
  })

  it('says what is too long, and what holds too much', () => {
    expect(jsonFault('"abc"', { maxLength: 4 })).toBe('JSON of more than 4 characters')
    expect(jsonFault('[1,2,3]', { maxValues: 3 })).toBe('JSON of more than 3 values')
    expect(jsonFault('[1,2]', { maxValues: 3 })).toBeUndefined()
    expect(() => parseJson(nested(65))).toThrow(SyntaxError)
  })

  it('is not led astray by what is no JSON: JSON.parse has the last word', () => {
    for (const text of [`"${'['.repeat(100)}`, `${']'.repeat(100)}${'['.repeat(64)}`, '"\\', '\\"', '']) {
      jsonFault(text)
      expect(() => parseJson(text), text).toThrow(SyntaxError)
    }
  })

  it('counts as a walk of the parsed value does, whatever the JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), fc.integer({ min: 0, max: 3 }), (text, less) => {
        const { depth, values } = measure(JSON.parse(text))
        expect(jsonFault(text, { maxDepth: depth })).toBeUndefined()
        if (depth > less) expect(jsonFault(text, { maxDepth: depth - less - 1 })).toContain('deeper')
        // An empty array or object counts one more than it holds: a bound, not a census.
        expect(jsonFault(text, { maxValues: 2 * values })).toBeUndefined()
        if (values > 1) expect(jsonFault(text, { maxValues: values - 1 })).toContain('values')
      }),
      { numRuns: 500 },
    )
  })

  it('reads each character a bounded number of times', () => {
    // 4 MiB that a scan with a quadratic step in it would not get through within the test's time.
    const size = 2 ** 22
    for (const piece of ['[', '"', '\\"', '\\\\', '"\\"', '[]', '{"a":1},', '\\'])
      jsonFault(piece.repeat(size / piece.length), { maxDepth: Infinity })
  })
})
