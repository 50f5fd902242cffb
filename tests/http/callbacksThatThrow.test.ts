// What the app passes in may throw, at once or later. It ends that call with an error that names who threw, or is told and
// changes nothing; no call stays behind, nothing escapes, and the server is not held responsible.

import { describe, expect, it, vi } from 'vitest'
import type { ApiClient, ApiClientOptions } from '../../src/ApiClient.ts'
import type { CommsError } from '../../src/core/errors.ts'
import {
  adaptiveThrottle,
  bearerAuth,
  bulkhead,
  chaos,
  circuitBreaker,
  compose,
  fallback,
  hedge,
  type Policy,
  rateLimit,
  retry,
  timeout,
} from '../../src/policies/index.ts'
import { clientFor, failureOf, json, serve, transports } from '../support/apiClients.ts'
import { booby } from '../support/hostileValues.ts'

const thrown = new Error('own')
const throwing = (): never => {
  throw thrown
}
const rejecting = async (): Promise<never> => throwing()
const laterThrowing = async (): Promise<never> => {
  await new Promise((resolve) => setTimeout(resolve, 1))
  return throwing()
}

type Call = (client: ApiClient) => Promise<unknown>
const get: Call = (client) => client.get('/')

const limits = { api: { tokensPerSecond: 1, burstCapacity: 1 } }
const twice: Call = async (client) => {
  await client.get('/').catch(() => {})
  return client.get('/')
}
const read: Call = async (client) => {
  for await (const _ of client.stream('/events'));
}

const ending: [string, ApiClientOptions, Call, string][] = [
  ['shouldRetry', { shouldRetry: throwing }, (client) => client.get('/down'), 'shouldRetry'],
  ['shouldRetry, rejecting', { shouldRetry: rejecting }, (client) => client.get('/down'), 'shouldRetry'],
  ['shouldRetry, later', { shouldRetry: laterThrowing }, (client) => client.get('/down'), 'shouldRetry'],
  ['random', { random: throwing }, (client) => client.get('/down'), 'retry'],
  [
    'onDownloadProgress',
    {},
    (client) => client.get('/', { onDownloadProgress: throwing }),
    'onDownloadProgress',
  ],
  [
    'onDownloadProgress of client.fetch’s kind',
    {},
    async (client) => {
      const stream = (await client.get('/', {
        responseType: 'stream',
        onDownloadProgress: throwing,
      })) as ReadableStream<Uint8Array>
      for await (const _ of stream);
    },
    'onDownloadProgress',
  ],
  ['a schema', {}, (client) => client.get('/', { schema: schemaOf(throwing) }), 'schema'],
  ['a schema, rejecting', {}, (client) => client.get('/', { schema: schemaOf(rejecting) }), 'schema'],
  ['learnRateLimits', { learnRateLimits: { observe: throwing } }, get, 'learnRateLimits'],
  ['learnRateLimits at a stream', { learnRateLimits: { observe: throwing } }, read, 'learnRateLimits'],
  [
    'onRequestAllowed',
    { rateLimiter: true, rateLimiterOptions: { onRequestAllowed: throwing } },
    get,
    'onRequestAllowed',
  ],
  [
    'onRateLimited',
    { rateLimiter: true, rateLimiterOptions: { limits, onRateLimited: throwing } },
    twice,
    'onRateLimited',
  ],
  [
    'a hedge’s onHedge',
    { hedge: hedge({ delay: 1, onHedge: throwing }) },
    (client) => client.get('/slow'),
    'onHedge',
  ],
  [
    'a hedge’s handle',
    { hedge: hedge({ delay: 1000, handle: throwing }) },
    (client) => client.get('/down', { retries: 0 }),
    'handle',
  ],
  [
    'a fallback’s handle',
    { retries: 0, policy: fallback('x', { handle: throwing }) },
    (client) => client.get('/down'),
    'handle',
  ],
  [
    'a throttle’s isOverload',
    { retries: 0, policy: adaptiveThrottle({ isOverload: throwing }) },
    (client) => client.get('/down'),
    'isOverload',
  ],
  ['chaos’s when', { policy: chaos({ enabled: true, when: throwing }) }, get, 'when'],
]

function schemaOf(validate: (value: unknown) => never | Promise<never>) {
  return { '~standard': { version: 1, vendor: 'test', validate } } as const
}

const handle: Parameters<typeof serve>[0] = (request, response) => {
  if (request.url === '/down') response.writeHead(503).end()
  else if (request.url === '/slow') setTimeout(() => json(response, 1), 100)
  else if (request.url === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end('data: 1\n\n')
  } else json(response, 1)
}

