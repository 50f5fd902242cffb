// `stream()` with `reconnect: true`, in virtual time: what is waited out, what ends it, and how it is left.

import { describe, expect, it } from 'vitest'
import { failureOf, virtual } from '../../tests/support/apiClients.ts'
import { connectionLost, type Scripted } from '../../tests/support/scriptedTransport.ts'
import type { ApiClientOptions, StreamOptions } from '../ApiClient.ts'

const headers = { 'content-type': 'text/event-stream' }
/** An event stream with this text, which then breaks, ends or stays open. */
function events(text: string, then: 'breaks' | 'ends' | 'stays' = 'breaks'): Scripted {
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (text !== '') controller.enqueue(new TextEncoder().encode(text))
      else if (then === 'breaks') controller.error(connectionLost())
      else if (then === 'ends') controller.close()
      else return new Promise(() => {})
      text = ''
      return undefined
    },
  })
  return { headers, body }
}
const status = (code: number, more = {}): Scripted => ({ status: code, headers: more, body: {} })
const refused: Scripted = { error: connectionLost(true) }

/** Answers as the script says, its last one for ever; the events, and how it ended, as they come. */
function run(
  script: Scripted[] | ((count: number) => Scripted),
  options: Omit<StreamOptions, 'format'> = {},
  client: ApiClientOptions = {},
) {
  const answer = Array.isArray(script) ? (count: number) => script[count - 1] ?? status(204) : script
  const set = virtual((_request, count) => answer(count), {
    jitter: 'none',
    retryDelay: 1000,
    rateLimiter: false,
    circuitBreaker: false,
    ...client,
  })
  const stream = set.client.stream('/events', {
    reconnect: true,
    ...options,
  })
  const seen: string[] = []
  const ended = (async () => {
    for await (const { data } of stream) seen.push(data)
    return 'ended'
  })()
  ended.catch(() => {})
  const at = () => set.transport.asked.map((each) => each.at - 1000)
  return { ...set, stream, seen, ended, at }
}

describe('a stream that reconnects', () => {
  it.each<[string, Scripted]>([
    ['a refused connection', refused],
    ['500', status(500)],
    ['502', status(502)],
    ['503', status(503)],
    ['429', status(429)],
    ['408', status(408)],
  ])('waits out %s, and goes on', async (_what, failing) => {
    const { clock, seen, ended } = run([events('data: a\n\n'), failing, failing, events('data: b\n\n')], {
      retries: 2,
    })
    await clock.advance(60_000)
    expect(seen).toEqual(['a', 'b'])
    expect(await ended).toBe('ended')
  })

  it('waits as long as the server asks', async () => {
    const { clock, at } = run([status(503, { 'retry-after': '7' }), events('retry: 5000\ndata: a\n\n')])
    await clock.advance(60_000)
    expect(at()).toEqual([0, 7000, 12_000])
  })

  it('waits for a breaker that is open', async () => {
    const { clock, ended, seen, at } = run(
      (count) => (count <= 3 ? status(500) : count === 4 ? events('data: a\n\n') : status(204)),
      { retries: 10 },
      { circuitBreaker: true, circuitBreakerOptions: { threshold: 3, volumeThreshold: 3, timeout: 20_000 } },
    )
    await clock.advance(100_000)
    expect(await ended).toBe('ended')
    expect(seen).toEqual(['a'])
    expect(at()[3]).toBeGreaterThanOrEqual(20_000)
  })

  it.each([404, 401, 403, 400, 410])('ends with %d', async (code) => {
    const { clock, ended, transport } = run([events('data: a\n\n'), status(code)])
    await clock.advance(60_000)
    expect(await failureOf(ended)).toMatchObject({ code: 'HTTP_STATUS', status: code })
    expect(transport.asked).toHaveLength(2)
  })

  it('ends with an answer that is no event stream', async () => {
    const { clock, ended } = run([{ headers: { 'content-type': 'text/html' }, body: {} }])
    await clock.advance(60_000)
    expect(await failureOf(ended)).toMatchObject({ code: 'BAD_RESPONSE' })
  })

  it.each([0, 1, 3])('ends when more than %d openings in a row have failed', async (retries) => {
    const { clock, ended, transport } = run((count) => (count === 1 ? events('data: a\n\n') : refused), {
      retries,
    })
    await clock.advance(600_000)
    expect(await failureOf(ended)).toMatchObject({ code: 'NETWORK' })
    expect(transport.asked).toHaveLength(1 + 1 + retries)
  })

  it('counts anew after each opening, with or without an event', async () => {
    const { clock, seen, transport } = run(
      (count) => (count % 3 === 0 ? (count % 2 ? events('data: a\n\n') : events(': nothing\n\n')) : refused),
      { retries: 2 },
    )
    await clock.advance(1_000_000)
    expect(transport.asked.length).toBeGreaterThan(30)
    expect(seen.length).toBeGreaterThan(5)
  })

  it('asks ever more slowly while nothing comes, and quickly again after an event', async () => {
    const { clock, at } = run((count) => events(count === 4 ? 'data: a\n\n' : ''))
    await clock.advance(12_000)
    const times = at()
    expect(times.slice(1).map((time, index) => time - (times[index] as number))).toEqual([
      1000, 2000, 4000, 1000, 2000,
    ])
  })

  it('goes on after an end that the server gave, and after silence', async () => {
    const { clock, seen, ended } = run(
      [events('data: a\n\n', 'ends'), events('data: b\n\n', 'stays'), events('data: c\n\n', 'ends')],
      { idleTimeout: 5000 },
    )
    await clock.advance(60_000)
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(await ended).toBe('ended')
  })

  it('ends at its deadline, before a wait that would go beyond it', async () => {
    const { clock, ended, transport } = run(() => refused, { retries: Infinity, deadline: 10_000 })
    await clock.advance(60_000)
    expect(await failureOf(ended)).toMatchObject({ code: 'NETWORK' })
    // At 0, 1, 3 and 7 s; the next would be at 15 s.
    expect(transport.asked).toHaveLength(4)
  })

  it('ends with the signal while it waits', async () => {
    const controller = new AbortController()
    const { clock, ended } = run(() => refused, { retries: Infinity, signal: controller.signal })
    await clock.advance(1500)
    controller.abort('enough')
    expect(await failureOf(ended)).toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(clock.pending).toBe(0)
  })
})

