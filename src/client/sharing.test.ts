// The policies that a client is given: around the call, hedged, coalesced.

import type { ServerResponse } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { serveClient } from '../../tests/support/servedClients.ts'
import { ApiClient } from '../ApiClient.ts'
import { bulkhead } from '../policies/bulkhead/bulkhead.ts'
import { chaos } from '../policies/chaos/chaos.ts'
import { compose } from '../policies/compose.ts'
import { fallback } from '../policies/fallback/fallback.ts'
import { hedge } from '../policies/hedge/hedge.ts'

const json = (response: ServerResponse, body: unknown) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))

describe('a policy around every call', () => {
  it('bulkhead: so many at once, the rest is refused', async () => {
    const open: ServerResponse[] = []
    const { client } = await serveClient((_request, response) => void open.push(response), {
      policy: bulkhead({ maxConcurrent: 2 }),
    })
    const calls = [client.get('/a'), client.get('/b')]
    await expect(client.get('/c')).rejects.toMatchObject({ code: 'BULKHEAD_FULL' })
    while (open.length < 2) await new Promise((resolve) => setImmediate(resolve))
    for (const response of open) json(response, 'done')
    expect(await Promise.all(calls)).toEqual(['done', 'done'])
  })

  it('fallback and chaos compose; retries stay inside', async () => {
    const storm = chaos({ enabled: true, fault: { rate: 1, error: () => new Error('injected') } })
    const { client, server } = await serveClient((_request, response) => json(response, 'fresh'), {
      policy: compose(fallback('stale'), storm),
    })
    expect(await client.get('/')).toBe('stale')
    storm.enabled = false
    expect(await client.get('/')).toBe('fresh')
    expect(server.requests).toBe(1)
  })

  it("works beside the caller's signal, and around fetch", async () => {
    const { client } = await serveClient(
      (request, response) => {
        if (request.url === '/answer') response.end('answer')
      },
      { policy: bulkhead({ maxConcurrent: 1 }) },
    )
    const controller = new AbortController()
    const call = client.get('/silent', { signal: controller.signal })
    controller.abort('enough')
    await expect(call).rejects.toMatchObject({ name: 'AbortError', cause: 'enough' })
    expect(await (await client.fetch(`${client.baseURL}/answer`)).text()).toBe('answer')
  })
})

describe('hedging', () => {
  it('asks a second time when the first answer is slow, and never hedges a POST', async () => {
    const hedged: number[] = []
    const { client, server } = await serveClient(
      (request, response, count) => {
        if (request.method === 'POST' || count > 1) json(response, count)
      },
      { hedge: hedge({ delay: 30, onHedge: ({ attempt }) => hedged.push(attempt) }) },
    )
    expect(await client.get('/slow')).toBe(2)
    expect(hedged).toEqual([2])
    await client.post('/order', {})
    expect(server.requests).toBe(3)
    expect(client.getStats().inFlight).toBe(0)
  })
})

describe('coalescing', () => {
  it('identical GETs at the same time are one request; other headers make another', async () => {
    const waiting: ServerResponse[] = []
    const { client, server } = await serveClient((_request, response) => void waiting.push(response), {
      coalesce: true,
    })
    const same = [client.get('/a'), client.get('/a'), client.get('/a', { params: undefined })]
    const other = client.get('/a', { headers: { authorization: 'Bearer other' } })
    while (waiting.length < 2) await new Promise((resolve) => setImmediate(resolve))
    for (const [index, response] of waiting.entries()) json(response, index)
    const [one, two, three] = await Promise.all(same)
    expect([one, two, three]).toEqual([one, one, one])
    expect(await other).not.toBe(one)
    expect(server.requests).toBe(2)
  })

  it('each caller can abort alone; POSTs and later GETs are requests of their own', async () => {
    let answer: (() => void) | undefined
    const { client, server } = await serveClient(
      (request, response, count) => {
        if (count === 1) answer = () => json(response, 'shared')
        else json(response, request.method)
      },
      { coalesce: true },
    )
    const controller = new AbortController()
    const gone = client.get('/a', { signal: controller.signal }).catch((error: unknown) => error)
    const stays = client.get('/a')
    while (!answer) await new Promise((resolve) => setImmediate(resolve))
    controller.abort('bye')
    expect(await gone).toMatchObject({ name: 'AbortError', cause: 'bye' })
    answer()
    expect(await stays).toBe('shared')
    expect(await client.get('/a')).toBe('GET')
    expect(await Promise.all([client.post('/a'), client.post('/a')])).toEqual(['POST', 'POST'])
    expect(server.requests).toBe(4)
  })

  it('what is no policy is refused', () => {
    expect(() => new ApiClient({ policy: {} as never })).toThrow(
      /option "policy" must be an object with execute/,
    )
  })
})

describe('extend', () => {
  it('overlays options, joins headers, keeps interceptors, and shares no breaker', async () => {
    const { client } = await serveClient(
      (request, response) => {
        const { 'x-a': a, 'x-b': b, 'x-c': c } = request.headers
        if (request.url === '/fail') response.writeHead(500).end()
        else json(response, [a, b, c])
      },
      {
        headers: { 'x-a': '1', 'x-b': '1' },
        retries: 0,
        circuitBreakerOptions: { threshold: 1, volumeThreshold: 1 },
      },
    )
    client.addRequestInterceptor((config) => {
      config.headers['x-c'] = '3'
    })
    client.timeout = 5000
    const other = client.extend({ headers: { 'x-b': '2' }, retries: 1 })
    onTestFinished(() => other.dispose())
    expect(await other.get('/')).toEqual(['1', '2', '3'])
    expect([other.timeout, other.retries, client.retries]).toEqual([5000, 1, 0])
    await client.get('/fail').catch(() => {})
    expect(client.getCircuitBreakerState().state).toBe('OPEN')
    expect(await other.get('/')).toEqual(['1', '2', '3'])
    expect(() => client.extend({ timeout: -1 })).toThrow(/ApiClient.extend: option "timeout"/)
  })
})
