// What becomes of a call: attempts, refusals, waits and ends, on virtual time over a transport that does what it is told.

import { beforeAll, describe, expect, it } from 'vitest'
import { ApiClient, type ApiClientOptions } from '../ApiClient.ts'
import { NetworkError } from '../core/errors.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import type { HttpReceiver, HttpRequest, HttpTransport } from '../transport/HttpTransport.ts'

// What loads on demand is here before virtual time begins: on a busy machine a file takes its time.
beforeAll(() =>
  Promise.all([
    import('./asking.ts'),
    import('./streaming.ts'),
    import('./fetch.ts'),
    import('./guardedStream.ts'),
    import('../http/redirects.ts'),
    import('../http/multipart.ts'),
    import('../policies/rateLimiter/TokenQueue.ts'),
  ]),
)

/** One attempt as the transport sees it. */
class Sent {
  cancelled: unknown
  readonly request: HttpRequest
  readonly receiver: HttpReceiver

  constructor(request: HttpRequest, receiver: HttpReceiver) {
    this.request = request
    this.receiver = receiver
  }

  answer(status: number, body = '', headers: Record<string, string> = {}): void {
    const all = { 'content-type': 'application/json', ...headers }
    this.receiver.onSent()
    this.receiver.onHead(status, all)
    this.receiver.onResponse({
      status,
      headers: all,
      finalUrl: undefined,
      setCookie: undefined,
      body: new TextEncoder().encode(body),
    })
  }

  fail(neverSent = false): void {
    if (!neverSent) this.receiver.onSent()
    this.receiver.onFailure(new NetworkError('network error: cut', { neverSent }))
  }
}

function setUp(options: ApiClientOptions = {}) {
  const clock = new VirtualClock()
  const sent: Sent[] = []
  let disposed = false
  const transport: HttpTransport = {
    acceptEncoding: 'gzip',
    send(request, receiver) {
      const exchange = new Sent(request, receiver)
      sent.push(exchange)
      return {
        cancel(reason) {
          exchange.cancelled = reason
        },
      }
    },
    decodeText: (bytes) => new TextDecoder().decode(bytes),
    dispose() {
      disposed = true
    },
  }
  const client = new ApiClient({ baseURL: 'https://h/api', transport, clock, random: () => 0, ...options })
  const told: [string, Record<string, unknown>][] = []
  for (const name of ['attempt', 'retry', 'breaker', 'limited', 'response', 'failure'] as const)
    client.on(name, (event: object) => void told.push([name, { ...event }]))
  const names = () => told.map(([name]) => name)
  return { client, clock, sent, told, names, isDisposed: () => disposed }
}

/** What a call came to, once it has. */
function outcome(promise: Promise<unknown>) {
  const seen: { value?: unknown; error?: Record<string, unknown> & Error } = {}
  promise.then(
    (value) => {
      seen.value = value
    },
    (error) => {
      seen.error = error
    },
  )
  return seen
}

