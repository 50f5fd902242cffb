// The limiter of a client seen from outside: what it lets through in any stretch of time, in which order, and what it leaves behind.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RateLimitError } from '../../src/ApiClient.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { clientFor, failureOf, json, serve, virtual } from '../support/apiClients.ts'
import { type Scripted, scriptedTransport } from '../support/scriptedTransport.ts'

/** Milliseconds that timers round by: who was let through may go so much later, and the next one not. */
const TICK_MS = 1

/** How many of `times` (in order) lie in the busiest stretch beyond what `burst` and `perSecond` allow for its length; 0 when none. */
function excess(times: readonly number[], burst: number, perSecond: number): number {
  let most = 0
  for (let from = 0; from < times.length; from += 1) {
    for (let to = from; to < times.length; to += 1) {
      const seconds = ((times[to] as number) - (times[from] as number) + TICK_MS) / 1000
      most = Math.max(most, to - from + 1 - (burst + perSecond * seconds))
    }
  }
  return most > 1e-6 ? most : 0
}

it('in no stretch of time are more sent than burst + rate x time, waiting or not, retries and hidden aborts included', async () => {
  let waited = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          pause: fc.nat(150),
          abortAfter: fc.option(fc.nat(400), { nil: undefined }),
          priority: fc.nat(2),
          path: fc.constantFrom('/a', '/a', '/b'),
        }),
        { minLength: 10, maxLength: 60 },
      ),
      fc.array(fc.record({ after: fc.nat(100), status: fc.constantFrom(200, 200, 503) }), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 10 }),
      fc.constantFrom<'wait' | 'reject'>('wait', 'reject'),
      async (calls, script, tokensPerSecond, burstCapacity, rateLimitMode) => {
        const clock = new VirtualClock()
        const transport = scriptedTransport(
          clock,
          (_request, count) => script[count % script.length] as Scripted,
        )
        const client = clientFor({
          baseURL: 'https://api.test',
          clock,
          transport,
          retries: 2,
          retryDelay: 20,
          circuitBreaker: false,
          rateLimiter: true,
          rateLimitMode,
          rateLimiterOptions: { limits: { api: { tokensPerSecond, burstCapacity } } },
        })
        client.on('limited', ({ waiting }) => {
          waited += Number(waiting)
        })
        const running: Promise<unknown>[] = []
        for (const { pause, abortAfter, priority, path } of calls) {
          const controller = new AbortController()
          if (abortAfter !== undefined) clock.setTimeout(() => controller.abort(), abortAfter)
          running.push(client.get(path, { signal: controller.signal, priority }).catch(() => {}))
          await clock.advance(pause)
        }
        await clock.advance(120_000)
        await Promise.all(running)
        for (const path of ['/a', '/b']) {
          const times = transport.asked.filter(({ request }) => request.path === path).map(({ at }) => at)
          expect(excess(times, burstCapacity, tokensPerSecond)).toBe(0)
        }
        expect(clock.pending).toBe(0)
        expect(client.getStats().inFlight).toBe(0)
        client.dispose()
      },
    ),
    { numRuns: 150 },
  )
  expect(waited).toBeGreaterThan(100)
})

it('those who wait are served by priority and then in order of arrival, whoever leaves in between', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          priority: fc.nat(3),
          leaves: fc.option(fc.integer({ min: 1, max: 900 }), { nil: undefined }),
        }),
        {
          minLength: 2,
          maxLength: 30,
        },
      ),
      async (callers) => {
        const clock = new VirtualClock()
        const transport = scriptedTransport(clock, () => ({ after: 1 }))
        const client = clientFor({
          baseURL: 'https://api.test',
          clock,
          transport,
          rateLimiter: true,
          rateLimitMode: 'wait',
          rateLimiterOptions: { limits: { api: { tokensPerSecond: 10, burstCapacity: 1 } } },
        })
        const first = client.get('/')
        await clock.advance(0)
        const results = callers.map(async ({ priority, leaves }, index) => {
          const controller = new AbortController()
          if (leaves !== undefined) clock.setTimeout(() => controller.abort(), leaves)
          return client
            .get('/', { signal: controller.signal, priority, headers: { 'x-caller': index } })
            .catch(() => {})
        })
        await clock.advance(100_000)
        await Promise.all([first, ...results])
        const served = transport.asked
          .slice(1)
          .map(({ request, at }) => ({ caller: Number(request.headers['x-caller']), at }))
        served.forEach(({ at }, turn) => {
          expect(at).toBeGreaterThanOrEqual(100 * (turn + 1))
          expect(at).toBeLessThanOrEqual((100 + TICK_MS) * (turn + 1))
        })
        for (let turn = 1; turn < served.length; turn += 1) {
          const [before, after] = [served[turn - 1]?.caller as number, served[turn]?.caller as number]
          const [higher, lower] = [callers[before]?.priority as number, callers[after]?.priority as number]
          expect(higher > lower || (higher === lower && before < after)).toBe(true)
        }
        // Nobody is forgotten: who was not served had left before his turn.
        callers.forEach(({ leaves }, caller) => {
          if (!served.some((one) => one.caller === caller)) expect(leaves).toBeDefined()
        })
        expect(clock.pending).toBe(0)
        expect(client.getStats().inFlight).toBe(0)
        client.dispose()
      },
    ),
    { numRuns: 100 },
  )
})

