import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LONGEST_TEXT, TextFrames } from './TextFrames.ts'

interface Read {
  readonly text: string
  readonly mask: string
}

/** Masked text frames of less than 64 KiB, as a server reads them; anything else throws. */
function read(bytes: Uint8Array): Read[] {
  const all: Read[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== 0x81) throw new Error(`not a whole text frame at ${at}`)
    const second = bytes[at + 1] as number
    if ((second & 0x80) === 0) throw new Error('not masked')
    let length = second & 0x7f
    at += 2
    if (length === 126) {
      length = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
      if (length < 126) throw new Error('a length that is not minimal')
      at += 2
    }
    const mask = bytes.subarray(at, at + 4)
    const payload = bytes
      .subarray(at + 4, at + 4 + length)
      .map((byte, index) => byte ^ (mask[index & 3] as number))
    all.push({
      text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload),
      mask: mask.join(),
    })
    at += 4 + length
  }
  return all
}

const number = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 12 }),
  fc.integer({ min: 1, max: 2 ** 32 - 1 }),
)
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  // Around the length that takes a longer header, in characters of one to four bytes, and the longest there is.
  fc
    .tuple(fc.constantFrom('a', 'é', '€', '😀'), fc.integer({ min: 28, max: 130 }))
    .map(([unit, count]) => unit.repeat(count)),
  fc.constantFrom('a', '€').map((unit) => unit.repeat(LONGEST_TEXT)),
)

describe('text frames of one turn', () => {
  it('read back as what was appended, in order, whatever the texts, for as long as one likes', () => {
    const frames = new TextFrames<object>()
    fc.assert(
      fc.property(fc.array(fc.tuple(number, text), { maxLength: 30 }), (messages) => {
        const heard: string[] = []
        for (const [number, text] of messages) {
          if (!frames.hasRoom) heard.push(...read(frames.take()).map(({ text }) => text))
          frames.append(number, text)
        }
        heard.push(...read(frames.take()).map(({ text }) => text))
        expect(heard).toEqual(messages.map(([number, text]) => (number === 0 ? text : `${number}:${text}`)))
      }),
      { numRuns: 500 },
    )
  })

  it('have the digits of every number', () => {
    const frames = new TextFrames<object>()
    const numbers = Array.from({ length: 10 }, (_, digits) => 10 ** digits).flatMap((n) => [n - 1, n, n + 1])
    for (const number of [...numbers, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
      frames.append(number, 'x')
      expect(read(frames.take())[0]?.text).toBe(number === 0 ? 'x' : `${number}:x`)
    }
  })

  it('what has been taken is not touched by what follows', () => {
    const frames = new TextFrames<object>()
    frames.append(1, 'first')
    const first = frames.take()
    for (let n = 2; n < 5000; n += 1) {
      if (!frames.hasRoom) frames.take()
      frames.append(n, 'x'.repeat(n % LONGEST_TEXT))
    }
    expect(read(first)[0]?.text).toBe('1:first')
  })

  it('half a surrogate pair becomes the replacement character, as everywhere', () => {
    const frames = new TextFrames<object>()
    frames.append(7, 'a\ud83d')
    expect(read(frames.take())[0]?.text).toBe('7:a\ufffd')
  })

  it('no two frames have the same mask', () => {
    const frames = new TextFrames<object>()
    const masks = new Set<string>()
    for (let n = 1; n <= 3000; n += 1) {
      if (!frames.hasRoom) frames.take()
      frames.append(n, 'x')
      masks.add(read(frames.take())[0]?.mask ?? '')
    }
    // Of 2^32 masks: two alike among 3,000 are to be expected once in a thousand runs, ten never.
    expect(masks.size).toBeGreaterThan(2990)
  })
})
