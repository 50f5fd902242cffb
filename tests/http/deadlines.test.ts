// The deadline of a call is over everything: queueing, backoff, hooks, hedges, reopened streams.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ApiClientOptions, RequestOptions } from '../../src/ApiClient.ts'
import { bulkhead, chaos, compose, fallback, hedge, learnRateLimits } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { clientFor, failureOf, serve, virtual } from '../support/apiClients.ts'
import { until } from '../support/misbehavingServer.ts'
import { connectionLost, type Scripted, scriptedTransport } from '../support/scriptedTransport.ts'

/** What a backend may do to one attempt. */
const attempt: fc.Arbitrary<Scripted> = fc.record(
  {
    after: fc.oneof(fc.nat(300), fc.constant(Number.POSITIVE_INFINITY)),
    status: fc.constantFrom(200, 429, 500, 503, 404),
    headers: fc.oneof(
      fc.constant({}),
      fc.record({ 'retry-after-ms': fc.nat(400).map(String) }),
      fc.record({ ratelimit: fc.nat(3).map((left) => `"a";r=${left};t=1`) }),
    ) as fc.Arbitrary<Record<string, string>>,
    error: fc.constant(connectionLost()),
  },
  { requiredKeys: ['after'] },
)

const never = () => new Promise<never>(() => {})

it('no call ever outlives its deadline by more than a tick, whatever backend and policies do', async () => {
  const outcomes = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(
      fc.array(attempt, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 }),
      fc.record({
        retries: fc.nat(5),
        retryDelay: fc.nat(200),
        jitter: fc.constantFrom('none', 'full', 'equal', 'decorrelated'),
        timeout: fc.integer({ min: 1, max: 400 }),
        rateLimitMode: fc.constantFrom('wait', 'reject'),
        coalesce: fc.boolean(),
      }) as fc.Arbitrary<ApiClientOptions>,
      fc.subarray(['hook', 'hung hook', 'slow body', 'hedge', 'policy', 'learn']),
      fc.integer({ min: 1, max: 20 }),
      async (script, deadlines, options, extras, tokensPerSecond) => {
        const clock = new VirtualClock(0)
        const transport = scriptedTransport(
          clock,
          (_request, count) => script[count % script.length] as Scripted,
        )
        const hook = extras.includes('hung hook')
          ? never
          : () => new Promise<boolean>((resolve) => clock.setTimeout(() => resolve(true), 60))
        const client = clientFor({
          ...options,
          baseURL: 'https://api.test',
          clock,
          transport,
          random: () => 0.5,
          rateLimiter: true,
          rateLimiterOptions: { limits: { api: { tokensPerSecond, burstCapacity: 1 } } },
          ...((extras.includes('hook') || extras.includes('hung hook')) && { shouldRetry: hook }),
          ...(extras.includes('hedge') && { hedge: hedge({ delay: 50, clock }) }),
          ...(extras.includes('learn') && { learnRateLimits: learnRateLimits() }),
          ...(extras.includes('policy') && {
            policy: compose(
              bulkhead({ maxConcurrent: 1, maxQueue: 10, clock }),
              chaos({ enabled: true, clock, random: () => 0.5, latency: { rate: 1, ms: 120 } }),
            ),
          }),
        })
        const body = extras.includes('slow body')
          ? () => new Promise<string>((resolve) => clock.setTimeout(() => resolve('late'), 90))
          : undefined
        const overrun: number[] = []
        const calls = deadlines.map(async (deadline, index) => {
          const request: RequestOptions = { deadline, priority: index % 2 }
          await (body ? client.put('/', body, request) : client.get('/', request)).then(
            () => outcomes.set('answered', (outcomes.get('answered') ?? 0) + 1),
            (error) => outcomes.set(error.code, (outcomes.get(error.code) ?? 0) + 1),
          )
          overrun.push(clock.now() - deadline)
        })
        await clock.advance(702)
        expect(overrun).toHaveLength(deadlines.length)
        expect(Math.max(...overrun)).toBeLessThanOrEqual(1)
        await Promise.all(calls)
        expect(transport.open).toBe(0)
        client.dispose()
      },
    ),
    { numRuns: 300 },
  )
  // All of it has been seen: answers, and every way of running out of time.
  expect([...outcomes.keys()]).toEqual(
    expect.arrayContaining(['answered', 'TIMEOUT', 'RATE_LIMITED', 'HTTP_STATUS']),
  )
})

