import type { Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as ws from 'ws'
import { readTexts } from './readTexts.ts'

/** What `ws` reads with: exported, but not declared. */
type Receiver = Writable & { write(chunk: Buffer): boolean }
const { Receiver } = ws as unknown as {
  Receiver: new (options: { isServer: boolean; maxPayload: number }) => Receiver
}

const MAX_PAYLOAD = 5000

/** Reads the chunks, with or without the shorter way, and tells all that was to be heard. */
async function hear(chunks: readonly Buffer[], way: 'ws' | 'shorter' | 'numbered') {
  const receiver = new Receiver({ isServer: false, maxPayload: MAX_PAYLOAD })
  const heard: string[] = []
  let byTheShorterWay = 0
  const numbers: number[] = []
  let failed = false
  const say = (what: string) => {
    // What comes after an error is for nobody: `ws` ends the connection.
    if (!failed) heard.push(what)
  }
  receiver.on('message', (data: Buffer, isBinary: boolean) =>
    say(isBinary ? `bytes ${data.toString('hex')}` : `text ${data}`),
  )
  receiver.on('ping', (data: Buffer) => say(`ping ${data}`))
  receiver.on('pong', (data: Buffer) => say(`pong ${data}`))
  receiver.on('conclude', (code: number, reason: Buffer) => say(`close ${code} ${reason}`))
  receiver.on('error', (error: Error & { code?: string }) => {
    say(`error ${error.code}`)
    failed = true
  })
  if (way !== 'ws')
    readTexts(receiver, { maxBytes: MAX_PAYLOAD, numbered: way === 'numbered' }, (text, number) => {
      byTheShorterWay += 1
      numbers.push(number)
      say(number > 0 ? `text ${number}:${text}` : `text ${text}`)
    })
  for (const chunk of chunks) {
    if (!receiver.write(chunk)) await new Promise((resolve) => setImmediate(resolve))
    if (failed) break
  }
  await new Promise((resolve) => setImmediate(resolve))
  return { heard, byTheShorterWay, numbers }
}

function frame(first: number, payload: Uint8Array, masked = false): Buffer {
  const { length } = payload
  const header =
    length < 126
      ? [length]
      : length < 65_536
        ? [126, length >> 8, length & 255]
        : [127, 0, 0, 0, 0, 0, 1, 0, 0]
  const [size, ...more] = header as [number, ...number[]]
  return Buffer.concat([Buffer.from([first, masked ? size | 0x80 : size, ...more]), payload])
}

const text = (value: string) => frame(0x81, Buffer.from(value))
const bytes = fc.uint8Array({ maxLength: 300 })
const short = fc.uint8Array({ maxLength: 125 })

const frames = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 200 }).map((value) => [text(value)]) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 100, max: 4990 }).map((length) => [text('é'.repeat(length / 2))]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.nat({ max: 12_000_000_000 }), fc.constantFrom(':', '', ' :'), fc.string({ maxLength: 130 }))
      .map(([number, colon, value]) => [text(`${number}${colon}${value}`)]),
  },
  { weight: 2, arbitrary: bytes.map((payload) => [frame(0x82, payload)]) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(0x89, 0x8a), short)
      .map(([first, payload]) => [frame(first, payload)]),
  },
  // In fragments, with a ping between.
  {
    weight: 2,
    arbitrary: fc
      .tuple(short, fc.boolean())
      .map(([payload, ping]) => [
        frame(0x01, Buffer.from('beginning, ')),
        ...(ping ? [frame(0x89, payload)] : []),
        frame(0x80, Buffer.from('end')),
      ]),
  },
)
/** What ends a connection: wrong in one way or another, too large, or a close frame. */
const endings = fc.constantFrom<Buffer[]>(
  [],
  [frame(0x81, Buffer.from([0x61, 0xff, 0x62]))],
  [frame(0x81, Buffer.from([0x31, 0x3a, 0xff, 0x62]))],
  [frame(0xc1, Buffer.from('compressed'))],
  [frame(0x81, Buffer.from('masked'), true)],
  [frame(0x83, Buffer.from('no such kind'))],
  [frame(0x80, Buffer.from('the end of nothing'))],
  [frame(0x01, Buffer.from('begun')), text('and left')],
  [text('x'.repeat(MAX_PAYLOAD + 1))],
  [frame(0x81, new Uint8Array(65_536))],
  [frame(0x88, Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65])), text('after the end')],
)

const cut = (all: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = []
  for (let at = 0, next = 0; at < all.length; next += 1) {
    const size = sizes[next % sizes.length] as number
    chunks.push(all.subarray(at, at + size))
    at += size
  }
  return chunks
}

describe('texts by the shorter way', () => {
  it('are heard as `ws` would have them heard, whatever comes between, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(frames, { maxLength: 25 }),
        endings,
        fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 20_000 })), {
          minLength: 1,
          maxLength: 8,
        }),
        async (sent, ending, sizes) => {
          const chunks = cut(Buffer.concat([...sent.flat(), ...ending]), sizes)
          const { heard } = await hear(chunks, 'ws')
          expect((await hear(chunks, 'shorter')).heard).toEqual(heard)
          expect((await hear(chunks, 'numbered')).heard).toEqual(heard)
        },
      ),
      { numRuns: 400 },
    )
  })

  it('go that way in a flood, also behind a ping and across chunks', async () => {
    const flood = Array.from({ length: 1000 }, (_, n) =>
      n === 500 ? frame(0x8a, Buffer.from('x')) : text(`message ${n}`),
    )
    const { heard, byTheShorterWay } = await hear(cut(Buffer.concat(flood), [1000, 333, 1]), 'shorter')
    expect(heard).toHaveLength(1000)
    expect(byTheShorterWay).toBe(999)
  })

  it('are told with their number where texts have one, and only then', async () => {
    const texts = [
      '1:a',
      '999999999:b',
      '7:',
      '8:é:9',
      '0:c',
      '01:d',
      '1000000000:e',
      ':f',
      'g',
      '12',
      '3 :h',
      '',
    ]
    const all = Buffer.concat(texts.map(text))
    const numbered = await hear([all], 'numbered')
    expect(numbered.numbers).toEqual([1, 999_999_999, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(numbered.heard).toEqual(texts.map((value) => `text ${value}`))
    expect((await hear([all], 'shorter')).numbers).toEqual(texts.map(() => 0))
  })

  it('hold no more of a chunk than the frame that is not complete', async () => {
    const receiver = new Receiver({ isServer: false, maxPayload: 1e6 })
    const heard: string[] = []
    receiver.on('message', (data: Buffer) => heard.push(`whole ${data.length}`))
    readTexts(receiver, { maxBytes: 1e6, numbered: false }, (value) => heard.push(`short ${value.length}`))
    const large = text('x'.repeat(60_000))
    for (const chunk of [...cut(Buffer.concat([text('a'), large]), [100]), text('b')]) receiver.write(chunk)
    expect(heard).toEqual(['short 1', 'whole 60000', 'short 1'])
  })

  it('change nothing where `ws` has other fields, or is in the middle of something', () => {
    const options = { maxBytes: 100, numbered: true }
    const strange = { write: () => true }
    const { write } = strange
    readTexts(strange, options, () => {})
    readTexts(undefined, options, () => {})
    expect(strange.write).toBe(write)
    const busy = new Receiver({ isServer: false, maxPayload: 100 })
    busy.write(Buffer.from([0x81]))
    readTexts(busy, options, () => expect.unreachable())
    expect(Object.hasOwn(busy, 'write')).toBe(false)
  })
})
