import { type Duplex, PassThrough, type Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as ws from 'ws'
import { TextReader } from './TextReader.ts'

/** What `ws` reads with: exported, but not declared. */
type Receiver = Writable & { write(chunk: Buffer): boolean }
const { Receiver } = ws as unknown as {
  Receiver: new (options: { isServer: boolean; maxPayload: number }) => Receiver
}

const MAX_PAYLOAD = 5000

/** A connection with the listener that `ws` has on it, its receiver, and what that makes of the end. */
class Line {
  readonly tcp: Duplex = new PassThrough()
  readonly heard: string[] = []
  readonly numbers: number[] = []
  /** Bytes that `ws` was handed. */
  bytesOfWs = 0
  readyState = 1
  reader: TextReader | undefined

  constructor(way: 'ws' | 'shorter' | 'numbered', maxBytes = MAX_PAYLOAD) {
    const { heard } = this
    const receiver = new Receiver({ isServer: false, maxPayload: maxBytes })
    const onData = (chunk: Buffer) => {
      this.bytesOfWs += chunk.length
      receiver.write(chunk)
    }
    const end = (what: string) => {
      heard.push(what)
      this.readyState = 2
      this.tcp.removeListener('data', onData)
    }
    receiver.on('message', (data: Buffer, isBinary: boolean) => {
      this.reader?.messageTold()
      heard.push(isBinary ? `bytes ${data.toString('hex')}` : `text ${data}`)
    })
    receiver.on('ping', (data: Buffer) => heard.push(`ping ${data}`))
    receiver.on('pong', (data: Buffer) => heard.push(`pong ${data}`))
    receiver.on('conclude', (code: number, reason: Buffer) => end(`close ${code} ${reason}`))
    receiver.on('error', (error: Error & { code?: string }) => end(`error ${error.code}`))
    this.tcp.on('data', onData)
    if (way === 'ws') return
    const options = { maxBytes, numbered: way === 'numbered' }
    this.reader = TextReader.attach(this.tcp, this, options)
  }

  takeText(text: string, number: number): void {
    this.numbers.push(number)
    this.heard.push(number > 0 ? `text ${number}:${text}` : `text ${text}`)
  }

  /** Every chunk comes in a turn of its own, as from the network. */
  async receive(chunks: readonly Buffer[]): Promise<this> {
    for (const chunk of chunks) {
      this.tcp.emit('data', chunk)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return this
  }
}

const hear = (chunks: readonly Buffer[], way: 'ws' | 'shorter' | 'numbered') => new Line(way).receive(chunks)

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

describe('TextReader', () => {
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

  it('read a flood past ws, but for what lies across chunks or behind a ping in its chunk', async () => {
    const flood = Array.from({ length: 10_000 }, (_, n) =>
      n === 5000 ? frame(0x8a, Buffer.from('x')) : text(`message ${n}`),
    )
    const all = Buffer.concat(flood)
    const { heard, numbers, bytesOfWs } = await hear(cut(all, [10_007, 9000, 8999]), 'shorter')
    expect(heard).toHaveLength(10_000)
    expect(numbers.length).toBeGreaterThan(9000)
    // At most a whole chunk behind the ping, and a frame for each other chunk.
    expect(bytesOfWs).toBeLessThan(10_007 + 20 * (all.length / 9000 + 1))
  })

  it('leave every start of a frame to ws at once: nothing waits here', async () => {
    const frames = [text('whole'), text('x'.repeat(300)), frame(0x82, new Uint8Array(300))]
    for (const one of frames) {
      for (let length = 1; length < one.length; length += 1) {
        const line = await hear([one.subarray(0, length)], 'numbered')
        expect(line.bytesOfWs).toBe(length)
        await line.receive([one.subarray(length)])
        expect(line.heard).toHaveLength(1)
      }
    }
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

  it('put themselves before one listener only', () => {
    const options = { maxBytes: 100, numbered: true }
    const owner = { readyState: 1, takeText: () => {} }
    const tcp = new PassThrough()
    expect(TextReader.attach(tcp, owner, options)).toBeUndefined()
    const listeners = [() => {}, () => {}]
    for (const listener of listeners) tcp.on('data', listener)
    expect(TextReader.attach(tcp, owner, options)).toBeUndefined()
    expect(tcp.listeners('data')).toEqual(listeners)
  })

  it('give the connection back to ws for good when it is closing', async () => {
    const line = new Line('shorter')
    const [own] = line.tcp.listeners('data')
    await line.receive([text('a')])
    line.readyState = 2
    await line.receive([text('b'), text('c')])
    expect(line.heard).toEqual(['text a', 'text b', 'text c'])
    expect(line.numbers).toHaveLength(1)
    expect(line.tcp.listeners('data')).not.toContain(own)
  })
})
