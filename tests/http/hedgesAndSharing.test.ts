// One call that is several requests, several calls that are one: what it costs, what it tells, and who can end it.

import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { AbortError, ApiClient, type ApiClientOptions } from '../../src/ApiClient.ts'
import { bulkhead, compose, hedge, RetryBudget, timeout } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { clientFor, failureOf, json, serve, virtual } from '../support/apiClients.ts'
import { until } from '../support/misbehavingServer.ts'
import { type Scripted, scriptedTransport } from '../support/scriptedTransport.ts'

function hedged(script: (count: number) => Scripted, options: ApiClientOptions = {}, delay = 50) {
  const clock = new VirtualClock()
  const transport = scriptedTransport(clock, (_request, count) => script(count))
  const client = clientFor({
    baseURL: 'https://api.test',
    clock,
    transport,
    random: () => 0.5,
    hedge: hedge({ delay, clock }),
    ...options,
  })
  return { clock, transport, client }
}

describe('a hedge', () => {
  it('is told, counted, and no call of its own; who loses the race is no failure', async () => {
    const { clock, client } = hedged((count) =>
      count === 1 ? { after: 500 } : { after: 10, body: 'second' },
    )
    const told: string[] = []
    client.on('hedge', ({ method, url }) => told.push(`hedge ${method} ${url}`))
    client.on('failure', () => told.push('failure'))
    client.on('response', () => told.push('response'))
    const call = client.get('/thing?token=abc')
    await clock.advance(60)
    expect(await call).toBe('second')
    expect(told).toEqual(['hedge GET https://api.test/thing?token=***', 'response'])
    expect(client.getStats()).toMatchObject({
      totalRequests: 1,
      successfulRequests: 1,
      failedRequests: 0,
      aborted: 0,
      hedges: 1,
      attempts: 2,
      inFlight: 0,
    })
  })

  it('ends with the caller, who is counted once', async () => {
    const { clock, transport, client } = hedged(() => ({ after: Number.POSITIVE_INFINITY }))
    const controller = new AbortController()
    const call = failureOf(client.get('/', { signal: controller.signal }))
    await clock.advance(60)
    controller.abort(new Error('enough'))
    expect(await call).toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
    expect(transport.asked.map(({ cancelled }) => cancelled)).toEqual([true, true])
    expect(client.getStats()).toMatchObject({ totalRequests: 1, failedRequests: 1, aborted: 1, inFlight: 0 })
    expect(clock.pending).toBe(0)
  })

  it('that cannot be afforded is not sent, and the call ends as it would without', async () => {
    const broke = { retryBudget: { ratio: 0, reservePerSecond: 0 }, retries: 0 }
    const slow = hedged(() => ({ after: 300, body: 'slow' }), broke)
    const call = slow.client.get('/')
    await slow.clock.advance(300)
    expect(await call).toBe('slow')
    expect(slow.transport.asked).toHaveLength(1)
    const failing = hedged(() => ({ after: 300, status: 500 }), broke)
    const failed = failureOf(failing.client.get('/'))
    await failing.clock.advance(300)
    expect(await failed).toMatchObject({ status: 500 })
    expect(failing.transport.asked).toHaveLength(1)
  })

  it('a budget can be shared between clients', async () => {
    const retryBudget = new RetryBudget({ ratio: 0, reservePerSecond: 0.1 })
    const one = hedged(() => ({ after: 300 }), { retryBudget })
    const other = hedged(() => ({ after: 300 }), { retryBudget })
    const calls = [one.client.get('/'), other.client.get('/')]
    await one.clock.advance(300)
    await other.clock.advance(300)
    await Promise.all(calls)
    expect(one.transport.asked.length + other.transport.asked.length).toBe(3)
  })

  it('never of a POST, whatever it is given', async () => {
    const { clock, transport, client } = hedged(() => ({ after: 300 }))
    const call = client.post('/', {}, { idempotencyKey: true })
    await clock.advance(300)
    await call
    expect(transport.asked).toHaveLength(1)
  })
})

it('a client never sends more than 1.2 x its calls and ten a second, with retries and hedges, over a whole outage', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.nat(120), { minLength: 20, maxLength: 400 }),
      fc.constantFrom<Scripted>(
        { status: 503 },
        { status: 503, after: 40 },
        { after: 80 },
        { after: Number.POSITIVE_INFINITY },
      ),
      fc.boolean(),
      async (pauses, backend, withHedge) => {
        const clock = new VirtualClock()
        const transport = scriptedTransport(clock, () => backend)
        const client = clientFor({
          baseURL: 'https://api.test',
          clock,
          transport,
          retries: 4,
          retryDelay: 1,
          timeout: 200,
          circuitBreaker: false,
          ...(withHedge && { hedge: hedge({ delay: 20, maxHedges: 3, clock }) }),
        })
        const calls: Promise<unknown>[] = []
        for (const pause of pauses) {
          calls.push(client.get('/').catch(() => {}))
          await clock.advance(pause)
          const seconds = Math.max(10, clock.now() / 1000 + 10)
          expect(transport.asked.length).toBeLessThanOrEqual(1.2 * calls.length + 10 * seconds)
        }
        await clock.advance(5000)
        await Promise.all(calls)
        expect(transport.open).toBe(0)
        expect(clock.pending).toBe(0)
        client.dispose()
      },
    ),
    { numRuns: 40 },
  )
})

