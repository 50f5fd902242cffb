// The policies that a client is given, on servers that misbehave: what reaches the server, and what the caller gets.

import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { ApiClient } from '../../src/ApiClient.ts'
import {
  adaptiveThrottle,
  bulkhead,
  chaos,
  compose,
  fallback,
  hedge,
  retry,
  timeout,
} from '../../src/policies/index.ts'
import { failureOf, json, serve, serveRaw, transports } from '../support/apiClients.ts'
import { until } from '../support/misbehavingServer.ts'

describe.each(transports)('through %s', (_name, make) => {
  it('adaptive throttle: a backend that sheds load is sent less and less, but never nothing', async () => {
    const { server, client } = await serve(
      (_request, response) => response.writeHead(503).end(),
      { retries: 0, circuitBreaker: false, policy: adaptiveThrottle() },
      make,
    )
    const codes: string[] = []
    for (let call = 0; call < 200; call += 1) codes.push((await failureOf(client.get('/'))).code)
    expect(codes.slice(0, 2)).toContain('HTTP_STATUS')
    const heldBack = codes.filter((code) => code === 'THROTTLED').length
    expect(heldBack).toBeGreaterThan(120)
    expect(server.requests).toBe(200 - heldBack)
    expect(server.requests).toBeGreaterThan(0)
  })

  it('bulkhead: a server that hangs holds so many calls, the rest is refused or leaves at its deadline', async () => {
    const policy = bulkhead({ maxConcurrent: 3, maxQueue: 2 })
    const { server, client } = await serve(() => {}, { retries: 0, policy }, make)
    const controller = new AbortController()
    const hanging = [1, 2, 3].map(() => failureOf(client.get('/', { signal: controller.signal })))
    const waiting = [1, 2].map(() => failureOf(client.get('/', { deadline: 60 })))
    expect(await failureOf(client.get('/'))).toMatchObject({ code: 'BULKHEAD_FULL' })
    for (const call of waiting) expect(await call).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(policy).toMatchObject({ running: 3, queued: 0 })
    await until(() => server.requests === 3, 'three arrive')
    controller.abort()
    for (const call of hanging) expect(await call).toMatchObject({ code: 'ABORTED' })
    expect(policy.running).toBe(0)
    expect(server.requests).toBe(3)
  })

  it('fallback: what the server never answers is answered here, whatever went wrong', async () => {
    const seen: string[] = []
    const policy = fallback(
      { stale: true },
      { onFallback: (error) => seen.push((error as { code: string }).code) },
    )
    const { server, client } = await serveRaw(
      (socket, head) => {
        if (head.startsWith('GET /cut')) socket.destroy()
        else if (head.startsWith('GET /500')) socket.end('HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n')
        else if (head.startsWith('GET /lies'))
          socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{')
      },
      { retries: 0, timeout: 400, circuitBreaker: false, policy },
      make,
    )
    for (const path of ['/cut', '/500', '/lies', '/silence'])
      expect(await client.get(path)).toEqual({ stale: true })
    expect(seen).toEqual(['NETWORK', 'HTTP_STATUS', 'BAD_RESPONSE', 'TIMEOUT'])
    expect(server.requests).toBe(4)
  })

  it('chaos: off it is not there; on, the client copes as with the real thing', async () => {
    const storm = chaos({ fault: { rate: 1, error: () => new Error('injected') } })
    const { server, client } = await serve((_request, response) => json(response, 1), { policy: storm }, make)
    expect(await client.get('/')).toBe(1)
    storm.enabled = true
    expect((await failureOf(client.get('/'))).message).toBe('injected')
    storm.enabled = false
    expect(await client.get('/')).toBe(1)
    expect(server.requests).toBe(2)
  })

  it('hedge: a slow answer is asked for once more, the faster wins, and the slow connection closes', async () => {
    const slow: ServerResponse[] = []
    const { server, client } = await serve(
      (_request, response, count) => {
        if (count === 1) slow.push(response)
        else json(response, count)
      },
      { hedge: hedge({ delay: 30 }) },
      make,
    )
    expect(await client.get('/')).toBe(2)
    await until(() => slow[0]?.destroyed === true || slow[0]?.closed === true, 'the slow one is given up')
    expect(server.requests).toBe(2)
    expect(client.getStats()).toMatchObject({ hedges: 1, failedRequests: 0 })
  })

  it('the same decisions around any fetch: retry, breaker and timeout composed by hand', async () => {
    const { server } = await serve(
      (_request, response, count) => {
        if (count < 3) return
        json(response, count)
      },
      {},
      make,
    )
    const policy = compose(
      timeout(15_000, { phase: 'deadline' }),
      retry({ retries: 9, retryDelay: 5 }),
      timeout(100),
    )
    const answer = await policy.execute(async ({ signal }) =>
      (await fetch(`${server.origin}/`, signal ? { signal } : {})).json(),
    )
    expect(answer).toBeGreaterThanOrEqual(3)
  })
})

it('a policy that refuses before anything is sent leaves no trace in breaker or statistics', async () => {
  const client = new ApiClient({
    baseURL: 'http://127.0.0.1:9',
    policy: chaos({ enabled: true, fault: { rate: 1, error: () => new Error('injected') } }),
  })
  await failureOf(client.get('/'))
  expect(client.getStats()).toMatchObject({ totalRequests: 0, attempts: 0 })
  expect(client.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', requestCount: 0 })
  client.dispose()
})
