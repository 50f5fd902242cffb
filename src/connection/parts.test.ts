// The small decisions of a line: queue, audio gate, status, addresses, encoding, reconnection, stream of messages.

import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeAudio } from './audioFrame.ts'
import { AudioGate, GATE_MS } from './audioGate.ts'
import { byteLength, decodeText, encode, toArrayBuffer, viewOf } from './encoding.ts'
import { MessageStream } from './messageStream.ts'
import { reconnectDecision } from './reconnect.ts'
import { type QueueLimits, SendQueue } from './sendQueue.ts'
import { deriveStatus, type Status, type StatusEvent } from './status.ts'
import { toHealthUrl, toWebSocketUrl } from './url.ts'

describe('SendQueue', () => {
  const limits: QueueLimits = {
    maxQueueMessages: 3,
    maxQueueBytes: 100,
    maxQueueAge: Number.POSITIVE_INFINITY,
    overflow: 'drop-oldest',
  }
  const nobody = { dropped() {} }
  const drain = (queue: SendQueue) => {
    const out: unknown[] = []
    for (const [seq, { payload }] of queue.waiting()) {
      out.push(payload)
      queue.withdraw(seq)
    }
    return out
  }

  it.each([
    ['drop-oldest', ['b', 'c', 'd'], [1], 'queued'],
    ['drop-newest', ['a', 'b', 'c'], [4], 'dropped'],
    ['reject', ['a', 'b', 'c'], [], 'rejected'],
  ] as const)('over its bounds: %s', (overflow, left, gone, result) => {
    const dropped: number[] = []
    const queue = new SendQueue({ ...limits, overflow }, { dropped: (which) => dropped.push(which) })
    const push = (seq: number, text: string) => queue.push(seq, text, 0)
    for (const [index, text] of ['a', 'b', 'c'].entries()) expect(push(index + 1, text)).toBe('queued')
    expect(push(4, 'd')).toBe(result)
    expect(dropped).toEqual(gone)
    expect(drain(queue)).toEqual(left)
    expect([queue.queuedMessages, queue.queuedBytes]).toEqual([0, 0])
  })

  it('counts bytes as they travel, and does not push the others out for what could never fit', () => {
    const dropped: number[] = []
    const queue = new SendQueue(limits, { dropped: (seq) => dropped.push(seq) })
    queue.push(1, 'ä'.repeat(30), 0)
    expect(queue.queuedBytes).toBe(60)
    expect(queue.push(2, 'x'.repeat(101), 0)).toBe('dropped')
    expect([queue.queuedMessages, dropped]).toEqual([1, [2]])
  })

  it('what has waited too long goes, the oldest first', () => {
    const aged = { ...limits, maxQueueAge: 100 }
    const dropped: [number, string][] = []
    const told = { dropped: (seq: number, _payload: unknown, reason: string) => dropped.push([seq, reason]) }
    const queue = new SendQueue(aged, told)
    queue.push(1, 'a', 0)
    queue.push(2, 'b', 50)
    expect(queue.wakeAt).toBe(100)
    queue.wake(120)
    expect(dropped).toEqual([[1, 'expired']])
    expect(drain(queue)).toEqual(['b'])
  })

  it('behaves as an array does, whatever is pushed, shifted and withdrawn', () => {
    const wide = { ...limits, maxQueueMessages: 1000, maxQueueBytes: 1_000_000 }
    const operation = fc.record({ kind: fc.constantFrom('push', 'shift', 'remove'), which: fc.nat(30) })
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 300 }), (operations) => {
        const queue = new SendQueue(wide, { dropped: () => expect.unreachable() })
        let model: { seq: number; text: string }[] = []
        let seq = 0
        for (const { kind, which } of operations) {
          if (kind === 'push') {
            seq += 1
            const text = 'x'.repeat(which)
            queue.push(seq, text, 0)
            model.push({ seq, text })
          } else if (kind === 'shift') {
            const [first] = queue.waiting()
            expect(first && [first[0], first[1].payload]).toEqual(model[0] && [model[0].seq, model[0].text])
            expect(queue.withdraw(model.shift()?.seq ?? -1)).toBe(first !== undefined)
          } else {
            const target = model[which]?.seq ?? -1
            expect(queue.withdraw(target)).toBe(model.some((entry) => entry.seq === target))
            model = model.filter((entry) => entry.seq !== target)
          }
          expect(queue.queuedMessages).toBe(model.length)
          expect(queue.queuedBytes).toBe(model.reduce((sum, { text }) => sum + text.length, 0))
        }
      }),
    )
  })

  it('keeps a copy of bytes: the caller may use its buffer again', () => {
    const queue = new SendQueue(limits, nobody)
    const bytes = new Uint8Array([1, 2, 3])
    queue.push(1, bytes, 0)
    bytes.fill(9)
    expect(new Uint8Array(drain(queue)[0] as ArrayBuffer)).toEqual(new Uint8Array([1, 2, 3]))
  })
})