describe('a stream outlives the policy that watched its call', () => {
  const around: [string, () => ApiClientOptions][] = [
    ['hedge', () => ({ hedge: hedge({ delay: 5000 }) })],
    ['a timeout', () => ({ policy: timeout(5000) })],
    ['several', () => ({ policy: compose(bulkhead(), timeout(5000)), hedge: hedge({ delay: 5000 }) })],
  ]
  it.each(around)('and still ends with the caller (%s)', async (_name, options) => {
    const { server, client } = await serve((_request, response) => response.write('half'), options())
    const controller = new AbortController()
    const stream = (await client.get('/', {
      responseType: 'stream',
      signal: controller.signal,
    })) as ReadableStream
    const reader = stream.getReader()
    await reader.read()
    controller.abort(new Error('enough'))
    expect(await failureOf(reader.read())).toBeInstanceOf(AbortError)
    await until(() => server.connections === 0, 'the connection closes')
  })

  it.each(around)('as a fetch does, with the reason of its signal (%s)', async (_name, options) => {
    const { server, client } = await serve((_request, response, count) => {
      if (count === 1) response.write('half')
    }, options())
    const reason = new Error('enough')
    const reading = new AbortController()
    const response = await client.fetch(`${server.origin}/`, { signal: reading.signal })
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    reading.abort(reason)
    expect(await failureOf(reader.read())).toBe(reason)
    const waiting = new AbortController()
    const call = failureOf(client.fetch(`${server.origin}/`, { signal: waiting.signal }))
    await until(() => server.requests === 2, 'the second request arrives')
    waiting.abort(reason)
    expect(await call).toBe(reason)
  })
})

describe('identical GETs at the same time', () => {
  const clients: ApiClient[] = []
  afterEach(() => {
    for (const client of clients.splice(0)) client.dispose()
  })
  const coalescing = async () => {
    const parts = await serve(
      (request, response) =>
        setTimeout(() => json(response, { auth: request.headers.authorization ?? null, n: 1 }), 20),
      { coalesce: true },
    )
    return parts
  }

  it('are told apart by credentials, cookies and everything else that is sent', async () => {
    const { server, client } = await coalescing()
    const answers = await Promise.all([
      client.get('/', { headers: { authorization: 'a' } }),
      client.get('/', { headers: { Authorization: 'a' } }),
      client.get('/', { headers: { authorization: 'b' } }),
      client.get('/', { headers: { cookie: 'a' } }),
      client.get('/', { params: { page: 1 } }),
      client.get('/', { params: { page: 2 } }),
      client.get('/'),
    ])
    expect(server.requests).toBe(6)
    expect(answers.slice(0, 3)).toEqual([
      { auth: 'a', n: 1 },
      { auth: 'a', n: 1 },
      { auth: 'b', n: 1 },
    ])
  })

  it('may have numbers of any size as parameters', async () => {
    const { server, client } = await coalescing()
    const ids = [2n ** 70n, 2n ** 70n, 2n ** 70n + 1n]
    await Promise.all(ids.map((id) => client.get('/', { params: { id } })))
    expect(server.requests).toBe(2)
  })

  it('are one request however each caller checks the answer', async () => {
    const { server, client } = await coalescing()
    const [loose, strict] = await Promise.all([
      client.get('/', { schema: z.object({ n: z.number() }) }),
      failureOf(client.get('/', { schema: z.object({ n: z.string() }) })),
    ])
    expect(loose).toEqual({ n: 1 })
    expect(strict).toMatchObject({ code: 'SCHEMA_MISMATCH' })
    expect(server.requests).toBe(1)
  })

  it('end for one when he aborts, and for all when the client goes', async () => {
    const { clock, transport, client } = virtual(() => ({ after: 1000 }), { coalesce: true })
    const controller = new AbortController()
    const leaving = failureOf(client.get('/', { signal: controller.signal }))
    const staying = [
      failureOf(client.get('/')),
      failureOf(client.get('/', { signal: new AbortController().signal })),
    ]
    await clock.advance(1)
    controller.abort()
    expect(await leaving).toBeInstanceOf(AbortError)
    expect(transport.open).toBe(1)
    client.dispose()
    for (const call of staying) expect(await call).toMatchObject({ code: 'DISPOSED' })
    expect(transport.open).toBe(0)
    expect(clock.pending).toBe(0)
  })
})

it('a wrong budget is named when the client is made', () => {
  expect(() => new ApiClient({ retryBudget: 5 as never })).toThrow(
    /ApiClient: option "retryBudget" must be an object, got 5/,
  )
  expect(() => new ApiClient({ retryBudget: { ratio: -1 } })).toThrow(/RetryBudget: option "ratio"/)
})
