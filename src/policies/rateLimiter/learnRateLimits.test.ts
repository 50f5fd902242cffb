import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { failureOf, json, serve, virtual } from '../../../tests/support/apiClients.ts'
import type { Scripted } from '../../../tests/support/scriptedTransport.ts'
import { type ApiClientOptions, RateLimitError } from '../../ApiClient.ts'
import { VirtualClock } from '../../testing/VirtualClock.ts'
import { learnRateLimits } from './learnRateLimits.ts'
import { RateLimiter } from './RateLimiter.ts'
import { serverLimit } from './serverLimit.ts'

const serverNow = Date.UTC(2030, 0, 1)
const told = (headers: Record<string, string>, status = 200, retryAfterMs?: number) =>
  serverLimit({ status, headers, retryAfterMs, serverNow })

describe('what a server tells of its limit', () => {
  it.each<[string, Record<string, string>, number, number | undefined]>([
    ['RateLimit', { ratelimit: '"default";r=50;t=30' }, 50, 30_000],
    ['nothing left', { ratelimit: '"default";r=0;t=7' }, 0, 7000],
    [
      'the window of its policy where the reset is missing',
      { ratelimit: '"a";r=3', 'ratelimit-policy': '"b";q=9;w=1, "a";q=10;w=60' },
      3,
      60_000,
    ],
    ['neither reset nor window', { ratelimit: '"a";r=3' }, 3, undefined],
    ['the tightest of several', { ratelimit: '"day";r=900;t=5000, "burst";r=2;t=9' }, 2, 9000],
    ['the longest of those used up', { ratelimit: '"day";r=0;t=5000, "burst";r=0;t=9' }, 0, 5_000_000],
    [
      'a partition key and unknown parameters beside',
      { ratelimit: '"a";r=4;t=2;pk=:Y2RlZg==:;x=?1' },
      4,
      2000,
    ],
    [
      'requests, not bytes',
      {
        ratelimit: '"b";r=0;t=9, "a";r=5;t=1',
        'ratelimit-policy': '"b";q=9;qu="content-bytes";w=1, "a";q=10;w=1',
      },
      5,
      1000,
    ],
    [
      'older drafts',
      { 'ratelimit-limit': '10', 'ratelimit-remaining': '0', 'ratelimit-reset': '12' },
      0,
      12_000,
    ],
    ['X-RateLimit with seconds', { 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '60' }, 1, 60_000],
    [
      'X-RateLimit with a date in seconds',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(serverNow / 1000 + 90) },
      0,
      90_000,
    ],
    [
      'X-RateLimit with a date in milliseconds',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(serverNow + 1500) },
      0,
      1500,
    ],
    [
      'a date that has passed',
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(serverNow / 1000 - 90) },
      0,
      0,
    ],
    ['a fraction of a second', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset-after': '1.25' }, 0, 1250],
    [
      'a length of time',
      { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': '6m0.5s' },
      0,
      360_500,
    ],
    ['milliseconds', { 'x-ratelimit-remaining-requests': '2', 'x-ratelimit-reset-requests': '20ms' }, 2, 20],
    ['hours', { 'x-ratelimit-remaining-requests': '2', 'x-ratelimit-reset-requests': '1h' }, 2, 3_600_000],
    [
      'the standard beside the older',
      { ratelimit: '"a";r=8;t=2', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '60' },
      8,
      2000,
    ],
    [
      'the older where the standard is malformed',
      { ratelimit: 'limit=8', 'x-ratelimit-remaining': '1', 'x-ratelimit-reset': '60' },
      1,
      60_000,
    ],
  ])('%s', (_what, headers, remaining, resetMs) => {
    expect(told(headers)).toMatchObject({ remaining, resetMs })
  })

  it.each<[string, Record<string, string>]>([
    ['nothing', {}],
    ['no structured field', { ratelimit: '"default;r=50' }],
    ['a dictionary of an old draft', { ratelimit: 'limit=10, remaining=0, reset=5' }],
    ['a name that is no string', { ratelimit: 'default;r=0;t=30' }],
    ['a remainder below nothing', { ratelimit: '"a";r=-1;t=30' }],
    ['a fraction of a request', { ratelimit: '"a";r=0.5;t=30' }],
    ['a remainder that is text', { ratelimit: '"a";r="0";t=30' }],
    ['no remainder', { ratelimit: '"a";t=30' }],
    ['words', { 'x-ratelimit-remaining': 'none', 'x-ratelimit-reset': '60' }],
    ['two values in one', { 'x-ratelimit-remaining': '0, 5', 'x-ratelimit-reset': '60' }],
    ['no reset', { 'x-ratelimit-remaining': '0' }],
    ['a reset that is no time', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': 'soon' }],
    ['a reset without number', { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-reset-requests': 'ms' }],
  ])('%s is ignored', (_what, headers) => {
    expect(told(headers)).toBeUndefined()
  })

  it('Retry-After wins, where it is about a limit', () => {
    const headers = { ratelimit: '"a";r=0;t=90' }
    expect(told(headers, 429, 3000)).toEqual({ remaining: 0, resetMs: 3000, source: 'retry-after' })
    expect(told(headers, 503, 3000)).toMatchObject({ source: 'retry-after' })
    expect(told(headers, 202, 3000)).toMatchObject({ source: 'ratelimit', resetMs: 90_000 })
  })

  it('whatever is in the fields, nothing is thrown and no nonsense comes out', () => {
    const names = [
      'ratelimit',
      'ratelimit-policy',
      'x-ratelimit-remaining',
      'x-ratelimit-reset',
      'x-ratelimit-reset-after',
    ]
    const value = fc.oneof(
      fc.string(),
      fc.string({
        unit: fc.constantFrom('"', 'a', ';', 'r', 't', '=', '0', '9', ',', ' ', '.', '-', ':', '?'),
      }),
      fc.nat().map(String),
    )
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...names), value), (headers) => {
        const limit = told(headers)
        if (!limit) return
        expect(Number.isInteger(limit.remaining) && limit.remaining >= 0).toBe(true)
        expect(limit.resetMs === undefined || (Number.isFinite(limit.resetMs) && limit.resetMs >= 0)).toBe(
          true,
        )
      }),
      { numRuns: 2000 },
    )
  })
})

