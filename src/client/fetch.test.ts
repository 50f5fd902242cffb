import { describe, expect, it } from 'vitest'
import { closedPort } from '../../tests/support/misbehavingServer.ts'
import { serveClient } from '../../tests/support/servedClients.ts'
import type { ApiClientOptions } from '../ApiClient.ts'

async function setUp(handle: Parameters<typeof serveClient>[0], options: ApiClientOptions = {}) {
  const served = await serveClient(handle, { baseURL: undefined, ...options })
  return { ...served, fetch: served.client.fetch }
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable(),
    (error: unknown) => error,
  )

describe('client.fetch', () => {
  it('answers with a Response for every status, its body and headers as they came', async () => {
    const { server, fetch } = await setUp((request, response) => {
      response.writeHead(Number(request.url.slice(1)), { 'x-a': '1', 'set-cookie': ['a=1', 'b=2'] })
      response.end(request.url === '/204' ? undefined : `status ${request.url}`)
    })
    for (const status of [200, 201, 400, 404, 422]) {
      const response = await fetch(`${server.origin}/${status}`)
      expect(response).toBeInstanceOf(Response)
      expect([response.status, response.ok, response.url]).toEqual([
        status,
        status < 300,
        `${server.origin}/${status}`,
      ])
      expect(response.headers.get('x-a')).toBe('1')
      expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
      expect(await response.text()).toBe(`status /${status}`)
    }
    expect((await fetch(`${server.origin}/204`)).body).toBeNull()
  })

  it('retries as the client does, and then hands over the last answer', async () => {
    const { server, fetch, client } = await setUp((request, response, count) => {
      response.writeHead(request.url === '/dead' || count < 3 ? 503 : 200).end(`answer ${count}`)
    })
    const recovered = await fetch(`${server.origin}/flaky`)
    expect([recovered.status, await recovered.text()]).toEqual([200, 'answer 3'])
    const dead = await fetch(`${server.origin}/dead`)
    expect([dead.status, await dead.text()]).toEqual([503, 'answer 6'])
    expect(client.getStats()).toMatchObject({ retries: 4, inFlight: 0 })
  })

  it('does not send a POST twice, whatever its body is', async () => {
    const bodies: string[] = []
    const { server, fetch } = await setUp((request, response) => {
      bodies.push(`${request.headers['content-type']}: ${request.body}`)
      response.writeHead(500).end()
    })
    const post = (body: BodyInit) => fetch(server.origin, { method: 'POST', body })
    await post('text')
    await post(new URLSearchParams({ a: '1' }))
    await post(new Blob(['blob'], { type: 'text/csv' }))
    await post(new TextEncoder().encode('bytes'))
    expect(bodies).toEqual([
      'text/plain;charset=UTF-8: text',
      'application/x-www-form-urlencoded;charset=UTF-8: a=1',
      'text/csv: blob',
      'undefined: bytes',
    ])
  })

  it('takes a Request, and init over it', async () => {
    const { server, fetch } = await setUp((request, response) => {
      response.end(`${request.method} ${request.headers['x-a']} ${request.body}`)
    })
    const request = new Request(server.origin, { method: 'PUT', headers: { 'x-a': '1' }, body: 'body' })
    expect(await (await fetch(request)).text()).toBe('PUT 1 body')
    const second = new Request(server.origin, { method: 'POST', body: 'body' })
    expect(await (await fetch(second, { headers: { 'x-a': '2' } })).text()).toBe('POST 2 body')
  })

  it('streams: the first bytes are there before the last, and the timeout of an attempt does not cut it', async () => {
    const { server, fetch } = await setUp(
      (_request, response) => {
        response.write('first')
        setTimeout(() => response.end('last'), 150)
      },
      { timeout: 60 },
    )
    const response = await fetch(server.origin)
    const reader = response.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('first')
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('last')
    expect((await reader.read()).done).toBe(true)
  })

  it('rejects with the reason of the signal, before, while and after the headers came', async () => {
    const { server, fetch } = await setUp((request, response) => {
      if (request.url === '/slow') response.write('x')
    })
    const reason = new Error('enough')
    expect(await failure(fetch(server.origin, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    const silent = new AbortController()
    const waiting = failure(fetch(`${server.origin}/silent`, { signal: silent.signal }))
    silent.abort(reason)
    expect(await waiting).toBe(reason)
    const controller = new AbortController()
    const response = await fetch(`${server.origin}/slow`, { signal: controller.signal })
    controller.abort(reason)
    expect(await failure(response.text())).toBe(reason)
  })

  it('rejects with a TypeError when nobody is there, the real reason as its cause', async () => {
    const { fetch } = await setUp(() => {}, { retries: 0 })
    const error = await failure(fetch(`http://127.0.0.1:${await closedPort()}/`))
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).cause).toMatchObject({ code: 'NETWORK', neverSent: true })
  })

  it.each([
    ['follow', 200, true],
    ['manual', 302, false],
  ] as const)('redirect: %s', async (redirect, status, redirected) => {
    const { server, fetch } = await setUp((request, response) => {
      if (request.url === '/from') response.writeHead(302, { location: '/to' }).end('moved')
      else response.end('here')
    })
    const response = await fetch(`${server.origin}/from`, { redirect })
    expect([response.status, response.redirected]).toEqual([status, redirected])
    expect(response.url).toBe(`${server.origin}/${redirected ? 'to' : 'from'}`)
    expect(await failure(fetch(`${server.origin}/from`, { redirect: 'error' }))).toBeInstanceOf(TypeError)
  })

  it('the breaker and the limiter hold for it, too, and say so', async () => {
    const { server, fetch } = await setUp((_request, response) => response.writeHead(500).end(), {
      retries: 0,
      circuitBreakerOptions: { threshold: 3, volumeThreshold: 3 },
      rateLimiterOptions: { limits: { api: { burstCapacity: 4, tokensPerSecond: 1 } } },
    })
    for (let call = 0; call < 3; call += 1) expect((await fetch(server.origin)).status).toBe(500)
    expect(await failure(fetch(server.origin))).toMatchObject({ code: 'CIRCUIT_OPEN' })
    expect(server.requests).toBe(3)
  })

  it('request interceptors see its requests', async () => {
    const { server, client } = await setUp((request, response) => response.end(request.headers.authorization))
    client.addRequestInterceptor((config) => {
      config.headers.authorization = 'Bearer x'
    })
    expect(await (await client.fetch(server.origin)).text()).toBe('Bearer x')
  })

  it('undoes what the body was packed in; the header stays, as on the platform', async () => {
    const { gzipSync } = await import('node:zlib')
    const { server, fetch } = await setUp((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('packed'))
    })
    const response = await fetch(server.origin)
    expect(await response.text()).toBe('packed')
    expect(response.headers.get('content-encoding')).toBe('gzip')
  })
})