describe('a wait for a token', () => {
  const options = {
    rateLimiter: true,
    rateLimitMode: 'wait' as const,
    rateLimiterOptions: { limits: { api: { tokensPerSecond: 1, burstCapacity: 1 } } },
  }

  it('ends at once with the caller, takes nothing, and the next moves up', async () => {
    const { clock, transport, client } = virtual(() => ({}), options)
    const first = client.get('/')
    await clock.advance(0)
    const controller = new AbortController()
    const leaving = failureOf(client.get('/', { signal: controller.signal }))
    const staying = client.get('/')
    await clock.advance(500)
    controller.abort()
    expect(await leaving).toMatchObject({ code: 'ABORTED', attempts: 0 })
    await clock.advance(500)
    await Promise.all([first, staying])
    expect(transport.asked.map(({ at }) => at)).toEqual([1000, 2000])
    expect(clock.pending).toBe(0)
  })

  it('ends with the client', async () => {
    const { clock, client } = virtual(() => ({}), options)
    const first = client.get('/')
    await clock.advance(0)
    await first
    const waiting = failureOf(client.get('/'))
    await clock.advance(1)
    client.dispose()
    expect(await waiting).toMatchObject({ code: 'DISPOSED' })
    expect(clock.pending).toBe(0)
  })

  it('is told, and never said to be a failure of the backend', async () => {
    const { clock, client } = virtual(() => ({}), { ...options, rateLimitMode: 'reject' })
    const told: unknown[] = []
    client.on('limited', (event) => told.push(event))
    const first = client.get('/x?token=abc')
    await clock.advance(0)
    await first
    expect(await failureOf(client.get('/x?token=abc'))).toBeInstanceOf(RateLimitError)
    expect(told).toEqual([
      {
        callId: expect.any(Number),
        method: 'GET',
        url: 'https://api.test/x?token=***',
        endpoint: 'GET /x',
        category: 'api',
        waiting: false,
        retryAfter: 1000,
      },
    ])
    expect(client.getCircuitBreakerState()).toMatchObject({ requestCount: 1, failureCount: 0 })
  })

  it('counts what a call costs', async () => {
    const { clock, transport, client } = virtual(() => ({}), {
      ...options,
      rateLimiterOptions: { limits: { heavy: { tokensPerSecond: 10, burstCapacity: 10 } } },
    })
    const calls = [8, 8, 1].map((rateCost) => client.get('/', { rateCategory: 'heavy', rateCost }))
    await clock.advance(1000)
    await Promise.all(calls)
    expect(transport.asked.map(({ at }) => at - 1000)).toEqual([0, 600, 700])
    const tooMuch = await failureOf(client.get('/', { rateCategory: 'heavy', rateCost: 11 }))
    expect(tooMuch).toMatchObject({ code: 'RATE_LIMITED', retryAfter: Number.POSITIVE_INFINITY })
  })

  it('on a real server: a batch goes through at its rate', async () => {
    const { server, client } = await serve((_request, response) => json(response, 1), {
      ...options,
      rateLimiterOptions: { limits: { api: { tokensPerSecond: 200, burstCapacity: 5 } } },
    })
    const startedAt = performance.now()
    await Promise.all(Array.from({ length: 25 }, () => client.get('/')))
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(99)
    expect(server.requests).toBe(25)
  })
})