/** Lets promises settle, dynamic imports included. */
const settled = async (clock: VirtualClock, until: () => boolean = () => true) => {
  for (let turn = 0; turn < 200; turn += 1) {
    await clock.advance(0)
    if (until()) return
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

describe('an attempt that is answered', () => {
  it('resolves to the parsed body; the request is complete', async () => {
    const { client, sent, clock, told } = setUp({ headers: { 'x-a': 'client', 'x-b': '1' } })
    const result = outcome(
      client.post('/things', { a: 1 }, { headers: { 'X-A': 'call' }, params: { q: 'x y' } }),
    )
    expect(sent[0]?.request).toMatchObject({
      method: 'POST',
      origin: 'https://h',
      path: '/api/things?q=x+y',
      body: '{"a":1}',
      headers: {
        accept: 'application/json, text/plain, */*',
        'accept-encoding': 'gzip',
        'content-type': 'application/json',
        'x-a': 'call',
        'x-b': '1',
      },
    })
    clock.advanceSync(40)
    sent[0]?.answer(200, '{"id":7}')
    await settled(clock)
    expect(result.value).toEqual({ id: 7 })
    expect(clock.pending).toBe(0)
    expect(told).toEqual([
      ['attempt', { callId: 1, method: 'POST', url: 'https://h/api/things?q=x+y', attempt: 1 }],
      [
        'response',
        {
          callId: 1,
          method: 'POST',
          url: 'https://h/api/things?q=x+y',
          status: 200,
          attempts: 1,
          duration: 40,
          timings: [{ attempt: 1, untilSent: 40, untilHeaders: 40, total: 40 }],
        },
      ],
    ])
    expect(client.getStats()).toMatchObject({
      totalRequests: 1,
      successfulRequests: 1,
      failedRequests: 0,
      inFlight: 0,
      attempts: 1,
      retries: 0,
    })
  })

  it('JSON that is none is a BAD_RESPONSE that names the call and is not retried', async () => {
    const { client, sent, clock } = setUp()
    const result = outcome(client.get('/x'))
    sent[0]?.answer(200, '{oops')
    await settled(clock)
    expect(result.error).toMatchObject({ code: 'BAD_RESPONSE', attempts: 1 })
    expect(result.error?.message).toMatch(/^GET https:\/\/h\/api\/x: .*JSON/)
    expect(sent).toHaveLength(1)
  })

  it('a schema changes the value or rejects', async () => {
    const { client, sent, clock } = setUp()
    const schema = (validate: (value: unknown) => unknown) =>
      ({ '~standard': { version: 1, vendor: 'test', validate } }) as never
    const good = outcome(client.get('/x', { schema: schema((value) => ({ value: [value] })) }))
    const bad = outcome(
      client.get('/x', { schema: schema(() => ({ issues: [{ message: 'no', path: ['a', 0] }] })) }),
    )
    await settled(clock, () => sent.length === 2)
    for (const exchange of sent) exchange.answer(200, '1')
    await settled(clock, () => bad.error !== undefined && good.value !== undefined)
    expect(good.value).toEqual([1])
    expect(bad.error).toMatchObject({ code: 'SCHEMA_MISMATCH', issues: [{ message: 'no', path: 'a[0]' }] })
  })
})

describe('an attempt that fails', () => {
  it('is repeated with backoff, and the last error is what the call ends with', async () => {
    const { client, sent, clock, told, names } = setUp()
    const result = outcome(client.get('/x?token=abc'))
    sent[0]?.answer(503, '{"why":"busy"}')
    await clock.advance(499)
    expect(sent).toHaveLength(1)
    await clock.advance(1)
    sent[1]?.fail()
    await clock.advance(1000)
    sent[2]?.answer(500, '"last"')
    await settled(clock)
    expect(result.error).toMatchObject({
      code: 'HTTP_STATUS',
      status: 500,
      body: 'last',
      attempts: 3,
      url: 'https://h/api/x?token=***',
      message: 'HTTP 500: GET https://h/api/x?token=***',
    })
    expect(names()).toEqual(['attempt', 'retry', 'attempt', 'retry', 'attempt', 'failure'])
    expect(new Set(told.map(([, event]) => event.callId))).toEqual(new Set([1]))
    expect(told[1]?.[1]).toMatchObject({
      attempt: 1,
      delay: 500,
      method: 'GET',
      url: 'https://h/api/x?token=***',
    })
    expect(told[5]?.[1]).toMatchObject({ attempts: 3, duration: 1500 })
    expect(client.getStats()).toMatchObject({ attempts: 3, retries: 2, failedRequests: 1 })
    expect(clock.pending).toBe(0)
  })

  it('waits as long as the server asks, and gives up when it asks too much', async () => {
    const { client, sent, clock } = setUp()
    outcome(client.get('/x'))
    sent[0]?.answer(429, '', { 'retry-after': '2' })
    await clock.advance(2049)
    expect(sent).toHaveLength(1)
    await clock.advance(1)
    expect(sent).toHaveLength(2)
    const result = outcome(client.get('/y'))
    sent[2]?.answer(429, '', { 'retry-after': '61' })
    await settled(clock)
    expect(result.error).toMatchObject({ status: 429, retryAfter: 61_000, attempts: 1 })
  })

  it.each([
    ['a POST that may have acted', 'POST', {}, (one: Sent) => one.answer(500), 1],
    ['a POST that was cut', 'POST', {}, (one: Sent) => one.fail(), 1],
    ['a POST that never left', 'POST', {}, (one: Sent) => one.fail(true), 2],
    ['a POST turned away', 'POST', {}, (one: Sent) => one.answer(429), 2],
    ['a POST with a key', 'POST', { idempotencyKey: 'k' }, (one: Sent) => one.answer(500), 2],
    ['a POST that is allowed to', 'POST', { retryUnsafe: true }, (one: Sent) => one.answer(500), 2],
    ['a PUT', 'PUT', {}, (one: Sent) => one.answer(500), 2],
    ['a GET not found', 'GET', {}, (one: Sent) => one.answer(404), 1],
    [
      'a GET the server says no to',
      'GET',
      {},
      (one: Sent) => one.answer(503, '', { 'x-should-retry': 'false' }),
      1,
    ],
    [
      'a GET the server says yes to',
      'GET',
      {},
      (one: Sent) => one.answer(404, '', { 'x-should-retry': 'true' }),
      2,
    ],
    ['a GET without retries', 'GET', { retries: 0 }, (one: Sent) => one.answer(503), 1],
  ] as const)('%s', async (_, method, options, end, attempts) => {
    const { client, sent, clock } = setUp({ retries: 1 })
    outcome(client.request({ method, url: '/x', ...options }))
    end(sent[0] as Sent)
    await clock.advance(1000)
    expect(sent).toHaveLength(attempts)
  })

  it('a key that is made up is the same for every attempt', async () => {
    const { client, sent, clock } = setUp()
    outcome(client.post('/x', null, { idempotencyKey: true }))
    sent[0]?.answer(500)
    await clock.advance(500)
    const keys = sent.map(({ request }) => request.headers['idempotency-key'])
    expect(keys[0]).toMatch(/^"[0-9a-f]{32}"$/)
    expect(keys[1]).toBe(keys[0])
  })

  it('shouldRetry has the last word, and what it throws ends the call', async () => {
    let word: () => boolean = () => false
    const { client, sent, clock } = setUp({ shouldRetry: () => word() })
    const first = outcome(client.get('/x'))
    sent[0]?.answer(503)
    await settled(clock)
    expect(first.error).toMatchObject({ status: 503 })
    word = () => {
      throw new Error('own')
    }
    const second = outcome(client.get('/x'))
    sent[1]?.answer(503)
    await settled(clock)
    expect(second.error).toMatchObject({
      code: 'CALLBACK_FAILED',
      message: 'shouldRetry threw: own',
      cause: { message: 'own' },
    })
    word = () => true
    outcome(client.get('/x'))
    sent[2]?.answer(503)
    await clock.advance(500)
    expect(sent).toHaveLength(4)
  })

  it('a body that is a function is made anew, and its failure is the caller’s', async () => {
    const { client, sent, clock } = setUp()
    let made = 0
    outcome(client.put('/x', () => `body ${++made}`))
    await settled(clock)
    sent[0]?.answer(503)
    await clock.advance(500)
    expect(sent.map(({ request }) => request.body)).toEqual(['body 1', 'body 2'])
    const result = outcome(
      client.put('/x', () => {
        throw new Error('own')
      }),
    )
    await settled(clock)
    expect(result.error).toMatchObject({ code: 'BAD_REQUEST' })
    const wrong = outcome(client.put('/x', () => 7))
    await settled(clock)
    expect(wrong.error).toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('time', () => {
  it('an attempt that takes too long is cancelled and repeated', async () => {
    const { client, sent, clock } = setUp({ retries: 1 })
    const result = outcome(client.get('/x', { timeout: 100 }))
    await clock.advance(100)
    expect(sent[0]?.cancelled).toMatchObject({ code: 'TIMEOUT', phase: 'attempt', timeoutMs: 100 })
    await clock.advance(500)
    expect(sent).toHaveLength(2)
    await clock.advance(100)
    expect(result.error).toMatchObject({ code: 'TIMEOUT', phase: 'attempt', attempts: 2 })
    expect(result.error?.message).toMatch(/timeout.*GET https:\/\/h\/api\/x.*100 ms/)
    expect(client.getStats().timeouts).toBe(2)
  })

  it('the deadline ends the call in mid-attempt, and forbids a wait that would pass it', async () => {
    const { client, sent, clock } = setUp()
    const cut = outcome(client.get('/x', { deadline: 80 }))
    await clock.advance(80)
    expect(cut.error).toMatchObject({ code: 'TIMEOUT', phase: 'deadline', timeoutMs: 80 })
    const short = outcome(client.get('/x', { deadline: 400 }))
    sent[1]?.answer(503)
    await settled(clock)
    expect(short.error).toMatchObject({ status: 503, attempts: 1 })
    expect(clock.pending).toBe(0)
  })
})

describe('an abort', () => {
  it('before the start sends nothing', async () => {
    const { client, sent, clock } = setUp()
    const result = outcome(client.get('/x', { signal: AbortSignal.abort('no') }))
    await settled(clock)
    expect(result.error).toMatchObject({ name: 'AbortError', code: 'ABORTED', cause: 'no', attempts: 0 })
    expect(sent).toHaveLength(0)
  })

  it('while it is sent cancels it and says nothing against the server', async () => {
    const { client, sent, clock } = setUp()
    const controller = new AbortController()
    const result = outcome(client.get('/x', { signal: controller.signal }))
    controller.abort('enough')
    await settled(clock)
    expect(result.error).toMatchObject({ code: 'ABORTED', cause: 'enough', attempts: 1 })
    expect(sent[0]?.cancelled).toBe(result.error)
    expect(client.getCircuitBreakerState().requestCount).toBe(0)
    expect(client.getStats()).toMatchObject({ aborted: 1, failedRequests: 1, inFlight: 0 })
  })

  it('while it waits leaves no timer', async () => {
    const { client, sent, clock } = setUp()
    const controller = new AbortController()
    const result = outcome(client.get('/x', { signal: controller.signal }))
    sent[0]?.answer(503)
    await settled(clock)
    expect(clock.pending).toBe(1)
    controller.abort()
    await settled(clock)
    expect(result.error).toMatchObject({ code: 'ABORTED' })
    expect(clock.pending).toBe(0)
  })
})

describe('the circuit breaker', () => {
  const breaking = {
    retries: 0,
    rateLimiter: false,
    circuitBreakerOptions: { threshold: 2, volumeThreshold: 2 },
  }

  it('opens, refuses, probes and closes', async () => {
    const { client, sent, clock, told } = setUp(breaking)
    for (let call = 0; call < 2; call += 1) {
      outcome(client.get('/x'))
      sent[call]?.answer(500)
    }
    const refused = outcome(client.get('/x'))
    await settled(clock)
    expect(refused.error).toMatchObject({ code: 'CIRCUIT_OPEN', retryAfter: 60_000, attempts: 0 })
    expect(refused.error?.message).toMatch(/Circuit breaker is OPEN.*https:\/\/h/)
    expect(client.getCircuitBreakerState()).toEqual({
      state: 'OPEN',
      failureCount: 2,
      requestCount: 2,
      nextAttempt: clock.wallNow() + 60_000,
    })
    await clock.advance(60_000)
    const probe = outcome(client.get('/x'))
    const second = outcome(client.get('/x'))
    sent[2]?.answer(200, '"back"')
    await settled(clock)
    expect(second.error).toMatchObject({ code: 'CIRCUIT_OPEN' })
    expect(probe.value).toBe('back')
    expect(client.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', nextAttempt: null })
    expect(told.filter(([name]) => name === 'breaker').map(([, event]) => event)).toEqual([
      { origin: 'https://h', state: 'OPEN', reason: 'consecutive-failures' },
      { origin: 'https://h', state: 'HALF_OPEN', reason: 'open-time-over' },
      { origin: 'https://h', state: 'CLOSED', reason: 'probes-succeeded' },
    ])
  })

  it('that opens between two attempts ends the call with the error of the last', async () => {
    const { client, sent, clock } = setUp({ ...breaking, retries: 3 })
    const result = outcome(client.get('/x'))
    sent[0]?.answer(500)
    await clock.advance(500)
    sent[1]?.answer(502)
    await clock.advance(1000)
    expect(result.error).toMatchObject({ code: 'HTTP_STATUS', status: 502, attempts: 2 })
    expect(sent).toHaveLength(2)
  })

  it('is one per origin, is isolated and reset by hand, and can be off', async () => {
    const { client, sent, clock } = setUp({ ...breaking, allowedOrigins: ['https://other'] })
    client.isolateCircuitBreaker('https://other/path')
    const refused = outcome(client.get('https://other/'))
    outcome(client.get('/x'))
    await settled(clock)
    expect(refused.error).toMatchObject({ code: 'CIRCUIT_OPEN', retryAfter: Infinity })
    expect(sent).toHaveLength(1)
    expect(client.getCircuitBreakerState('https://other')).toMatchObject({ state: 'OPEN', nextAttempt: null })
    client.resetCircuitBreaker()
    expect(client.getCircuitBreakerState('https://other').state).toBe('CLOSED')
    expect(() => client.getCircuitBreakerState('nowhere')).toThrow(TypeError)
    client.circuitBreaker.threshold = 1
    expect(() => {
      client.circuitBreaker.threshold = 0
    }).toThrow(/"threshold" must be a whole number >= 1/)
    const off = setUp({ ...breaking, circuitBreaker: false })
    for (let call = 0; call < 5; call += 1) {
      outcome(off.client.get('/x'))
      off.sent[call]?.answer(500)
    }
    expect(off.sent).toHaveLength(5)
  })
})

describe('the rate limiter', () => {
  const one = { rateLimiterOptions: { limits: { api: { tokensPerSecond: 1, burstCapacity: 1 } } } }

  it('refuses over the limit and counts', async () => {
    const { client, sent, clock, told } = setUp(one)
    outcome(client.get('/x'))
    const refused = outcome(client.get('/x?page=2'))
    outcome(client.get('/y'))
    await settled(clock)
    expect(refused.error).toMatchObject({
      code: 'RATE_LIMITED',
      retryAfter: 1000,
      endpoint: 'GET /api/x',
      category: 'api',
      attempts: 0,
    })
    expect(refused.error?.message).toContain('Rate limit exceeded')
    expect(sent).toHaveLength(2)
    expect(told.find(([name]) => name === 'limited')?.[1]).toEqual({
      callId: 2,
      method: 'GET',
      url: 'https://h/api/x?page=2',
      endpoint: 'GET /api/x',
      category: 'api',
      waiting: false,
      retryAfter: 1000,
    })
    expect(client.getRateLimiterStats()).toEqual({
      totalRequests: 3,
      rateLimited: 1,
      byEndpoint: {
        'GET /api/x': { totalRequests: 2, rateLimited: 1 },
        'GET /api/y': { totalRequests: 1, rateLimited: 0 },
      },
    })
    client.resetRateLimiter()
    expect(client.getRateLimiterStats().totalRequests).toBe(0)
  })

  it('in wait mode lets callers go in order, higher priority first, within their deadline', async () => {
    const { client, sent, clock, told } = setUp({ ...one, rateLimitMode: 'wait' })
    const go = (id: string, options = {}) =>
      outcome(client.get('/x', { headers: { 'x-id': id }, ...options }))
    go('1')
    go('2')
    go('3', { priority: 1 })
    const late = go('4', { deadline: 1500 })
    await settled(clock, () => late.error !== undefined)
    expect(late.error).toMatchObject({ code: 'RATE_LIMITED' })
    expect(told.find(([name]) => name === 'limited')?.[1]).toMatchObject({ waiting: true, category: 'api' })
    await clock.advance(2000)
    expect(sent.map(({ request }) => request.headers['x-id'])).toEqual(['1', '3', '2'])
  })

  it('makes a retry wait for its token, and gives the permit back meanwhile', async () => {
    const { client, sent, clock } = setUp({ ...one, retryDelay: 1 })
    const result = outcome(client.get('/x'))
    sent[0]?.answer(503)
    await clock.advance(500)
    expect(sent).toHaveLength(1)
    await clock.advance(600)
    expect(sent).toHaveLength(2)
    sent[1]?.answer(200, '"fine"')
    await settled(clock)
    expect(result.value).toBe('fine')
  })

  it('a call that waits for a token ends with its signal', async () => {
    const { client, sent, clock } = setUp({ ...one, rateLimitMode: 'wait' })
    outcome(client.get('/x'))
    const controller = new AbortController()
    const result = outcome(client.get('/x', { signal: controller.signal }))
    controller.abort('gone')
    await settled(clock)
    expect(result.error).toMatchObject({ code: 'ABORTED', cause: 'gone' })
    await clock.advance(2000)
    expect(sent).toHaveLength(1)
  })

  it('does not know every category, and a cost of more than the bucket never goes', async () => {
    const { client, clock } = setUp()
    await expect(client.get('/x', { rateCategory: 'none' })).rejects.toThrow(/category.*api.*"none"/)
    const result = outcome(client.get('/x', { rateCost: 31 }))
    await settled(clock)
    expect(result.error).toMatchObject({ code: 'RATE_LIMITED', retryAfter: Infinity })
    await expect(client.get('/x', { rateCategory: 'heavy', rateCost: 0 })).rejects.toThrow(/rateCost/)
  })
})

describe('redirects', () => {
  const location = (to: string) => ({ location: to })

  it('are followed; credentials stay with their origin, and a POST becomes a GET', async () => {
    const { client, sent, clock } = setUp({
      allowedOrigins: ['https://other'],
      sensitiveHeaders: ['X-Secret'],
      headers: { authorization: 'Bearer 1', 'x-secret': '2', 'x-open': '3' },
    })
    const result = outcome(client.post('/x', { a: 1 }))
    sent[0]?.answer(303, '', location('https://other/there'))
    await settled(clock, () => sent.length > 1)
    expect(sent[1]?.request).toMatchObject({
      method: 'GET',
      origin: 'https://other',
      path: '/there',
      body: undefined,
    })
    expect(sent[1]?.request.headers).toEqual({
      accept: 'application/json, text/plain, */*',
      'accept-encoding': 'gzip',
      'x-open': '3',
    })
    sent[1]?.answer(200, '"there"')
    await settled(clock)
    expect(result.value).toBe('there')
  })

  it('have an end, and leave only for origins that are allowed', async () => {
    const { client, sent, clock } = setUp({ maxRedirects: 2 })
    const result = outcome(client.get('/x'))
    for (let hop = 0; hop < 3; hop += 1) {
      sent[hop]?.answer(302, '', location(`/api/${hop}`))
      await settled(clock, () => sent.length > hop + 1 || result.error !== undefined)
    }
    expect(result.error).toMatchObject({ code: 'TOO_MANY_REDIRECTS' })
    const out = outcome(client.get('/x'))
    sent[3]?.answer(302, '', location('https://evil/'))
    await settled(clock, () => out.error !== undefined)
    expect(out.error).toMatchObject({ code: 'ORIGIN_NOT_ALLOWED' })
    expect(client.getCircuitBreakerState()).toMatchObject({ failureCount: 0, requestCount: 2 })
  })

  it('that ended a POST forbid its repetition; 307 carries the body on', async () => {
    const { client, sent, clock } = setUp()
    const result = outcome(client.post('/x', () => 'body'))
    await settled(clock, () => sent.length > 0)
    sent[0]?.answer(307, '', location('/api/y'))
    await settled(clock, () => sent.length > 1)
    expect(sent[1]?.request).toMatchObject({ method: 'POST', path: '/api/y', body: 'body' })
    sent[1]?.answer(302, '', location('/api/z'))
    await settled(clock, () => sent.length > 2)
    sent[2]?.answer(429)
    await clock.advance(5000)
    expect(result.error).toMatchObject({ status: 429, attempts: 1, url: 'https://h/api/z' })
    expect(sent).toHaveLength(3)
  })

  it('a redirect in mid-flight ends with its timeout', async () => {
    const { client, sent, clock } = setUp({ retries: 0 })
    const result = outcome(client.get('/x', { timeout: 100 }))
    sent[0]?.answer(302, '', location('/api/y'))
    await settled(clock, () => sent.length > 1)
    await clock.advance(100)
    expect(result.error).toMatchObject({ code: 'TIMEOUT', url: 'https://h/api/y' })
    expect(sent[1]?.cancelled).toBe(result.error)
  })

  it('with maxRedirects 0 the answer is handed over', async () => {
    const { client, sent, clock } = setUp({ maxRedirects: 0 })
    const result = outcome(client.get('/x'))
    sent[0]?.answer(302, '"moved"', location('/y'))
    await settled(clock)
    expect(result.error).toMatchObject({ status: 302, body: 'moved' })
  })
})

describe('interceptors', () => {
  it('see only the headers that are sent; one that the caller takes away stays away', async () => {
    const { client, sent } = setUp({ headers: { authorization: 'Bearer x', accept: 'text/plain' } })
    const seen: object[] = []
    client.addRequestInterceptor(({ headers }) => void seen.push(headers))
    client.get('/a', { headers: { Authorization: null, Accept: undefined } }).catch(() => {})
    client.get('/b').catch(() => {})
    while (sent.length < 2) await new Promise((resolve) => setImmediate(resolve))
    expect(seen).toEqual([{}, {}])
    expect(sent.map(({ request }) => request.headers)).toEqual([
      { 'accept-encoding': 'gzip' },
      { accept: 'text/plain', 'accept-encoding': 'gzip', authorization: 'Bearer x' },
    ])
    client.dispose()
  })

  it('see and change the request, the response and the error, once per call', async () => {
    const { client, sent, clock } = setUp()
    let runs = 0
    client.addRequestInterceptor((config) => {
      runs += 1
      config.headers['x-run'] = String(runs)
    })
    client.addRequestInterceptor(async (config) => ({ ...config, url: '/changed' }))
    const seen: unknown[] = []
    client.addResponseInterceptor((response) => {
      seen.push(response)
    })
    const removeLast = client.addResponseInterceptor((response) => ({ wrapped: response.data }))
    const result = outcome(client.get('/x', { params: { a: 1 } }))
    await settled(clock, () => sent.length > 0)
    expect(sent[0]?.request).toMatchObject({ path: '/api/changed?a=1', headers: { 'x-run': '1' } })
    sent[0]?.answer(503)
    await clock.advance(500)
    sent[1]?.answer(200, '"fine"')
    await settled(clock, () => 'value' in result)
    expect(result.value).toEqual({ wrapped: 'fine' })
    expect(seen).toMatchObject([
      { status: 200, data: 'fine', url: 'https://h/api/changed?a=1', attempts: 2, config: { method: 'GET' } },
    ])
    expect((seen[0] as { timings: unknown[] }).timings).toHaveLength(2)
    removeLast()
    client.addErrorInterceptor((error) => (error.status === 404 ? 'instead' : undefined))
    const instead = outcome(client.get('/x'))
    await settled(clock, () => sent.length > 2)
    sent[2]?.answer(404)
    await settled(clock, () => 'value' in instead)
    expect(instead.value).toBe('instead')
  })

  it('must be functions; a config must be an object', async () => {
    const { client } = setUp()
    expect(() => client.addRequestInterceptor('x' as never)).toThrow(TypeError)
    const wrong = () => 7 as never
    client.addRequestInterceptor(wrong)
    await expect(client.get('/x')).rejects.toThrow(TypeError)
    expect(client.removeRequestInterceptor(wrong)).toBe(true)
    expect(client.removeRequestInterceptor(wrong)).toBe(false)
  })
})

describe('the end of a client', () => {
  it('ends what is sent, what waits for a retry and what waits for a token', async () => {
    const { client, sent, clock, isDisposed } = setUp({
      rateLimitMode: 'wait',
      rateLimiterOptions: { limits: { api: { tokensPerSecond: 1, burstCapacity: 2 } } },
    })
    const results = [outcome(client.get('/x')), outcome(client.get('/x')), outcome(client.get('/x'))]
    sent[0]?.answer(503)
    await settled(clock)
    client.dispose()
    client.dispose()
    await settled(clock)
    expect(results.map(({ error }) => error?.code)).toEqual(['DISPOSED', 'DISPOSED', 'DISPOSED'])
    expect(sent[1]?.cancelled).toBe(results[1]?.error)
    expect(clock.pending).toBe(0)
    expect(isDisposed()).toBe(true)
    expect(client.getStats().inFlight).toBe(0)
    await expect(client.get('/x')).rejects.toMatchObject({ code: 'DISPOSED' })
  })
})

describe('a method', () => {
  it.each(['FOO BAR', 'CONNECT', '', 5, 'a\r\nb'])(
    '%j is refused before anything is sent or counted',
    async (method) => {
      const { client, sent, names } = setUp()
      const call = client.request({ url: '/x', method: method as string })
      await expect(call).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: expect.stringContaining('method'),
      })
      expect(sent).toEqual([])
      expect(names()).toEqual([])
      expect(client.getCircuitBreakerState().requestCount).toBe(0)
    },
  )

  it('of its own is sent in capitals', () => {
    const { client, sent } = setUp()
    outcome(client.request({ url: '/x', method: 'purge' }))
    expect(sent[0]?.request.method).toBe('PURGE')
  })
})

describe('what a client is told', () => {
  it('is checked when it is made, when a field is set and when a call is made', async () => {
    expect(() => setUp({ timeout: 0 })).toThrow(
      'ApiClient: option "timeout" must be a number of milliseconds >= 1, got 0',
    )
    expect(() => setUp({ retryStatusCodes: [99] })).toThrow(
      /an array, each item a whole number from 100 to 599/,
    )
    expect(() => setUp({ rateLimiterOptions: { maxEndpoints: 0 } })).toThrow(/maxEndpoints/)
    expect(() => setUp({ circuitBreakerOptions: { window: 0 } })).toThrow(/window/)
    expect(() => setUp({ jitter: [2, 1] })).toThrow(/jitter/)
    expect(() => setUp({ baseURL: 'localhost:8000' })).toThrow(
      'ApiClient: option "baseURL": invalid URL: it must begin with http:// or https://, got localhost:',
    )
    expect(() => setUp({ allowedOrigins: ['h'] })).toThrow(/option "allowedOrigins": invalid URL/)
    const { client, sent } = setUp()
    expect(() => {
      client.retries = -1
    }).toThrow(RangeError)
    client.retries = 0
    client.timeout = 5
    client.enableLogging = false
    expect([client.retries, client.timeout, client.enableLogging]).toEqual([0, 5, false])
    expect(() => {
      client.baseURL = 'ftp://h'
    }).toThrow(/invalid URL/)
    expect(client.baseURL).toBe('https://h/api')
    client.baseURL = 'https://new'
    outcome(client.get('/x'))
    expect(sent[0]?.request.origin).toBe('https://new')
    await expect(client.get('/x', { timeout: 'soon' as never })).rejects.toThrow(/"timeout"/)
    await expect(client.get('https://evil/')).rejects.toMatchObject({ code: 'ORIGIN_NOT_ALLOWED' })
    await expect(client.get(7 as never)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    await expect(client.request({ url: '/x', method: 'GET', data: 'x' })).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    })
  })

  it('another client can be made from one, with what it has joined to it', async () => {
    const { client, sent, clock } = setUp({ headers: { 'x-a': '1', 'x-b': '1' } })
    client.timeout = 7000
    client.addRequestInterceptor((config) => {
      config.headers['x-c'] = '1'
    })
    const other = client.extend({ headers: { 'x-b': '2' } })
    outcome(other.get('/x'))
    await settled(clock, () => sent.length > 0)
    expect(sent[0]?.request.headers).toMatchObject({ 'x-a': '1', 'x-b': '2', 'x-c': '1' })
    expect(other.timeout).toBe(7000)
    expect(client.getStats().totalRequests).toBe(0)
  })

  it('logging tells every decision, without secrets', async () => {
    const lines: string[] = []
    const write = (...parts: unknown[]) => void lines.push(parts.map(String).join(' '))
    const logger = { debug: write, info: write, warn: write, error: write }
    const { client, sent, clock } = setUp({
      enableLogging: true,
      logger,
      headers: { authorization: 'Bearer hush' },
    })
    outcome(client.get('/x?token=hush'))
    sent[0]?.answer(503)
    await clock.advance(500)
    sent[1]?.answer(200, '1')
    await settled(clock)
    expect(lines.length).toBeGreaterThanOrEqual(4)
    for (const line of lines) expect(line).toMatch(/GET https:\/\/h\/api\/x\?token=\*\*\*/)
    expect(lines.join()).not.toContain('hush')
    expect(lines.join()).toMatch(/retry/)
  })
})