describe('learnRateLimits', () => {
  const clock = new VirtualClock()
  const limiterOf = () =>
    new RateLimiter({ clock, limits: { api: { tokensPerSecond: 10, burstCapacity: 20 } } })
  const answer = (headers: Record<string, string>, status = 200) => ({
    status,
    headers,
    retryAfterMs: undefined,
    serverNow: clock.wallNow(),
  })
  const learner = learnRateLimits()

  it('never holds more tokens than the server has left', () => {
    const limiter = limiterOf()
    learner.observe(limiter, 'GET /', 'api', answer({ ratelimit: '"a";r=3;t=60' }), clock.now())
    expect(limiter.getInfo('GET /').tokens).toBe(3)
    learner.observe(limiter, 'GET /', 'api', answer({ ratelimit: '"a";r=300;t=60' }), clock.now())
    expect(limiter.getInfo('GET /').tokens).toBe(3)
    expect(limiter.getInfo('GET /other').tokens).toBe(20)
  })

  it('lets nothing through until the reset, then goes on at its own rate', async () => {
    const limiter = limiterOf()
    const learned = learner.observe(
      limiter,
      'GET /',
      'api',
      answer({ ratelimit: '"a";r=0;t=60' }),
      clock.now(),
    )
    expect(learned).toEqual({ remaining: 0, resetMs: 60_000, source: 'ratelimit', holdMs: 60_050 })
    expect(limiter.getInfo('GET /')).toMatchObject({ tokens: 0, retryAfter: 60_050 })
    await clock.advance(60_000)
    expect(limiter.tryConsume('GET /').allowed).toBe(false)
    await clock.advance(50)
    expect(limiter.tryConsume('GET /').allowed).toBe(true)
    expect(limiter.tryConsume('GET /').retryAfter).toBe(100)
  })

  it('believes no one longer than maxHold, and nobody who does not say when it ends', () => {
    const limiter = limiterOf()
    const strict = learnRateLimits({ maxHold: 5000 })
    strict.observe(limiter, 'GET /', 'api', answer({ ratelimit: '"a";r=0;t=999999999' }), clock.now())
    expect(limiter.getInfo('GET /').retryAfter).toBe(5000)
    learner.observe(limiter, 'GET /x', 'api', answer({ ratelimit: '"a";r=0' }), clock.now())
    expect(limiter.getInfo('GET /x').tokens).toBe(20)
  })

  it('learns nothing for a limiter that is off, and names a wrong option', () => {
    const limiter = limiterOf()
    limiter.disable()
    expect(
      learner.observe(limiter, 'GET /', 'api', answer({ ratelimit: '"a";r=0;t=9' }), clock.now()),
    ).toBeUndefined()
    expect(() => learnRateLimits({ maxHold: -1 })).toThrow(
      /learnRateLimits: option "maxHold" must be .*, got -1/,
    )
  })
})

