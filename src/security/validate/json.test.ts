import fc from 'fast-check'
import { expect, it } from 'vitest'
import { checkJson } from './json.ts'

it('passes whatever JSON.stringify makes', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6, noUnicodeString: false } as never), (text) => {
      if (!/__proto__|constructor|prototype/.test(text)) expect(checkJson(text)).toBeNull()
    }),
  )
})

it.each([
  '',
  '{',
  '[1,]',
  "{'a':1}",
  '{"a":1}}',
  'nope',
  '"a',
  '"a\\"',
  '{"a":1',
  '\ufeff{}',
  '[1] x',
  'NaN',
])('is no JSON: %j', (text) => {
  expect(checkJson(text)?.rule).toBe('json')
})

it.each([
  '{"__proto__":{}}',
  '{"a":{"constructor":1}}',
  '[{"prototype" : 1}]',
  '{"\\u005f_proto__":1}',
  '{"\\u005F\\u005f\\u0070roto__":1}',
  '{"a":1,"__proto__"\n:\t1}',
])('holds a dangerous key: %s', (text) => {
  const problem = checkJson(text)
  expect(problem?.rule).toBe('dangerousKeys')
  expect(text.slice(problem!.offset, problem!.offset! + problem!.length!)).toMatch(/^".*"$/)
})

it('does not take a value for a key', () => {
  expect(checkJson('["__proto__", "constructor"]')).toBeNull()
  expect(checkJson('{"a":"__proto__","b":"x\\": \\"__proto__"}')).toBeNull()
})

it('counts depth, keys and bytes before anything is parsed', () => {
  expect(checkJson('['.repeat(1_000_000))?.rule).toBe('depth')
  expect(checkJson('[[1]]', { maxDepth: 2 })).toBeNull()
  expect(checkJson('[[[1]]]', { maxDepth: 2 })).toMatchObject({ rule: 'depth', offset: 2 })
  expect(checkJson('["[[[[", "]]"]', { maxDepth: 1 })).toBeNull()
  expect(checkJson('{"a":1,"b":{"c":1}}', { maxKeys: 3 })).toBeNull()
  expect(checkJson('{"a":1,"b":{"c":1}}', { maxKeys: 2 })?.rule).toBe('keys')
  expect(checkJson('"öö"', { maxBytes: 5 })?.rule).toBe('maxLength')
  expect(checkJson('"öö"', { maxBytes: 6 })).toBeNull()
})

it('takes strings of any length', () => {
  const long = JSON.stringify({ a: 'x\\"'.repeat(3_000_000) })
  expect(checkJson(long, { maxBytes: Infinity })).toBeNull()
})