describe('return() of a stream', () => {
  it.each<[string, Scripted | undefined]>([
    ['while it is opened', { after: Infinity }],
    ['while the next event is waited for', events('data: a\n\n', 'stays')],
    ['while the next opening is waited for', refused],
  ])('ends a next() that is pending, %s', async (_when, scripted) => {
    const set = virtual(() => scripted as Scripted, { rateLimiter: false, retryDelay: 10_000 })
    const stream = set.client.stream('/events', { reconnect: true, idleTimeout: Infinity })
    const seen: unknown[] = []
    const first = stream.next().then(({ value }) => seen.push(value))
    await set.clock.advance(10)
    const second = stream.next()
    await set.clock.advance(10)
    expect(await stream.return?.()).toEqual({ done: true, value: undefined })
    expect(await second).toEqual({ done: true, value: undefined })
    await first
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    await set.clock.advance(0)
    expect(set.transport.open).toBe(0)
    expect(set.client.getStats().inFlight).toBe(0)
  })

  it('before the first next() asks for nothing', async () => {
    const set = virtual(() => events('data: a\n\n'))
    const stream = set.client.stream('/events')
    await stream.return?.()
    expect(await stream.next()).toEqual({ done: true, value: undefined })
    expect(set.transport.asked).toEqual([])
  })

  it('leaves nothing on the signal of the caller', async () => {
    const { signal } = new AbortController()
    const added: string[] = []
    signal.addEventListener = ((name: string) => added.push(name)) as typeof signal.addEventListener
    signal.removeEventListener = (() => added.pop()) as typeof signal.removeEventListener
    const set = virtual(() => events('data: a\n\n', 'stays'))
    const stream = set.client.stream('/events', { signal })
    const first = stream.next()
    await set.clock.advance(10)
    await first
    expect(added).toEqual(['abort'])
    await stream.return?.()
    expect(added).toEqual([])
  })

  it('throw() ends it, too', async () => {
    const set = virtual(() => events('data: a\n\n', 'stays'))
    const stream = set.client.stream('/events')
    const first = stream.next()
    await set.clock.advance(10)
    await first
    await expect(stream.throw?.(new Error('mine'))).rejects.toThrow('mine')
    expect(set.client.getStats().inFlight).toBe(0)
  })
})
