import { describe, expect, it } from 'vitest'
import { mediaType, parseBody, parseErrorBody, type ResponseType } from './parseBody.ts'

const decoding = { decodeText: (bytes: Uint8Array) => new TextDecoder().decode(bytes) }
const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string, contentType?: string, type?: ResponseType) =>
  parseBody(bytes(text), contentType, type, decoding)

describe('a response body', () => {
  it.each([
    ['{"a":1}', 'application/json', { a: 1 }],
    ['{"a":1}', 'application/json; charset=utf-8', { a: 1 }],
    ['{"a":1}', 'Application/Problem+JSON ; x=y', { a: 1 }],
    ['[1]', 'text/json', [1]],
    ['\ufeff{"a":1}', 'application/json', { a: 1 }],
    ['{"a":1}', 'text/plain', '{"a":1}'],
    ['<a/>', 'application/atom+xml', '<a/>'],
    ['', 'text/plain', ''],
    ['', 'application/json', undefined],
    ['', undefined, undefined],
    ['{"a":1}', undefined, { a: 1 }],
    ['{a', undefined, '{a'],
  ])('%j of type %s', (text, contentType, expected) => {
    expect(parse(text, contentType)).toEqual(expected)
  })

  it('of another type comes as a buffer that shares memory with nothing', () => {
    const larger = new Uint8Array([9, 1, 2, 9]).subarray(1, 3)
    const buffer = parseBody(larger, 'image/png', undefined, decoding) as ArrayBuffer
    expect(buffer).toBeInstanceOf(ArrayBuffer)
    expect([...new Uint8Array(buffer)]).toEqual([1, 2])
  })

  it('comes as the caller wishes, whatever its type', async () => {
    expect(parse('{"a":1}', 'text/plain', 'json')).toEqual({ a: 1 })
    expect(parse('', 'text/plain', 'json')).toBeUndefined()
    expect(parse('{"a":1}', 'application/json', 'text')).toBe('{"a":1}')
    expect((parse('abc', 'text/plain', 'arrayBuffer') as ArrayBuffer).byteLength).toBe(3)
    const blob = parse('abc', 'text/x', 'blob') as Blob
    expect([blob.type, await blob.text()]).toEqual(['text/x', 'abc'])
  })

  it('that says JSON and is not is a typed error, which does not repeat it', () => {
    for (const parsing of [
      () => parse('{"secret": hunter2', 'application/json'),
      () => parse('hunter2', undefined, 'json'),
    ]) {
      expect(parsing).toThrow(expect.objectContaining({ code: 'BAD_RESPONSE' }))
      expect(parsing).not.toThrow(/hunter2/)
    }
  })

  it('pollutes no prototype', () => {
    const parsed = parse('{"__proto__":{"polluted":1}}', 'application/json') as object
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype)
  })
})

describe('the body of an error', () => {
  it.each([
    ['{"error":"x"}', 'application/json', { error: 'x' }],
    ['{broken', 'application/json', '{broken'],
    ['<html>', 'text/html', '<html>'],
    ['', 'application/json', undefined],
    ['{"a":1}', undefined, { a: 1 }],
  ])('%j of type %s is read as far as it can be', (text, contentType, expected) => {
    expect(parseErrorBody(bytes(text), contentType, decoding)).toEqual(expected)
  })
})

it('a media type is what stands before the parameters', () => {
  expect(mediaType('Text/HTML; charset=x')).toBe('text/html')
  expect(mediaType(undefined)).toBe('')
})
