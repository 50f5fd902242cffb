// What shares a bucket: `rateLimiterOptions.scope`.

import { describe, expect, it } from 'vitest'
import { ApiClient, type ClientRateLimiterOptions, type LimitedRequest } from '../../src/ApiClient.ts'
import { failureOf, transports, virtual } from '../support/apiClients.ts'

const limits = { api: { tokensPerSecond: 1, burstCapacity: 2 } }

function limited(scope?: ClientRateLimiterOptions['scope'], more: { baseURL?: string } = {}) {
  return virtual(() => ({}), {
    rateLimiter: true,
    rateLimiterOptions: { limits, scope },
    retries: 0,
    ...more,
  })
}

/** How many calls in turn are let through before one is refused. */
async function allowed(
  set: ReturnType<typeof limited>,
  calls: readonly (() => Promise<unknown>)[],
): Promise<number> {
  let count = 0
  for (const call of calls) {
    const ended = call().then(
      () => true,
      (error) => error.code,
    )
    await set.clock.advance(0)
    if ((await ended) !== true) return count
    count += 1
  }
  return count
}

describe('the scope of the limiter', () => {
  it('is the endpoint unless said otherwise', async () => {
    for (const set of [limited(), limited('endpoint')]) {
      const { client } = set
      const calls = ['/a', '/b', '/a?q=1', '/b', '/a'].map((path) => () => client.get(path))
      expect(await allowed(set, calls)).toBe(4)
      expect([...client.rateLimiter.buckets.keys()]).toEqual(['GET /a', 'GET /b'])
    }
  })

  it('origin: all methods and paths share, other origins do not', async () => {
    const set = limited('origin', { baseURL: undefined as unknown as string })
    const { client } = set
    const one = [() => client.get('https://a.test/x'), () => client.post('https://a.test/y', {})]
    const other = [() => client.get('https://b.test/x')]
    expect(await allowed(set, [...one, ...other, () => client.get('https://a.test/z')])).toBe(3)
    expect([...client.rateLimiter.buckets.keys()]).toEqual(['https://a.test', 'https://b.test'])
    expect(await failureOf(client.get('https://a.test/x'))).toMatchObject({
      code: 'RATE_LIMITED',
      endpoint: 'https://a.test',
    })
  })

  it('a function: what it gives the same text for, asked for every call', async () => {
    const seen: LimitedRequest[] = []
    let tenant = 'one'
    const set = limited((request) => {
      seen.push(request)
      return tenant
    })
    const { client } = set
    expect(
      await allowed(set, [() => client.get('/a'), () => client.get('/a?q'), () => client.get('/a')]),
    ).toBe(2)
    tenant = 'two'
    expect(await allowed(set, [() => client.get('/a')])).toBe(1)
    expect(seen[1]).toEqual({
      method: 'GET',
      url: 'https://api.test/a?q',
      origin: 'https://api.test',
      pathname: '/a',
      category: 'api',
    })
    expect(seen).toHaveLength(4)
  })

  it('holds for fetch and stream, and apart for each category', async () => {
    const set = limited('origin')
    const { client } = set
    expect(
      await allowed(set, [() => client.get('/a'), () => client.fetch('/b'), () => client.fetch('/c')]),
    ).toBe(2)
    const stream = client.stream('/events', { format: 'ndjson' })
    const first = stream.next()
    await set.clock.advance(0)
    await first
    expect([...client.rateLimiter.buckets.keys()]).toEqual([
      'https://api.test',
      'streaming\nhttps://api.test',
    ])
  })

  it('a function that throws, or gives no text, ends its call and says so', async () => {
    const thrown = new Error('mine')
    for (const scope of [
      () => {
        throw thrown
      },
      () => 5 as unknown as string,
    ]) {
      const { client, transport } = limited(scope)
      const error = await failureOf(client.get('/a'))
      expect(error).toMatchObject({ code: 'CALLBACK_FAILED' })
      expect(error.message).toContain('rateLimiterOptions.scope')
      expect(client.getStats().inFlight).toBe(0)
      expect(transport.asked).toEqual([])
    }
  })

  it('is checked when it is given', () => {
    const options = { rateLimiterOptions: { scope: 'tenant' as 'origin' } }
    expect(() => new ApiClient(options)).toThrow(
      /"rateLimiterOptions.scope" must be "endpoint" or "origin" or a function/,
    )
  })

  it.each(transports)('goes well with the %s transport', async (_name, make) => {
    const { serve } = await import('../support/apiClients.ts')
    const { client } = await serve(
      (_request, response) => response.end(),
      { rateLimiter: true, rateLimiterOptions: { limits, scope: 'origin' } },
      make,
    )
    await client.get('/a')
    await client.get('/b')
    expect(await failureOf(client.get('/c'))).toMatchObject({ code: 'RATE_LIMITED' })
  })
})
