import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { byteLength, EventSize } from './eventSize.ts'
import { NdjsonDecoder, SseDecoder, type StreamDecoder } from './serverSentEvents.ts'

const sse = (maxBytes: number) => new SseDecoder({ lastEventId: '', retryMs: undefined }, maxBytes)

/** What comes out, and the code it ends with. */
function decode(decoder: StreamDecoder<unknown>, pieces: readonly string[]): unknown[] {
  const seen: unknown[] = []
  try {
    for (const piece of pieces) {
      decoder.feed(piece)
      for (let next = decoder.take(); next; next = decoder.take())
        seen.push((next.item as { data?: unknown }).data ?? next.item)
    }
  } catch (error) {
    seen.push((error as { code: string }).code)
  }
  return seen
}

describe('the size of an event', () => {
  it('is counted in bytes of UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        // Halves of pairs become U+FFFD on the wire, three bytes.
        expect(byteLength(text.toWellFormed())).toBe(new TextEncoder().encode(text).byteLength)
      }),
    )
  })

  it('is that of its lines, however they are ended and cut; comments count only while they come', () => {
    const lines = fc.array(fc.constantFrom('data: x', ': comment', 'id: ä', '', ''), { maxLength: 12 })
    const end = fc.constantFrom('\n', '\r', '\r\n')
    fc.assert(
      fc.property(lines, end, fc.array(fc.nat(100)), (given, lineEnd, cuts) => {
        let expected = 0
        for (const line of given) {
          if (line === '') expected = 0
          else if (line[0] !== ':') expected += byteLength(line)
        }
        const text = given.map((line) => line + lineEnd).join('')
        const size = new EventSize()
        const places = [
          0,
          ...cuts.map((cut) => Math.min(cut, text.length)).sort((a, b) => a - b),
          text.length,
        ]
        for (let index = 1; index < places.length; index += 1)
          size.feed(text.slice(places[index - 1], places[index]))
        expect(size.bytes).toBe(expected)
      }),
    )
  })

  it.each<[string, StreamDecoder<unknown>, string[], unknown[]]>([
    [
      'an event within it, again and again',
      sse(20),
      Array(50).fill('data: 0123456789\n\n'),
      Array(50).fill('0123456789'),
    ],
    [
      'an event that is larger',
      sse(20),
      ['data: a\n\n', `data: ${'x'.repeat(21)}\n\n`],
      ['a', 'RESPONSE_TOO_LARGE'],
    ],
    [
      'an event behind others in one piece',
      sse(20),
      [`data: a\n\ndata: ${'x'.repeat(30)}\n\ndata: b\n\n`],
      ['a', 'RESPONSE_TOO_LARGE'],
    ],
    ['an event that never ends', sse(20), Array(5).fill('data: xxxx\n'), ['RESPONSE_TOO_LARGE']],
    ['a line that never ends', sse(20), Array(5).fill('xxxxxx'), ['RESPONSE_TOO_LARGE']],
    [
      'comments between the lines of an event',
      sse(20),
      Array(9).fill('data: x\n: c\n'),
      ['RESPONSE_TOO_LARGE'],
    ],
    ['comments without an event', sse(20), [...Array(99).fill(': alive\n'), 'data: a\n\n'], ['a']],
    ['a comment that never ends', sse(20), [':', ...Array(30).fill('x')], ['RESPONSE_TOO_LARGE']],
    ['lines within it', new NdjsonDecoder(10), Array(50).fill('"12345678"\n'), Array(50).fill('12345678')],
    ['a line that is larger', new NdjsonDecoder(10), ['1\n"123456789"\n2\n'], [1, 'RESPONSE_TOO_LARGE']],
    [
      'a line of JSON that never ends',
      new NdjsonDecoder(10),
      ['1\n', ...Array(9).fill('[[')],
      [1, 'RESPONSE_TOO_LARGE'],
    ],
    [
      'umlauts by their bytes',
      new NdjsonDecoder(10),
      ['"äää"\n', '"äääääää"\n'],
      ['äää', 'RESPONSE_TOO_LARGE'],
    ],
  ])('bounds %s', (_what, decoder, pieces, expected) => {
    expect(decode(decoder, pieces)).toEqual(expected)
  })
})

describe('a byte order mark', () => {
  it('is dropped once: a second one is text (WHATWG HTML 9.2.6)', () => {
    expect(decode(sse(Infinity), ['\ufeff', 'data: a\n\n'])).toEqual(['a'])
    expect(decode(sse(Infinity), ['\ufeff\ufeffdata: a\n\ndata: b\n\n'])).toEqual(['b'])
    expect(decode(new NdjsonDecoder(), ['', '\ufeff1\n2\n'])).toEqual([1, 2])
  })
})
