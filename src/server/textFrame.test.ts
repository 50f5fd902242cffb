import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as ws from 'ws'
import { LONGEST_TEXT, textFrame } from './textFrame.ts'

const { Receiver } = ws as unknown as {
  Receiver: new (options: { isServer: boolean }) => NodeJS.WritableStream
}

/** What a client of `ws` hears. */
function hear(bytes: Buffer): string[] {
  const heard: string[] = []
  const receiver = new Receiver({ isServer: false })
  receiver.on('message', (data: Buffer, isBinary: boolean) => heard.push(isBinary ? 'bytes' : String(data)))
  receiver.on('error', (error) => heard.push(`wrong: ${error.message}`))
  receiver.write(bytes)
  return heard
}

describe('a text frame in one piece', () => {
  const text = fc.oneof(
    // Around the length that takes a longer header, in characters of one to four bytes, and the longest there is.
    fc
      .tuple(fc.constantFrom('a', 'é', '€', '😀'), fc.integer({ min: 0, max: 130 }))
      .map(([unit, count]) => unit.repeat(count)),
    fc.string({ unit: 'grapheme', maxLength: 200 }),
    fc.constantFrom('a', '€').map((unit) => unit.repeat(LONGEST_TEXT)),
  )

  it('is heard as what it was made of, whatever comes behind it', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (texts) => {
        expect(hear(Buffer.concat(texts.map(textFrame)))).toEqual(texts)
      }),
    )
  })
})
