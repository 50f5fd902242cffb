// People hand over what may not be there: `token: process.env.TOKEN`. An option that is `undefined` counts as not given, for
// the compiler (this file is checked with `exactOptionalPropertyTypes`) and when it runs.

import { ApiClient, Endpoint, GuruConnection } from 'guru-comms'
import {
  adaptiveThrottle,
  bulkhead,
  chaos,
  circuitBreaker,
  fallback,
  hedge,
  learnRateLimits,
  RetryBudget,
  rateLimit,
  retry,
  timeout,
} from 'guru-comms/policies'
import { InputValidator } from 'guru-comms/security/InputValidator'
import { RateLimiter } from 'guru-comms/security/RateLimiter'
import { createBackend, SessionServer } from 'guru-comms/server'
import { sqliteOutbox, sqliteSessionStore } from 'guru-comms/storage/sqlite'
import { FakeWebSocket, VirtualClock } from 'guru-comms/testing'
import { describe, expect, it } from 'vitest'

const nothing = undefined

describe('an option that is undefined', () => {
  it('counts as not given in an ApiClient and its calls', async () => {
    const client = new ApiClient({
      baseURL: 'http://127.0.0.1:1',
      timeout: nothing,
      deadline: nothing,
      retries: nothing,
      headers: nothing,
      circuitBreakerOptions: { threshold: nothing, timeout: nothing },
      rateLimiterOptions: { enabled: nothing, limits: nothing },
      retryBudget: { ratio: nothing },
      rateLimitMode: nothing,
      validate: nothing,
      clock: nothing,
    })
    expect([client.timeout, client.retries, client.circuitBreaker.threshold]).toEqual([12_000, 2, 5])
    const call = client.get('/', { signal: nothing, timeout: nothing, params: { q: nothing }, retries: 0 })
    await expect(call).rejects.toMatchObject({ code: 'NETWORK', url: 'http://127.0.0.1:1/' })
    client.dispose()
  })

  it('counts as not given in a connection and an endpoint', async () => {
    const connection = new GuruConnection({ url: 'ws://127.0.0.1:1', autoConnect: false, token: nothing })
    expect(connection.reconnectDelay).toBe(2000)
    connection.dispose()
    const endpoint = new Endpoint({
      WS_URL: 'wss://example.com',
      API_BASE_URL: 'https://example.com',
      NODE_ENV: 'production',
      allowInsecure: nothing,
      token: nothing,
      routes: nothing,
      validate: nothing,
      connection: { WebSocket: FakeWebSocket, clock: new VirtualClock(), storage: nothing },
      api: { timeout: nothing, allowInsecure: nothing },
    })
    // What production forbids stays forbidden.
    endpoint.api.baseURL = 'http://example.com'
    await expect(endpoint.getHealth()).rejects.toMatchObject({ code: 'INSECURE_URL' })
    endpoint.dispose()
  })

  it('counts as not given on a server', async () => {
    const server = new SessionServer({ store: nothing, authenticate: nothing, ttl: nothing, logger: nothing })
    server.onSession((session) => {
      session.send('hello', { priority: nothing, ttl: nothing })
    })
    await server.drain({ spreadMs: 0, why: nothing })
    await server.close({ graceMs: nothing })
    const backend = await createBackend({ port: 0, host: nothing, responder: nothing, settingsFile: nothing })
    expect(backend.url).toContain('127.0.0.1')
    await backend.close({ graceMs: nothing })
  })

  it('counts as not given in storages', () => {
    const outbox = sqliteOutbox({
      file: ':memory:',
      name: nothing,
      synchronous: nothing,
      busyTimeout: nothing,
    })
    outbox.close()
    const store = sqliteSessionStore({ file: ':memory:', synchronous: nothing })
    store.close()
  })

  it('counts as not given in policies', async () => {
    const policies = [
      adaptiveThrottle({ k: nothing, clock: nothing }),
      bulkhead({ maxConcurrent: nothing }),
      chaos({ enabled: nothing, latency: nothing }),
      circuitBreaker({ threshold: nothing, classify: nothing }),
      fallback(() => 'no', { handle: nothing }),
      hedge({ delay: nothing, budget: nothing }),
      rateLimit({ limiter: { enabled: nothing, clock: nothing }, category: nothing }),
      retry({ retries: nothing, budget: new RetryBudget({ window: nothing }) }),
      timeout(1000, { phase: nothing }),
    ]
    for (const policy of policies) expect(await policy.execute(async () => 'yes')).toBe('yes')
    learnRateLimits({ maxHold: nothing })
  })

  it('leaves a limiter of a policy the clock of the policy', async () => {
    const clock = new VirtualClock()
    const policy = rateLimit({ clock, limiter: { clock: nothing, windowMs: 60_000, maxRequests: 1 } })
    await policy.execute(async () => {})
    await expect(policy.execute(async () => {})).rejects.toMatchObject({ code: 'RATE_LIMITED' })
    await clock.advance(60_000)
    await policy.execute(async () => {})
  })

  it('counts as not given in what validates', () => {
    const limiter = new RateLimiter({ enabled: nothing, onRateLimited: nothing })
    expect(limiter.tryConsume('GET /', { category: nothing, cost: nothing }).allowed).toBe(true)
    const validator = new InputValidator({ maxLength: nothing, onIssue: nothing })
    expect(validator.validateString('text', { maxLength: nothing, field: nothing })).toBe(true)
  })
})