describe('AudioGate', () => {
  it('lets sound through while the socket holds less than the gate, keeps the newest, counts the rest', () => {
    const gate = new AudioGate()
    expect(gate.admits(640, 0, 0)).toBe(true)
    expect(gate.admits(640, 20, gate.limitBytes)).toBe(false)
    for (let chunk = 0; chunk < 10; chunk += 1) gate.keep(new Uint8Array([chunk]), 640)
    expect(gate.dropped).toBe(5)
    expect(gate.next(gate.limitBytes)).toBeUndefined()
    expect(gate.next(0)).toEqual(new Uint8Array([5]))
    gate.clear()
    expect([gate.waiting, gate.dropped]).toEqual([0, 9])
  })

  it('learns how much sound a hundred milliseconds are', () => {
    const gate = new AudioGate()
    for (let at = 0; at <= 1000; at += 20) gate.admits(3840, at, 0) // 48 kHz, 16 bit, stereo
    expect(gate.limitBytes / GATE_MS).toBeGreaterThan(180)
    expect(gate.limitBytes / GATE_MS).toBeLessThan(210)
  })
})

describe('deriveStatus', () => {
  const reply = { role: 'assistant', type: 'message', request_id: 'q', content: 'x' }

  it.each<[Status, StatusEvent, unknown, Status]>([
    ['waiting', 'open', undefined, 'idle'],
    ['speaking', 'down', undefined, 'waiting'],
    ['waiting', 'failed', undefined, 'error'],
    ['idle', 'audio', undefined, 'listening'],
    ['idle', 'sent', { role: 'user', content: 'x' }, 'thinking'],
    ['idle', 'sent', { type: 'ping' }, 'idle'],
    ['thinking', 'received', reply, 'speaking'],
    ['speaking', 'received', { ...reply, content: '', end: true }, 'idle'],
    ['thinking', 'received', { ...reply, state: 'listening' }, 'listening'],
    ['thinking', 'received', { ...reply, state: 'nonsense' }, 'speaking'],
    ['idle', 'received', { type: 'news' }, 'idle'],
    ['idle', 'received', 'text', 'idle'],
    ['idle', 'received', null, 'idle'],
  ])('%s + %s %j is %s', (before, event, message, after) => {
    expect(deriveStatus(before, event, message)).toBe(after)
  })
})

