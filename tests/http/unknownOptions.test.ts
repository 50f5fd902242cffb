// An option is honoured or refused: one that nobody knows is named, with the nearest that is known.

import { describe, expect, it } from 'vitest'
import { ApiClient } from '../../src/ApiClient.ts'
import { Endpoint } from '../../src/Endpoint.ts'
import { GuruConnection } from '../../src/GuruConnection.ts'
import {
  adaptiveThrottle,
  bearerAuth,
  bulkhead,
  chaos,
  circuitBreaker,
  fallback,
  hedge,
  learnRateLimits,
  RateLimiter,
  RetryBudget,
  rateLimit,
  retry,
  timeout,
} from '../../src/policies/index.ts'
import { InputValidator } from '../../src/security/InputValidator.ts'
import { failureOf, json, serve } from '../support/apiClients.ts'

type Make = (options: object) => unknown

const classes: [string, Make, string, string][] = [
  ['ApiClient', (o) => new ApiClient(o), 'retrys', 'retries'],
  ['ApiClient', (o) => new ApiClient(o), 'baseUrls', 'baseURL'],
  ['its breakers', (o) => new ApiClient({ circuitBreakerOptions: o }), 'treshold', 'threshold'],
  ['its limiter', (o) => new ApiClient({ rateLimiterOptions: o }), 'limit', 'limits'],
  ['its retry budget', (o) => new ApiClient({ retryBudget: o }), 'ration', 'ratio'],
  ['its extend', (o) => new ApiClient().extend(o), 'timeouts', 'timeout'],
  ['its streams', (o) => new ApiClient().stream('/', o), 'reconect', 'reconnect'],
  ['its streams', (o) => new ApiClient().stream('/', o), 'deadlines', 'deadline'],
  [
    'GuruConnection',
    (o) => new GuruConnection({ url: 'ws://h', autoConnect: false, ...o }),
    'pingInterva',
    'pingInterval',
  ],
  [
    'Endpoint',
    (o) =>
      new Endpoint({ WS_URL: 'ws://h', API_BASE_URL: 'http://h', connection: { autoConnect: false }, ...o }),
    'conection',
    'connection',
  ],
  ['retry', retry, 'retryDelays', 'retryDelay'],
  ['circuitBreaker', circuitBreaker, 'onChanged', 'onChange'],
  ['rateLimit', rateLimit, 'endpoints', 'endpoint'],
  ['RateLimiter', (o) => new RateLimiter(o), 'maxEndpoint', 'maxEndpoints'],
  ['RetryBudget', (o) => new RetryBudget(o), 'reservesPerSecond', 'reservePerSecond'],
  ['learnRateLimits', learnRateLimits, 'maxHolds', 'maxHold'],
  ['timeout', (o) => timeout(1, o), 'phases', 'phase'],
  ['bulkhead', bulkhead, 'maxQueued', 'maxQueue'],
  ['hedge', hedge, 'delays', 'delay'],
  ['fallback', (o) => fallback(1, o), 'handler', 'handle'],
  ['chaos', chaos, 'enable', 'enabled'],
  ['adaptiveThrottle', adaptiveThrottle, 'windows', 'window'],
  ['bearerAuth', (o) => bearerAuth({ token: 'x', ...o }), 'refreshs', 'refresh'],
  ['InputValidator', (o) => new InputValidator().validateString('x', o), 'maxLenght', 'maxLength'],
  ['InputValidator', (o) => new InputValidator().validateNumber(1, o), 'maximum', 'max'],
]

it.each(classes)('%s names %o', (_class, make, given, nearest) => {
  const error = (() => {
    try {
      make({ [given]: 'x' })
    } catch (thrown) {
      return thrown as TypeError & { code: string; option: string }
    }
    return undefined
  })()
  expect(error).toBeInstanceOf(TypeError)
  expect(error).toMatchObject({ code: 'INVALID_OPTION', option: given })
  expect(error?.message).toMatch(
    new RegExp(`"${given}" (is not known, the nearest that is known is|must be spelt) "${nearest}"`),
  )
})

describe('a call', () => {
  it('names what it does not know, and leaves what interceptors note on a request', async () => {
    const { client } = await serve((_request, response) => json(response, 1))
    const misspelt = { timeouts: 5 } as object
    for (const call of [
      () => client.get('/', misspelt),
      () => client.post('/', {}, misspelt),
      () => client.request({ url: '/', ...misspelt }),
    ])
      expect(await failureOf(call())).toMatchObject({ name: 'TypeError', option: 'timeouts' })
    client.addRequestInterceptor((config) => {
      Object.assign(config, { startedAt: 5 })
    })
    expect(await client.get('/')).toBe(1)
    expect(await client.request({ url: '/', method: 'POST', data: 1 })).toBe(1)
  })
})

describe('what carries the requests', () => {
  it('`fetch` given in Node carries them', async () => {
    const urls: string[] = []
    const client = new ApiClient({
      baseURL: 'http://nowhere.test',
      fetch: async (input) => {
        urls.push(String(input))
        return Response.json({ by: 'fetch' })
      },
    })
    expect(await client.get('/x')).toEqual({ by: 'fetch' })
    expect(urls).toEqual(['http://nowhere.test/x'])
    client.dispose()
  })

  it.each([
    [{ fetch, dispatcher: { dispatch() {} } }, 'dispatcher'],
    [{ fetch, transport: { send() {}, dispose() {}, decodeText() {} } }, 'fetch'],
    [
      { dispatcher: { dispatch() {} }, transport: { send() {}, dispose() {}, decodeText() {} } },
      'dispatcher',
    ],
    [{ credentials: 'include' }, 'credentials'],
  ])('two at once, and what the platform cannot keep, are refused: %#', (options, option) => {
    expect(() => new ApiClient(options as object)).toThrow(
      expect.objectContaining({ name: 'TypeError', option }),
    )
  })
})
