import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { joinMessages, splitMessages } from './jsonMessages.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (data: Uint8Array) => new TextDecoder().decode(data)
const split = (body: string) => {
  const messages = splitMessages(bytes(body))
  return (
    messages && { count: messages.count, lines: messages.count === 0 ? [] : text(messages.data).split('\n') }
  )
}

describe('splitMessages', () => {
  it.each([
    ['{"a":1}', ['{"a":1}']],
    ['[{"a":1},{"b":[1,2]}]', ['{"a":1}', '{"b":[1,2]}']],
    ['[[1,2],[3,4]]', ['[1,2]', '[3,4]']],
    ['[[[1,2,3]]]', ['[[1,2,3]]']],
    ['[]', []],
    ['[ ]', []],
    ['"a,b]"', ['"a,b]"']],
    ['["a,b]", "\\"]", "\\\\"]', ['"a,b]"', '"\\"]"', '"\\\\"']],
    ['[1e400, 12345678901234567890]', ['1e400', '12345678901234567890']],
    ['{\n  "a": 1\r\n}', ['{   "a": 1  }']],
    [' null ', ['null']],
  ])('%j is %j', (body, lines) => {
    expect(split(body)).toEqual({ count: lines.length, lines })
  })

  it.each(['', '{', '[1,]', 'undefined', '{"a":1}{"b":2}'])('%j is no JSON', (body) => {
    expect(split(body)).toBeUndefined()
  })

  it('bytes that are no UTF-8 are no JSON', () => {
    expect(splitMessages(new Uint8Array([0x22, 0xff, 0x22]))).toBeUndefined()
  })

  it('whatever is split and joined says the same, in any layout', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { minLength: 1 }), fc.nat(4), (values, indent) => {
        const messages = splitMessages(bytes(JSON.stringify(values, undefined, indent)))
        expect(messages?.count).toBe(values.length)
        const { data } = messages as { data: Uint8Array }
        expect(JSON.parse(text(joinMessages([data])))).toEqual(JSON.parse(JSON.stringify(values)))
      }),
    )
  })
})