describe('addresses', () => {
  it.each([
    ['ws://h/a?b#c', 'ws://h/a?b'],
    ['https://h:8443/ws', 'wss://h:8443/ws'],
    ['http://h', 'ws://h/'],
  ])('%s is dialled as %s', (given, expected) => {
    expect(toWebSocketUrl(given).href).toBe(expected)
  })

  it.each(['', 'ftp://h', '/relative', 'nonsense', 5, null])('%j is refused, naming the option', (given) => {
    expect(() => toWebSocketUrl(given)).toThrow(/option "url" must be a ws:/)
  })

  it('a refusal holds no secret', () => {
    expect(() => toWebSocketUrl('ftp://user:pass@h/?token=secret')).toThrow(/^(?!.*(secret|pass))/)
  })

  it('health is asked on the HTTP origin, without user and password', () => {
    expect(toHealthUrl(new URL('wss://u:p@h:8443/ws?x'), '/v1/health')).toBe('https://h:8443/v1/health')
    expect(toHealthUrl(new URL('ws://h/ws'), 'https://other/health')).toBe('https://other/health')
  })
})

describe('encoding', () => {
  const circular: Record<string, unknown> = {}
  circular.self = circular

  it.each([
    ['circular', circular, /circular/i],
    ['a BigInt', 10n, /BigInt/],
    ['a function', () => {}, /got a function/],
    ['undefined', undefined, /got undefined/],
    ['a symbol', Symbol('s'), /got a symbol/],
    ['a Blob', new Blob(['x']), /a Blob: send its arrayBuffer\(\)/],
    ['a File', new File(['x'], 'x'), /a File: send its arrayBuffer\(\)/],
    ['a Map', new Map([[1, 2]]), /got a Map/],
    ['a Set of another realm', runInNewContext('new Set([1])'), /got a Set/],
    ['a Promise', Promise.resolve(1), /got a Promise/],
    ['an Error', Object.assign(new Error('said'), { code: 1 }), /got an Error/],
    ['a RegExp', /x/, /got a RegExp/],
    ['a ReadableStream', new ReadableStream(), /got a ReadableStream/],
    ['a FormData', new FormData(), /got a FormData/],
  ])('%s is refused in words', (_name, data, message) => {
    expect(() => encode(data)).toThrow(message)
    expect(() => encode(data)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
  })

  it('what has nothing to tell, or says itself how it is told, is JSON', () => {
    class Point {
      readonly #x = 1
      get x() {
        return this.#x
      }
    }
    const said = Object.assign(new Error('said'), { toJSON: () => ({ said: 'said' }) })
    const values = [{}, Object.create(null), new Point(), [], said, new Date(0), new URL('http://h/')]
    expect(values.map((value) => encode(value))).toEqual([
      '{}',
      '{}',
      '{}',
      '[]',
      '{"said":"said"}',
      '"1970-01-01T00:00:00.000Z"',
      '"http://h/"',
    ])
  })

  it('bytes of whatever kind go out as bytes', () => {
    const shared = new SharedArrayBuffer(4)
    new Uint8Array(shared).set([1, 2, 3, 4])
    const kinds: unknown[] = [
      new Uint8Array([1, 2, 3, 4]).buffer,
      new Uint8Array([1, 2, 3, 4]),
      new DataView(new Uint8Array([0, 1, 2, 3, 4]).buffer, 1),
      runInNewContext('new Uint8Array([1, 2, 3, 4]).buffer'),
      runInNewContext('new Uint8Array([1, 2, 3, 4])'),
      shared,
      new Uint8Array(shared),
      runInNewContext('const s = new SharedArrayBuffer(4); new Uint8Array(s).set([1, 2, 3, 4]); s'),
    ]
    for (const kind of kinds) {
      for (const sent of [encode(kind), encodeAudio(kind, 'binary')]) {
        const bytes = sent as ArrayBuffer | ArrayBufferView<ArrayBuffer>
        expect([...viewOf(bytes)]).toEqual([1, 2, 3, 4])
        // What is shared may change while it waits, and no WebSocket takes it.
        const buffer = ArrayBuffer.isView(bytes) ? bytes.buffer : bytes
        expect(Object.prototype.toString.call(buffer)).toBe('[object ArrayBuffer]')
      }
      expect(encodeAudio(kind, 'base64')).toBe('{"type":"audio","data":"AQIDBA=="}')
    }
  })

  it('what goes out as JSON comes back the same; other text stays text', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = encode(value === null || typeof value === 'string' ? [value] : value) as string
        expect(encode(decodeText(text))).toBe(text)
      }),
    )
    for (const text of ['', 'hello', '{broken', ' ', 'nullable', '-']) expect(decodeText(text)).toBe(text)
  })

  it('knows the bytes of any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(byteLength(text)).toBe(new TextEncoder().encode(text).length)
      }),
    )
  })

  it('gives bytes a buffer of their own, and sound its form', () => {
    const part = new Uint8Array([1, 2, 3, 4]).subarray(1, 3)
    expect(new Uint8Array(toArrayBuffer(part))).toEqual(new Uint8Array([2, 3]))
    expect(encodeAudio(part, 'base64')).toBe('{"type":"audio","data":"AgM="}')
    expect(() => encodeAudio('sound', 'binary')).toThrow(/got "sound"/)
  })
})