describe.each(transports)('through %s', (transportName, make) => {
  it.each(ending)('%s ends the call', async (_name, options, call, who) => {
    const { client } = await serve(handle, { ...options }, make)
    const failures: unknown[] = []
    client.on('failure', ({ error }) => failures.push(error))
    const error = await failureOf(call(client))
    expect(error).toMatchObject({ code: 'CALLBACK_FAILED', message: `${who} threw: own`, cause: thrown })
    await vi.waitFor(() => expect(client.getStats().inFlight).toBe(0))
    // Whatever the server answered counts; what the app's own function threw does not.
    expect(client.getCircuitBreakerState().failureCount).toBeLessThanOrEqual(1)
    if (!/down/.test(String(call))) expect(client.getCircuitBreakerState().failureCount).toBe(0)
  })

  it('a function that makes the body', async () => {
    const { client, server } = await serve(handle, { retries: 2 }, make)
    for (const body of [throwing, rejecting, laterThrowing]) {
      const error = await failureOf(client.put('/', body))
      expect(error).toMatchObject({ code: 'BAD_REQUEST', cause: thrown })
      expect(error.message).toMatch(/body.*function/)
    }
    expect(client.getStats()).toMatchObject({ inFlight: 0, retries: 0 })
    expect(client.getCircuitBreakerState().requestCount).toBe(0)
    expect(server.requests).toBe(0)
  })

  it.skipIf(transportName === 'fetch')('onUploadProgress ends the call', async () => {
    const { client } = await serve(handle, {}, make)
    for (const body of ['text', { json: 1 }, new Blob(['blob'])]) {
      const error = await failureOf(client.put('/', body, { onUploadProgress: throwing }))
      expect(error).toMatchObject({ code: 'CALLBACK_FAILED', message: 'onUploadProgress threw: own' })
    }
    expect(client.getStats().inFlight).toBe(0)
    expect(client.getCircuitBreakerState().failureCount).toBe(0)
    expect(await client.put('/', 'x')).toBe(1)
  })

  it.each<[string, ApiClientOptions, Call]>([
    ['attempt', {}, get],
    ['response', {}, get],
    ['retry', { retries: 1 }, (client) => failureOf(client.get('/down'))],
    ['failure', { retries: 0 }, (client) => failureOf(client.get('/down'))],
    ['limited', { rateLimiter: true, rateLimiterOptions: { limits } }, (client) => failureOf(twice(client))],
    [
      'breaker',
      { circuitBreakerOptions: { threshold: 1, volumeThreshold: 1 }, retries: 0 },
      (client) => failureOf(client.get('/down')),
    ],
    ['hedge', { hedge: hedge({ delay: 1 }) }, (client) => client.get('/slow')],
  ])('a listener of "%s", and a logger, are told of and change nothing', async (event, options, call) => {
    const { client } = await serve(handle, options, make)
    const quiet = await call(client)
    const written = vi.spyOn(console, 'error').mockImplementation(() => {})
    const logger = { debug: throwing, info: throwing, warn: throwing, error: throwing }
    const { client: loud } = await serve(handle, { ...options, enableLogging: true, logger }, make)
    loud.on(event as 'attempt', throwing)
    loud.on(event as 'attempt', rejecting)
    const said = await call(loud)
    if (quiet instanceof Error) expect(said).toMatchObject({ code: (quiet as CommsError).code })
    else expect(said).toBe(quiet)
    expect(loud.getStats()).toMatchObject({ inFlight: 0, retries: client.getStats().retries })
    expect(written).toHaveBeenCalledWith('the logger threw:', thrown)
    expect(written).toHaveBeenCalledWith(`a listener of "${event}" threw:`, thrown)
    written.mockRestore()
  })
})

describe('what carries the calls', () => {
  it('a dispatcher of another undici, which knows no handlers of ours', async () => {
    // As undici 6 does: it looks for the methods of its time.
    const dispatcher = {
      dispatch(_options: unknown, handler: { onConnect?: unknown }) {
        if (typeof handler.onConnect !== 'function') throw new TypeError('invalid onConnect method')
        return true
      },
    }
    const client = clientFor({ baseURL: 'http://127.0.0.1:9', dispatcher })
    const error = await failureOf(client.get('/'))
    expect(error).toMatchObject({
      code: 'CALLBACK_FAILED',
      message: 'dispatcher.dispatch threw: invalid onConnect method',
    })
    expect(client.getStats()).toMatchObject({ inFlight: 0, retries: 0 })
    expect(client.getCircuitBreakerState().failureCount).toBe(0)
  })

  it('the dispatcher that Node itself holds works', async () => {
    await fetch('data:,').then((response) => response.text())
    const dispatcher = (globalThis as Record<symbol, unknown>)[Symbol.for('undici.globalDispatcher.1')]
    const { client } = await serve((_request, response) => json(response, 1), { dispatcher })
    expect(await client.get('/')).toBe(1)
  })

  it.each([
    ['throws', throwing],
    [
      'reports a failure that is no error of ours',
      (_: unknown, receiver: { onFailure(error: unknown): void }) => {
        queueMicrotask(() => receiver.onFailure(thrown))
        return { cancel() {} }
      },
    ],
    [
      'answers twice',
      (_: unknown, receiver: { onSent(): void; onResponse(response: unknown): void }) => {
        const answer = {
          status: 200,
          headers: {},
          finalUrl: undefined,
          setCookie: undefined,
          body: new Uint8Array(),
        }
        queueMicrotask(() => {
          receiver.onSent()
          receiver.onResponse(answer)
          receiver.onResponse(answer)
        })
        return { cancel: throwing }
      },
    ],
  ])('a transport that %s', async (_what, send) => {
    const transport = {
      acceptEncoding: undefined,
      decodeText: () => '',
      dispose() {},
      send: send as never,
    }
    const client = clientFor({ baseURL: 'http://127.0.0.1:9', transport })
    const [result] = await Promise.allSettled([client.get('/')])
    if (result?.status === 'rejected') expect(result.reason).toHaveProperty('code', 'CALLBACK_FAILED')
    expect(client.getStats()).toMatchObject({ inFlight: 0, retries: 0 })
    expect(client.getCircuitBreakerState().failureCount).toBe(0)
  })
})

