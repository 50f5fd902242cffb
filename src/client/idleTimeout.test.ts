// The silence that a stream may keep, in virtual time: events count, not bytes, and only while somebody reads.

import { beforeAll, beforeEach, expect, it } from 'vitest'
import { ApiClient } from '../ApiClient.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import type { HttpExchange, HttpReceiver, HttpRequest, HttpTransport } from '../transport/HttpTransport.ts'

let clock: VirtualClock
let body: ReadableStreamDefaultController<Uint8Array>
const utf8 = new TextEncoder()
const headers = { 'content-type': 'text/event-stream' }

/** Answers every request with a stream that the test writes. */
const transport: HttpTransport = {
  acceptEncoding: undefined,
  send(_request: HttpRequest, receiver: HttpReceiver): HttpExchange {
    queueMicrotask(() => {
      receiver.onSent()
      receiver.onHead(200, headers)
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          body = controller
        },
      })
      receiver.onResponse({ status: 200, headers, body: stream, finalUrl: undefined, setCookie: undefined })
    })
    return { cancel() {} }
  },
  decodeText: (bytes) => new TextDecoder().decode(bytes),
  dispose() {},
}
const say = (text: string) => body.enqueue(utf8.encode(text))

// Loading them takes real time, which a virtual clock does not wait for.
beforeAll(() => Promise.all([import('./streaming.ts'), import('./guardedStream.ts')]))
beforeEach(() => {
  clock = new VirtualClock()
})

function open(format: 'sse' | 'ndjson', more: { eventTimeout?: number } = {}): AsyncIterator<unknown> {
  const client = new ApiClient({ baseURL: 'http://h', transport, clock })
  const options = { idleTimeout: 1000, ...more }
  const stream = format === 'sse' ? client.stream('/', options) : client.stream('/', { ...options, format })
  return stream[Symbol.asyncIterator]()
}

/** The next item, once it or its failure is there. */
function next(stream: AsyncIterator<unknown>): { outcome: unknown } {
  const seen: { outcome: unknown } = { outcome: 'pending' }
  stream.next().then(
    ({ value }) => {
      seen.outcome = value
    },
    (error: unknown) => {
      seen.outcome = error
    },
  )
  return seen
}

it.each<['sse' | 'ndjson', string, object]>([
  ['sse', 'data: one\n\n', { data: 'one' }],
  ['ndjson', '{"data":"one"}\n', { data: 'one' }],
])(
  '%s: silence for idleTimeout after an item ends the stream, at that very moment',
  async (format, item, expected) => {
    const stream = open(format)
    const first = next(stream)
    await clock.advance(900)
    say(item)
    await clock.advance(0)
    expect(first.outcome).toMatchObject(expected)
    const second = next(stream)
    await clock.advance(999)
    expect(second.outcome).toBe('pending')
    await clock.advance(1)
    expect(second.outcome).toMatchObject({ code: 'TIMEOUT', phase: 'idle' })
  },
)

it('comments keep a line alive, and are no events', async () => {
  const seen = next(open('sse'))
  for (let round = 0; round < 5; round += 1) {
    await clock.advance(600)
    say(': still here\n\n')
  }
  await clock.advance(999)
  expect(seen.outcome).toBe('pending')
  await clock.advance(1)
  expect(seen.outcome).toMatchObject({ code: 'TIMEOUT', phase: 'idle', timeoutMs: 1000 })
  const impatient = next(open('sse', { eventTimeout: 1500 }))
  await clock.advance(900)
  say(': still here\n\n')
  await clock.advance(599)
  expect(impatient.outcome).toBe('pending')
  await clock.advance(1)
  expect(impatient.outcome).toMatchObject({ code: 'TIMEOUT', phase: 'idle', timeoutMs: 1500 })
})

it('whoever takes time between two reads is not cut off for it', async () => {
  const stream = open('sse')
  const first = next(stream)
  await clock.advance(0)
  say('data: one\n\n')
  await clock.advance(0)
  expect(first.outcome).toMatchObject({ data: 'one' })
  await clock.advance(60_000)
  say('data: two\n\n')
  const second = next(stream)
  await clock.advance(0)
  expect(second.outcome).toMatchObject({ data: 'two' })
})
