// Other names and forms that the original system's code may use.

import { expect, it } from 'vitest'
import { virtual } from '../../tests/support/apiClients.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { RateLimiter, TokenBucket } from './RateLimiter.ts'

it('a bucket made of an options object is one made of numbers', () => {
  const clock = new VirtualClock()
  const options = { tokensPerSecond: 2, burstCapacity: 3, clock }
  for (const bucket of [new TokenBucket(options), new TokenBucket(2, 3, clock)]) {
    expect([bucket.tokensPerSecond, bucket.burstCapacity, bucket.tokens]).toEqual([2, 3, 3])
    expect([bucket.tryConsume(3), bucket.tryConsume(), bucket.getRetryAfter()]).toEqual([true, false, 500])
  }
  expect(() => new TokenBucket({ tokensPerSecond: 0, burstCapacity: 3 })).toThrow(/tokensPerSecond/)
  expect(() => new TokenBucket({ tokensPerSecond: 1 } as never)).toThrow(/burstCapacity/)
  expect(() => new TokenBucket(null as never)).toThrow(TypeError)
})

it('window and maxCalls are windowMs and maxRequests', () => {
  for (const given of [
    { window: 500, maxCalls: 2 },
    { windowMs: 500, maxRequests: 2 },
    { window: 500, maxRequests: 2 },
  ])
    expect(new RateLimiter(given).limits.api).toMatchObject({ tokensPerSecond: 4, burstCapacity: 2 })
  expect(() => new RateLimiter({ window: 500 })).toThrow(/must be given together with/)
  expect(() => new RateLimiter({ window: 0, maxCalls: 2 })).toThrow(/"window"/)
})

it('tryAcquire and checkLimit take from the same bucket as tryConsume', () => {
  const limiter = new RateLimiter({ windowMs: 1000, maxRequests: 3, clock: new VirtualClock() })
  expect(limiter.tryAcquire('a')).toBe(true)
  expect(limiter.checkLimit('a').allowed).toBe(true)
  expect(limiter.tryConsume('a').allowed).toBe(true)
  expect(limiter.tryAcquire('a')).toBe(false)
  expect(limiter.checkLimit('a')).toMatchObject({ allowed: false, retryAfter: 334 })
  expect(limiter.tryAcquire('a', { category: 'heavy', cost: 10 })).toBe(true)
  expect(limiter.tryAcquire('a', { category: 'heavy' })).toBe(false)
})

it('request(method, url, options) is request({ method, url, ...options })', async () => {
  const { client, clock, transport } = virtual(() => ({
    body: { ok: true },
    headers: { 'content-type': 'application/json' },
  }))
  const calls = [
    client.request('put', '/a', { data: { b: 1 }, params: { c: 2 } }),
    client.request({ method: 'put', url: '/a', data: { b: 1 }, params: { c: 2 } }),
    client.request('GET', '/a'),
  ]
  await clock.advance(0)
  expect(await Promise.all(calls)).toEqual([{ ok: true }, { ok: true }, { ok: true }])
  const sent = transport.asked.map(({ request: { method, path, body } }) => ({ method, path, body }))
  expect(sent[0]).toEqual({ method: 'PUT', path: '/a?c=2', body: '{"b":1}' })
  expect(sent[1]).toEqual(sent[0])
  expect(sent[2]).toEqual({ method: 'GET', path: '/a', body: undefined })
})