describe('policies by themselves', () => {
  const failing = () => Promise.reject(new Error('down'))
  it.each<[string, Policy, () => unknown, string]>([
    ['retry’s handle', retry({ handle: throwing }), failing, 'handle'],
    ['retry’s shouldRetry', retry({ shouldRetry: laterThrowing }), failing, 'shouldRetry'],
    ['retry’s onRetry', retry({ onRetry: throwing }), failing, 'onRetry'],
    ['a breaker’s classify', circuitBreaker({ classify: throwing }), failing, 'classify'],
    [
      'a breaker’s onChange',
      circuitBreaker({ threshold: 1, volumeThreshold: 1, onChange: throwing }),
      failing,
      'onChange',
    ],
    [
      'a limiter’s onRequestAllowed',
      rateLimit({ limiter: { onRequestAllowed: throwing } }),
      () => 1,
      'onRequestAllowed',
    ],
    ['a hedge’s onHedge', hedge({ delay: 1, onHedge: throwing }), () => new Promise(() => {}), 'onHedge'],
    ['a hedge’s handle', hedge({ delay: 1, handle: throwing }), failing, 'handle'],
    ['a fallback’s onFallback', fallback(1, { onFallback: throwing }), failing, 'onFallback'],
    ['chaos’s fault', chaos({ enabled: true, fault: { rate: 1, error: throwing } }), () => 1, 'fault.error'],
    [
      'chaos’s outcome',
      chaos({ enabled: true, outcome: { rate: 1, value: throwing } }),
      () => 1,
      'outcome.value',
    ],
    ['chaos’s latency', chaos({ enabled: true, latency: { rate: 1, ms: throwing } }), () => 1, 'latency.ms'],
  ])('%s', async (_name, policy, operation, who) => {
    const breaker = circuitBreaker({ volumeThreshold: 1e6 })
    let retries = 0
    const onRetry = () => {
      retries += 1
    }
    const stack = compose(retry({ retryDelay: 1, onRetry }), breaker, policy)
    const error = await failureOf(stack.execute(operation))
    expect(error).toMatchObject({ code: 'CALLBACK_FAILED', message: `${who} threw: own`, cause: thrown })
    // It was not tried again, and was held against nobody.
    expect(retries).toBe(0)
    expect(breaker.getState()).toMatchObject({ requestCount: 0 })
  })
})

it.each(booby)('an operation that does %s ends once, with that', async (_what, operation) => {
  const plain = await Promise.allSettled([(async () => operation())()])
  const policies: [string, Policy][] = [
    ['retry', retry({ retries: 1, retryDelay: 1 })],
    ['breaker', circuitBreaker()],
    ['limiter', rateLimit()],
    ['timeout', timeout(10_000)],
    ['bulkhead', bulkhead()],
    ['hedge', hedge({ delay: 10_000 })],
    ['throttle', adaptiveThrottle()],
    ['bearerAuth', bearerAuth({ token: 'x', refresh: () => 'y' })],
  ]
  // Not the throttle, which by now has seen that the backend refuses.
  const together = policies.filter(([name]) => name !== 'throttle').map(([, each]) => each)
  policies.push(['all', compose(...together)])
  for (const [name, policy] of policies) {
    const [result] = await Promise.allSettled([policy.execute(operation)])
    expect(result?.status, name).toBe(plain[0]?.status)
    if (result?.status === 'rejected' && plain[0]?.status === 'rejected')
      expect(isSame(result.reason, plain[0].reason), name).toBe(true)
  }
})

/** Made anew by each call, they are the same kind of thing; they must not be looked at. */
function isSame(one: unknown, other: unknown): boolean {
  return typeof one === typeof other && (one === null) === (other === null)
}