describe('a deadline', () => {
  it('is over a hook that hangs: the call ends with the error that the hook was asked about', async () => {
    const { clock, client } = virtual(() => ({ status: 503 }), { shouldRetry: never, deadline: 400 })
    const call = failureOf(client.get('/'))
    await clock.advance(400)
    expect(await call).toMatchObject({ status: 503, attempts: 1 })
    expect(clock.pending).toBe(0)
  })

  it('is over the line in front of a bulkhead', async () => {
    const clock = new VirtualClock(500)
    const policy = bulkhead({ maxConcurrent: 1, maxQueue: 5, clock })
    const { client, transport } = virtual(() => ({ after: Number.POSITIVE_INFINITY }), {
      clock,
      policy,
      retries: 0,
      timeout: Number.POSITIVE_INFINITY,
      transport: scriptedTransport(clock, () => ({ after: 10_000 })),
    })
    const running = client.get('/')
    const waiting = failureOf(client.get('/', { deadline: 300 }))
    await clock.advance(300)
    expect(await waiting).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(policy).toMatchObject({ running: 1, queued: 0 })
    await clock.advance(10_000)
    await running
    expect(policy.running).toBe(0)
    expect(clock.pending).toBe(0)
    expect(transport.asked).toHaveLength(0)
  })

  it('counts the time in a policy as time of the call, and a fallback still answers', async () => {
    const clock = new VirtualClock()
    const transport = scriptedTransport(clock, () => ({ after: 250 }))
    const latency = chaos({ enabled: true, clock, random: () => 0, latency: { rate: 1, ms: 100 } })
    const client = clientFor({
      baseURL: 'https://api.test',
      clock,
      transport,
      policy: compose(fallback('old news'), latency),
    })
    const call = client.get('/', { deadline: 300 })
    await clock.advance(299)
    expect(transport.asked).toHaveLength(1)
    await clock.advance(1)
    expect(await call).toBe('old news')
  })

  it('is one for a call and its hedges', async () => {
    const clock = new VirtualClock()
    const transport = scriptedTransport(clock, () => ({ after: Number.POSITIVE_INFINITY }))
    const client = clientFor({
      baseURL: 'https://api.test',
      clock,
      transport,
      hedge: hedge({ delay: 200, clock }),
    })
    const call = failureOf(client.get('/', { deadline: 300 }))
    await clock.advance(300)
    expect(await call).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(transport.asked).toHaveLength(2)
    expect(transport.open).toBe(0)
  })

  it('is one for a stream and all its reopenings', async () => {
    const { clock, transport, client } = virtual(
      () => ({
        body: new TextEncoder().encode('data: x\n\n'),
        headers: { 'content-type': 'text/event-stream' },
      }),
      { retries: 100, retryDelay: 100, jitter: 'none' },
    )
    const seen: string[] = []
    const read = (async () => {
      for await (const { data } of client.stream('/', { reconnect: true, deadline: 450 })) seen.push(data)
    })()
    await clock.advance(450)
    await read
    expect(seen.length).toBeGreaterThan(2)
    expect(transport.asked.every(({ at }) => at <= 1450)).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('cuts a reopened stream, too', async () => {
    const { clock, transport, client } = virtual(
      (_request, count) => ({
        body: count === 1 ? new TextEncoder().encode('data: x\n\n') : new ReadableStream(),
        headers: { 'content-type': 'text/event-stream' },
      }),
      { retryDelay: 100, jitter: 'none', retries: 1 },
    )
    const events = client.stream('/', { reconnect: true, deadline: 450 })
    const first = events.next()
    await clock.advance(1)
    expect((await first).value).toMatchObject({ data: 'x' })
    let endedAt = Number.NaN
    const failed = failureOf(events.next()).finally(() => {
      endedAt = clock.now()
    })
    await clock.advance(2000)
    expect(await failed).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(endedAt).toBe(1450)
    expect(transport.asked).toHaveLength(2)
    expect(clock.pending).toBe(0)
  })

  it('that passes before anything is sent says nothing against the backend', async () => {
    const clock = new VirtualClock()
    const transport = scriptedTransport(clock, () => ({}))
    const client = clientFor({
      baseURL: 'https://api.test',
      clock,
      transport,
      circuitBreakerOptions: { threshold: 1, volumeThreshold: 1 },
      policy: chaos({ enabled: true, clock, latency: { rate: 1, ms: 100 } }),
    })
    const late = failureOf(client.get('/', { deadline: 100 }))
    await clock.advance(100)
    expect(await late).toMatchObject({ code: 'TIMEOUT', attempts: 0 })
    expect(transport.asked).toHaveLength(0)
    expect(client.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', failureCount: 0 })
  })

  it('on a real server: a body that drips on and on ends in time', async () => {
    const { server, client } = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      const timer = setInterval(() => response.write('.'), 5)
      response.on('close', () => clearInterval(timer))
    })
    expect(await failureOf(client.get('/', { deadline: 150 }))).toMatchObject({
      code: 'TIMEOUT',
      phase: 'deadline',
      attempts: 1,
    })
    await until(() => server.connections === 0, 'the connection closes')
  })
})