describe('a client that learns', () => {
  const setUp = (script: Parameters<typeof virtual>[0], options: ApiClientOptions = {}) =>
    virtual(script, { rateLimiter: true, learnRateLimits: learnRateLimits(), retries: 0, ...options })
  const usedUp = (extra: Partial<Scripted> = {}): Scripted => ({
    headers: { ratelimit: '"a";r=0;t=5' },
    ...extra,
  })

  it('sends nothing while the quota is used up, says until when, and tells what it learned', async () => {
    const { clock, transport, client } = setUp((_request, count) => (count === 1 ? usedUp() : {}))
    const learned: unknown[] = []
    client.on('learned', (event) => learned.push(event))
    const first = client.get('/things')
    await clock.advance(0)
    await first
    const refused = await failureOf(client.get('/things'))
    expect(refused).toBeInstanceOf(RateLimitError)
    expect(refused.retryAfter).toBe(5050)
    const elsewhere = client.get('/other')
    await clock.advance(5050)
    await elsewhere
    const later = client.get('/things')
    await clock.advance(0)
    await later
    expect(transport.asked).toHaveLength(3)
    expect(learned[0]).toEqual({
      endpoint: 'GET /things',
      category: 'api',
      remaining: 0,
      resetMs: 5000,
      source: 'ratelimit',
      holdMs: 5050,
    })
  })

  it('waits for the reset where calls wait, and leaves at the deadline', async () => {
    const { clock, transport, client } = setUp((_request, count) => (count === 1 ? usedUp() : {}), {
      rateLimitMode: 'wait',
    })
    const first = client.get('/')
    await clock.advance(0)
    await first
    const impatient = failureOf(client.get('/', { deadline: 1000 }))
    const patient = client.get('/')
    await clock.advance(5049)
    expect(transport.asked).toHaveLength(1)
    await clock.advance(2)
    await patient
    expect(await impatient).toBeInstanceOf(RateLimitError)
    expect(clock.pending).toBe(0)
  })

  it('a Retry-After of one call keeps the others back, too', async () => {
    const { clock, transport, client } = setUp((_request, count) =>
      count === 1 ? { status: 429, headers: { 'retry-after': '3', ratelimit: '"a";r=0;t=90' } } : {},
    )
    const first = failureOf(client.get('/'))
    await clock.advance(0)
    expect(await first).toMatchObject({ status: 429, retryAfter: 3000 })
    expect(await failureOf(client.get('/'))).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 3050 })
    await clock.advance(3050)
    const later = client.get('/')
    await clock.advance(0)
    await later
    expect(transport.asked).toHaveLength(2)
  })

  it('reckons dates by the clock of the server', async () => {
    const { clock, client } = setUp(() => ({
      headers: {
        date: new Date(clock.wallNow() - 3_600_000).toUTCString(),
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(clock.wallNow() / 1000 - 3600 + 4),
      },
    }))
    const first = client.get('/')
    await clock.advance(0)
    await first
    expect((await failureOf(client.get('/'))).retryAfter).toBeGreaterThanOrEqual(4050)
  })

  it('without it, the same fields change nothing', async () => {
    const { clock, client } = virtual(() => usedUp(), { rateLimiter: true })
    for (let call = 0; call < 3; call += 1) {
      const answered = client.get('/')
      await clock.advance(0)
      await answered
    }
    expect(client.rateLimiter.getInfo('GET /').tokens).toBe(27)
  })

  it('on a real server that counts', async () => {
    let left = 3
    const { server, client } = await serve(
      (_request, response) => {
        left -= 1
        json(response, left, 200, {
          ratelimit: `"window";r=${Math.max(0, left)};t=60`,
          'ratelimit-policy': '"window";q=3;w=60',
        })
      },
      { rateLimiter: true, learnRateLimits: learnRateLimits() },
    )
    const results: string[] = []
    for (let call = 0; call < 6; call += 1) {
      results.push(await client.get('/').then(String, (error) => error.code))
    }
    expect(results).toEqual(['2', '1', '0', 'RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED'])
    expect(server.requests).toBe(3)
  })
})