describe('reconnectDecision', () => {
  it('jitter only shortens the delay', () => {
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (attempts, jitter, chance) => {
          const options = {
            reconnectDelay: 2000,
            maxReconnectAttempts: Number.POSITIVE_INFINITY,
            jitter,
            shouldReconnect: undefined,
          }
          const decision = reconnectDecision(
            { code: 1006, reason: '', wasClean: false },
            { now: 0, attempts, youngDeaths: 0 },
            options,
            () => chance,
          )
          if (decision.action !== 'wait') return expect.unreachable()
          const full = Math.min(30_000, 2000 * 2 ** attempts)
          expect(decision.delayMs).toBeCloseTo(full * (1 - jitter * chance), 6)
          expect(decision.delayMs).toBeLessThanOrEqual(full)
        },
      ),
    )
  })
})

describe('reconnectDecision with the decision of a session', () => {
  const decide = (code: number, notBefore: number) =>
    reconnectDecision(
      { code, reason: '', wasClean: false },
      { now: 1000, attempts: 0, youngDeaths: 0, decision: { action: 'backoff', notBefore } },
      {
        reconnectDelay: 2000,
        maxReconnectAttempts: 1,
        jitter: 0,
        shouldReconnect: () => code !== 1006,
      },
      () => 0,
    )

  it('waits for the longer of the backoff and what it is told', () => {
    expect(decide(4000, 995)).toEqual({ action: 'wait', delayMs: 2000 })
    expect(decide(4000, 10_000)).toEqual({ action: 'wait', delayMs: 9000 })
  })

  it('asks the app about an end that came from elsewhere, never about a goodbye of its own', () => {
    expect(decide(1006, 0)).toEqual({ action: 'stop' })
    expect(decide(1000, 0)).toEqual({ action: 'wait', delayMs: 2000 })
  })
})

describe('MessageStream', () => {
  it('keeps what comes before it is asked for, and ends in order', async () => {
    const stream = new MessageStream<number>(10, 1000, () => {})
    stream.push(1, 1)
    stream.push(2, 1)
    stream.end()
    stream.push(3, 1)
    const seen: number[] = []
    for await (const message of stream) seen.push(message)
    expect(seen).toEqual([1, 2])
  })

  it('a reader that falls too far behind is told, after everything that was kept', async () => {
    const stream = new MessageStream<number>(2, 1000, () => {})
    for (const message of [1, 2, 3]) stream.push(message, 1)
    expect((await stream.next()).value).toBe(1)
    expect((await stream.next()).value).toBe(2)
    await expect(stream.next()).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    expect((await stream.next()).done).toBe(true)
  })

  it('leaving the loop ends it once', async () => {
    let ended = 0
    const stream = new MessageStream<number>(2, 1000, () => {
      ended += 1
    })
    stream.push(1, 1)
    for await (const _ of stream) break
    stream.end()
    expect(ended).toBe(1)
  })
})
