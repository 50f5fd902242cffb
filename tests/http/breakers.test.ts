// The breakers of a client, seen from outside: one per origin, carried from process to process, honest about themselves.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ApiClient } from '../../src/ApiClient.ts'
import { CircuitBreaker } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { clientFor, failureOf, json, serve, virtual } from '../support/apiClients.ts'
import { type Scripted, scriptedTransport } from '../support/scriptedTransport.ts'

const touchy = { threshold: 2, volumeThreshold: 2, timeout: 1000 }
const options = { retries: 0, circuitBreakerOptions: touchy }

async function down(parts: ReturnType<typeof virtual>, path = '/'): Promise<void> {
  for (let call = 0; call < 2; call += 1) {
    const failed = failureOf(parts.client.get(path))
    await parts.clock.advance(1)
    await failed
  }
}

describe('breakers of a client', () => {
  it('hold one origin back and leave the others alone', async () => {
    const parts = virtual((request) => (request.origin === 'https://down.test' ? { status: 500 } : {}), {
      ...options,
      allowedOrigins: ['https://down.test'],
    })
    await down(parts, 'https://down.test/')
    expect(await failureOf(parts.client.get('https://down.test/'))).toMatchObject({ code: 'CIRCUIT_OPEN' })
    const other = parts.client.get('/')
    await parts.clock.advance(1)
    await other
    expect(parts.client.getCircuitBreakerState('https://down.test').state).toBe('OPEN')
    expect(parts.client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('judge a redirected call by the origin it was sent to first', async () => {
    const { server: broken } = await serve((_request, response) => response.writeHead(500).end())
    const { server, client } = await serve(
      (_request, response) => response.writeHead(302, { location: `${broken.origin}/` }).end(),
      { ...options, allowedOrigins: [broken.origin] },
    )
    for (let call = 0; call < 2; call += 1) await failureOf(client.get('/'))
    expect(client.getCircuitBreakerState(server.origin).state).toBe('OPEN')
    expect(client.getCircuitBreakerState(broken.origin).state).toBe('CLOSED')
  })

  it('isolated, an origin gets nothing until it is reset, and says so', async () => {
    const { clock, transport, client } = virtual(() => ({}), options)
    client.isolateCircuitBreaker()
    await clock.advance(1e9)
    const error = await failureOf(client.get('/'))
    expect(error).toMatchObject({ code: 'CIRCUIT_OPEN', retryAfter: Number.POSITIVE_INFINITY })
    expect(client.getCircuitBreakerState()).toMatchObject({ state: 'OPEN', nextAttempt: null })
    client.resetCircuitBreaker()
    const call = client.get('/')
    await clock.advance(1)
    await call
    expect(transport.asked).toHaveLength(1)
  })

  it('tell every change, and why', async () => {
    const parts = virtual((_request, count) => (count <= 3 ? { status: 500 } : {}), options)
    const told: unknown[] = []
    parts.client.on('breaker', (event) => told.push(event))
    await down(parts)
    for (let probe = 0; probe < 2; probe += 1) {
      await parts.clock.advance(1000)
      const call = parts.client.get('/').catch(() => {})
      await parts.clock.advance(1)
      await call
    }
    const origin = 'https://api.test'
    expect(told).toEqual([
      { origin, state: 'OPEN', reason: 'consecutive-failures' },
      { origin, state: 'HALF_OPEN', reason: 'open-time-over' },
      { origin, state: 'OPEN', reason: 'probe-failed' },
      { origin, state: 'HALF_OPEN', reason: 'open-time-over' },
      { origin, state: 'CLOSED', reason: 'probes-succeeded' },
    ])
  })

  it('open on slow calls, too', async () => {
    const { clock, client } = virtual(() => ({ after: 300 }), {
      circuitBreakerOptions: { ...touchy, slowCallDuration: 200, slowCallRate: 0.5 },
    })
    const changes: string[] = []
    client.on('breaker', ({ reason }) => changes.push(reason))
    const calls = [client.get('/'), client.get('/')]
    await clock.advance(300)
    await Promise.all(calls)
    expect(changes).toEqual(['slow-call-rate'])
  })

  it('open for longer each time, up to the maximum', async () => {
    const { clock, client } = virtual(() => ({ status: 500 }), {
      retries: 0,
      circuitBreakerOptions: { ...touchy, maxTimeout: 4000 },
    })
    const waits: number[] = []
    for (let round = 0; round < 5; round += 1) {
      while (client.getCircuitBreakerState().state !== 'OPEN') {
        const failed = failureOf(client.get('/'))
        await clock.advance(0)
        await failed
      }
      const wait = (client.getCircuitBreakerState().nextAttempt ?? 0) - clock.wallNow()
      waits.push(wait)
      await clock.advance(wait)
      const probe = failureOf(client.get('/'))
      await clock.advance(0)
      await probe
    }
    expect(waits).toEqual([1000, 2000, 4000, 4000, 4000])
  })
})

describe('the memory of breakers', () => {
  it('goes through JSON to another client, which keeps to the rest of the time', async () => {
    const parts = virtual(() => ({ status: 500 }), options)
    await down(parts)
    await parts.clock.advance(400)
    const text = JSON.stringify(parts.client.snapshotCircuitBreakers())
    const heir = virtual(() => ({}), options)
    await heir.clock.advance(5000)
    heir.client.restoreCircuitBreakers(JSON.parse(text))
    expect(await failureOf(heir.client.get('/'))).toMatchObject({ code: 'CIRCUIT_OPEN', retryAfter: 599 })
    expect(heir.transport.asked).toHaveLength(0)
    await heir.clock.advance(599)
    const probe = heir.client.get('/')
    await heir.clock.advance(1)
    await probe
    expect(heir.client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('keeps what is isolated isolated, and says nothing of what is closed', async () => {
    const { client } = virtual(() => ({}), options)
    client.isolateCircuitBreaker('https://held.test')
    client.resetCircuitBreaker()
    expect(client.snapshotCircuitBreakers()).toEqual({})
    client.isolateCircuitBreaker('https://held.test')
    const heir = virtual(() => ({}), options)
    heir.client.restoreCircuitBreakers(JSON.parse(JSON.stringify(client.snapshotCircuitBreakers())))
    expect(heir.client.getCircuitBreakerState('https://held.test')).toMatchObject({
      state: 'OPEN',
      nextAttempt: null,
    })
  })

  it.each<[string, unknown, RegExp]>([
    ['no object', [], /"snapshots" must be an object, got an array/],
    [
      'an origin that is no URL',
      { nowhere: { state: 'OPEN', remainingMs: 1, openings: 1 } },
      /origin must be a URL/,
    ],
    [
      'another state',
      { 'https://a.test': { state: 'HALF_OPEN', remainingMs: 1, openings: 1 } },
      /"https:\/\/a.test.state" must be "CLOSED" or "OPEN", got "HALF_OPEN"/,
    ],
    [
      'no time',
      { 'https://a.test': { state: 'OPEN', openings: 1 } },
      /remainingMs" must be .*, got undefined/,
    ],
    [
      'a time that is none',
      { 'https://a.test': { state: 'OPEN', remainingMs: Number.NaN, openings: 1 } },
      /remainingMs/,
    ],
    [
      'half an opening',
      { 'https://a.test': { state: 'OPEN', remainingMs: 5, openings: 0.5 } },
      /openings" must be a whole number/,
    ],
  ])('%s is refused, and changes nothing', (_what, snapshots, message) => {
    const client = clientFor()
    client.isolateCircuitBreaker('https://kept.test')
    expect(() => client.restoreCircuitBreakers(snapshots as never)).toThrow(message)
    expect(client.getCircuitBreakerState('https://kept.test').state).toBe('OPEN')
    expect(client.getCircuitBreakerState('https://a.test').state).toBe('CLOSED')
  })

  it('of a single breaker is checked as well', () => {
    expect(() => new CircuitBreaker().restore({} as never)).toThrow(
      /CircuitBreaker.restore: option "snapshot.state"/,
    )
  })
})

it('a half-open breaker never has more attempts on the way than its probes, whatever the backend does', async () => {
  let halfOpenSeen = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ after: fc.nat(400), status: fc.constantFrom(200, 500, 500, 404) }), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.array(fc.record({ pause: fc.nat(500), abortAfter: fc.option(fc.nat(200), { nil: undefined }) }), {
        minLength: 5,
        maxLength: 60,
      }),
      fc.integer({ min: 1, max: 3 }),
      fc.boolean(),
      async (script, calls, halfOpenRequests, waits) => {
        const clock = new VirtualClock()
        const transport = scriptedTransport(
          clock,
          (_request, count) => script[count % script.length] as Scripted,
        )
        const client = clientFor({
          baseURL: 'https://api.test',
          clock,
          transport,
          retries: 1,
          retryDelay: 30,
          timeout: 300,
          circuitBreakerOptions: { ...touchy, timeout: 200, halfOpenRequests },
          ...(waits && {
            rateLimiter: true,
            rateLimitMode: 'wait',
            rateLimiterOptions: { limits: { api: { tokensPerSecond: 20, burstCapacity: 2 } } },
          }),
        })
        let allowed = new Set<unknown>()
        client.on('breaker', ({ state }) => {
          // What was on the way before it became half-open is no probe.
          if (state === 'HALF_OPEN') allowed = new Set(transport.asked)
        })
        const running: Promise<unknown>[] = []
        for (const { pause, abortAfter } of calls) {
          const controller = new AbortController()
          if (abortAfter !== undefined) clock.setTimeout(() => controller.abort(), abortAfter)
          running.push(client.get('/', { signal: controller.signal }).catch(() => {}))
          await clock.advance(pause)
          if (client.getCircuitBreakerState().state !== 'HALF_OPEN') continue
          halfOpenSeen += 1
          const probes = transport.asked.filter(
            (asked) => !allowed.has(asked) && asked.endedAt === undefined && !asked.cancelled,
          )
          expect(probes.length).toBeLessThanOrEqual(halfOpenRequests)
        }
        await clock.advance(20_000)
        await Promise.all(running)
        expect(transport.open).toBe(0)
        expect(clock.pending).toBe(0)
        client.dispose()
      },
    ),
    { numRuns: 200 },
  )
  expect(halfOpenSeen).toBeGreaterThan(20)
})

it('the state is told for a client without calls, and for any origin', async () => {
  const client = new ApiClient({ baseURL: 'https://api.test' })
  const quiet = { state: 'CLOSED', failureCount: 0, requestCount: 0, nextAttempt: null }
  expect(client.getCircuitBreakerState()).toEqual(quiet)
  expect(client.getCircuitBreakerState('https://elsewhere.test/path')).toEqual(quiet)
  expect(() => client.getCircuitBreakerState('elsewhere')).toThrow(/origin must be a URL/)
  client.dispose()
  const { client: real } = await serve((_request, response) => json(response, 1))
  await real.get('/')
  expect(real.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', requestCount: 1 })
})
