// The whole line against real sockets, in the language and the forms of its users, over the built package.

import { ApiClient, Endpoint, GuruConnection } from 'guru-comms'
import { afterEach, describe, expect, it } from 'vitest'
import { httpServer, socketServer, until } from './servers.js'

const cleanups = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function clientOf(answer, options = {}) {
  const server = await httpServer(answer)
  const client = new ApiClient({ baseURL: server.url, retryDelay: 1, ...options })
  cleanups.push(server.close, () => client.dispose())
  return { server, client }
}

async function connectionTo(server, options = {}) {
  const connection = new GuruConnection({
    url: server.url,
    reconnectDelay: 20,
    healthInterval: 50,
    ...options,
  })
  cleanups.push(server.kill, () => connection.dispose())
  return connection
}

const opened = (connection) => new Promise((resolve) => connection.once('open', resolve))
const failure = (promise) =>
  promise.then(
    () => expect.unreachable('it should have failed'),
    (error) => error,
  )

describe('basic requests', () => {
  it.each(['get', 'delete', 'options'])('%s resolves to the parsed body', async (verb) => {
    const { server, client } = await clientOf(({ method, url }) => ({ body: { method, url } }))
    expect(await client[verb]('/things', { params: { page: 2, tag: ['a', 'b'] } })).toEqual({
      method: verb.toUpperCase(),
      url: '/things?page=2&tag=a&tag=b',
    })
    expect(server.requests).toHaveLength(1)
  })

  it.each(['post', 'put', 'patch'])('%s sends JSON and resolves to the parsed body', async (verb) => {
    const { client } = await clientOf(({ method, headers, body }) => ({
      status: 201,
      body: { method, type: headers['content-type'], got: JSON.parse(body) },
    }))
    expect(await client[verb]('/things', { name: 'Ä', nested: { list: [1, 2] } })).toEqual({
      method: verb.toUpperCase(),
      type: expect.stringContaining('application/json'),
      got: { name: 'Ä', nested: { list: [1, 2] } },
    })
  })

  it('head resolves without a body', async () => {
    const { server, client } = await clientOf(() => ({ headers: { 'x-total': '7' }, body: '' }))
    await client.head('/things')
    expect(server.requests[0].method).toBe('HEAD')
  })

  it('interceptors see and change requests, responses and errors, and can be removed', async () => {
    const { server, client } = await clientOf(({ url }) =>
      url === '/bad' ? { status: 404, body: { why: 'gone' } } : { body: { n: 1 } },
    )
    client.addRequestInterceptor(async (config) => ({
      ...config,
      headers: { ...config.headers, 'x-trace': 'abc' },
    }))
    const remove = client.addResponseInterceptor((response) => ({
      ...response.data,
      status: response.status,
    }))
    client.addErrorInterceptor((error) => {
      error.seen = true
      throw error
    })
    expect(await client.get('/good')).toEqual({ n: 1, status: 200 })
    expect(server.requests[0].headers['x-trace']).toBe('abc')
    expect(await failure(client.get('/bad'))).toMatchObject({
      status: 404,
      body: { why: 'gone' },
      isApiError: true,
      seen: true,
    })
    remove()
    expect(await client.get('/good')).toEqual({ n: 1 })
  })
})

describe('retry logic', () => {
  it.each([408, 429, 500, 502, 503, 504])('a GET answered with %i is tried again', async (status) => {
    const { server, client } = await clientOf((_request, count) =>
      count < 3 ? { status } : { body: 'fine' },
    )
    expect(await client.get('/flaky')).toBe('fine')
    expect(server.requests).toHaveLength(3)
  })

  it.each([400, 401, 403, 404, 409, 422])('a GET answered with %i is not', async (status) => {
    const { server, client } = await clientOf(() => ({ status }))
    expect(await failure(client.get('/'))).toMatchObject({
      status,
      attempts: 1,
      message: expect.stringContaining(String(status)),
    })
    expect(server.requests).toHaveLength(1)
  })

  it('gives up after the last retry with the last error', async () => {
    const { server, client } = await clientOf(() => ({ status: 503 }), { retries: 3 })
    expect(await failure(client.get('/'))).toMatchObject({ status: 503, attempts: 4 })
    expect(server.requests).toHaveLength(4)
  })

  it('a timeout is tried again, and ends in a TimeoutError', async () => {
    const { server, client } = await clientOf(() => undefined, { timeout: 60, retries: 1 })
    expect(await failure(client.get('/silent'))).toMatchObject({
      isTimeoutError: true,
      attempts: 2,
      message: expect.stringContaining('timeout'),
    })
    expect(server.requests).toHaveLength(2)
  })

  it('waits at least as long as the server asks', async () => {
    const at = []
    const { client } = await clientOf((_request, count) => {
      at.push(performance.now())
      return count === 1 ? { status: 429, headers: { 'retry-after': '1' } } : { body: 'fine' }
    })
    expect(await client.get('/')).toBe('fine')
    expect(at[1] - at[0]).toBeGreaterThanOrEqual(1000)
  })

  it('a POST is not sent twice behind the back of whoever sent it', async () => {
    const { server, client } = await clientOf(() => ({ status: 500 }))
    expect(await failure(client.post('/order', { item: 1 }))).toMatchObject({ status: 500 })
    expect(server.requests).toHaveLength(1)
  })

  it('a POST with an idempotency key is, with the same key', async () => {
    const { server, client } = await clientOf((_request, count) =>
      count < 3 ? { status: 500 } : { body: 'once' },
    )
    expect(await client.post('/order', { item: 1 }, { idempotencyKey: true })).toBe('once')
    const keys = server.requests.map((request) => request.headers['idempotency-key'])
    expect(new Set(keys).size).toBe(1)
    expect(keys[0]).toMatch(/^".{16,}"$/)
    expect(server.requests.map((request) => request.body)).toEqual(Array(3).fill('{"item":1}'))
  })
})

describe('circuit breaker', () => {
  it('opens after ten failures, sends nothing while open, tries one probe, and closes', async () => {
    let healthy = false
    const { server, client } = await clientOf(() => ({ status: healthy ? 200 : 500 }), {
      retries: 0,
      circuitBreakerOptions: { threshold: 5, volumeThreshold: 10, timeout: 200 },
    })
    for (let call = 0; call < 10; call += 1) await failure(client.get('/'))
    expect(client.getCircuitBreakerState()).toMatchObject({
      state: 'OPEN',
      failureCount: 10,
      requestCount: 10,
    })
    const refused = await failure(client.get('/'))
    expect(refused).toMatchObject({
      isCircuitBreakerError: true,
      message: expect.stringContaining('Circuit breaker is OPEN'),
    })
    expect(refused.retryAfter).toBeGreaterThan(0)
    expect(server.requests).toHaveLength(10)
    await new Promise((resolve) => setTimeout(resolve, refused.retryAfter))
    healthy = true
    const [probe, beside] = await Promise.allSettled([client.get('/'), client.get('/')])
    expect(probe.status).toBe('fulfilled')
    expect(beside.reason).toMatchObject({ isCircuitBreakerError: true })
    expect(client.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', nextAttempt: null })
  })

  it('opens again when the probe fails', async () => {
    const { client } = await clientOf(() => ({ status: 500 }), {
      retries: 0,
      circuitBreakerOptions: { threshold: 2, volumeThreshold: 2, timeout: 50 },
    })
    await failure(client.get('/'))
    await failure(client.get('/'))
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(await failure(client.get('/'))).toMatchObject({ status: 500 })
    expect(client.getCircuitBreakerState().state).toBe('OPEN')
    client.resetCircuitBreaker()
    expect(client.getCircuitBreakerState().state).toBe('CLOSED')
  })

  it('4xx says nothing against the backend', async () => {
    const { client } = await clientOf(() => ({ status: 404 }), { rateLimiter: false })
    for (let call = 0; call < 30; call += 1) await failure(client.get('/'))
    expect(client.getCircuitBreakerState()).toMatchObject({ state: 'CLOSED', failureCount: 0 })
  })
})

describe('rate limiting', () => {
  it('of 40 simultaneous GETs 30 pass and 10 are told truly when to come back', async () => {
    const { server, client } = await clientOf(() => ({ body: 'fine' }))
    const results = await Promise.allSettled(Array.from({ length: 40 }, () => client.get('/')))
    const refused = results.filter((result) => result.status === 'rejected').map((result) => result.reason)
    expect(refused).toHaveLength(10)
    for (const error of refused)
      expect(error).toMatchObject({
        isRateLimitError: true,
        message: expect.stringContaining('Rate limit exceeded'),
      })
    expect(server.requests).toHaveLength(30)
    await new Promise((resolve) => setTimeout(resolve, refused[0].retryAfter))
    expect(await client.get('/')).toBe('fine')
  })

  it('categories have limits of their own', async () => {
    const { client } = await clientOf(() => ({ body: 'fine' }))
    const burst = (rateCategory) =>
      Promise.allSettled(Array.from({ length: 20 }, () => client.get('/', { rateCategory }))).then(
        (results) => results.filter((result) => result.status === 'fulfilled').length,
      )
    expect(await burst('heavy')).toBe(10)
    expect(await burst('control')).toBe(15)
    expect(await burst('streaming')).toBe(20)
  })

  it('a limit that is raised holds at once, and a limiter that is off lets all through', async () => {
    const { client } = await clientOf(() => ({ body: 'fine' }))
    client.rateLimiter.limits.api.burstCapacity = 35
    client.resetRateLimiter()
    const first = await Promise.allSettled(Array.from({ length: 40 }, () => client.get('/')))
    expect(first.filter((result) => result.status === 'fulfilled')).toHaveLength(35)
    client.rateLimiter.disable()
    await Promise.all(Array.from({ length: 50 }, () => client.get('/')))
  })
})

describe('WebSocket reconnection', () => {
  it('comes back after the server has gone, and says what happens', async () => {
    const server = await socketServer()
    const connection = await connectionTo(server)
    const seen = []
    for (const name of ['connected', 'disconnected', 'reconnecting'])
      connection.on(name, () => seen.push(name))
    await opened(connection)
    expect(connection.getStats()).toMatchObject({ connected: true, status: 'idle', connectionState: 'open' })
    await server.kill()
    await until(() => seen.includes('reconnecting'))
    expect(connection.getStats()).toMatchObject({ connected: false, status: 'waiting' })
    await server.start()
    await opened(connection)
    expect(seen.slice(0, 3)).toEqual(['connected', 'disconnected', 'reconnecting'])
    expect(seen.at(-1)).toBe('connected')
  })

  it('stays closed when it was closed with 1000', async () => {
    const server = await socketServer()
    const connection = await connectionTo(server)
    await opened(connection)
    const closed = new Promise((resolve) => connection.once('close', resolve))
    for (const socket of server.sockets) socket.close(1000, 'bye')
    expect(await closed).toMatchObject({ code: 1000, reason: 'bye', wasClean: true })
    expect(connection.connectionState).toBe('closed')
  })

  it('gives up after maxReconnectAttempts', async () => {
    const server = await socketServer()
    const connection = await connectionTo(server, { maxReconnectAttempts: 2, healthUrl: false })
    connection.on('error', () => {})
    await opened(connection)
    const givenUp = new Promise((resolve) => connection.once('max_reconnect_attempts', resolve))
    await server.kill()
    await givenUp
    expect(connection.getStats()).toMatchObject({ connectionState: 'failed', status: 'error' })
    await server.start()
  })
})

describe('message queueing', () => {
  it('what is sent while the line is down arrives in order, before anything new, none twice', async () => {
    const server = await socketServer()
    const connection = await connectionTo(server)
    connection.on('error', () => {})
    await opened(connection)
    await server.kill()
    await until(() => connection.connectionState !== 'open')
    for (let n = 0; n < 50; n += 1) connection.send({ n })
    expect(connection.getStats().queuedMessages).toBe(50)
    connection.once('open', () => connection.send({ n: 50 }))
    await server.start()
    await until(() => server.heard.length >= 51)
    expect(server.heard.map(({ n }) => n)).toEqual(Array.from({ length: 51 }, (_, n) => n))
    expect(connection.getStats().queuedMessages).toBe(0)
  })

  it('a full queue drops the oldest and says which', async () => {
    const connection = new GuruConnection({
      url: 'ws://127.0.0.1:1',
      autoConnect: false,
      maxQueueMessages: 3,
    })
    cleanups.push(() => connection.dispose())
    const dropped = []
    connection.on('dropped', ({ id }) => dropped.push(id))
    const receipts = [0, 1, 2, 3, 4].map((n) => connection.send({ n }))
    await until(() => dropped.length === 2)
    expect(dropped).toEqual([receipts[0].id, receipts[1].id])
    expect(connection.getStats().queuedMessages).toBe(3)
  })

  it('a request is answered by the message with its id', async () => {
    const server = await socketServer(({ id, q }, socket) =>
      socket.send(JSON.stringify({ request_id: id, answer: q * 2 })),
    )
    const connection = await connectionTo(server)
    expect(await connection.request({ q: 21 })).toMatchObject({ answer: 42 })
  })
})

describe('backend failure', () => {
  it('a refused connection is a NetworkError, and a cut in mid-body, too', async () => {
    const server = await httpServer(() => ({}))
    await server.close()
    const client = new ApiClient({ baseURL: server.url, retries: 0 })
    cleanups.push(() => client.dispose())
    expect(await failure(client.get('/'))).toMatchObject({
      name: 'NetworkError',
      code: 'NETWORK',
      neverSent: true,
    })
  })

  it('an endpoint survives the death of its backend: the question waits and is answered', async () => {
    const server = await socketServer(({ id, content }, socket) => {
      for (const part of ['You said: ', content]) {
        socket.send(JSON.stringify({ role: 'assistant', type: 'message', request_id: id, content: part }))
      }
      socket.send(
        JSON.stringify({ role: 'assistant', type: 'message', request_id: id, content: '', end: true }),
      )
    })
    const endpoint = new Endpoint({
      WS_URL: server.url,
      API_BASE_URL: server.url.replace('ws:', 'http:').replace('/ws', ''),
      NODE_ENV: 'development',
      connection: { reconnectDelay: 20, healthInterval: 50 },
    })
    endpoint.on('error', () => {})
    cleanups.push(server.kill, () => endpoint.dispose())
    expect(await endpoint.ask('hello').text()).toBe('You said: hello')
    await server.kill()
    await until(() => endpoint.connection.connectionState !== 'open')
    const reply = endpoint.ask('still there?')
    await server.start()
    let text = ''
    for await (const chunk of reply) text += chunk
    expect(text).toBe('You said: still there?')
    expect(server.heard.filter(({ id }) => id === reply.id)).toHaveLength(1)
    expect(await endpoint.getHealth()).toEqual({ status: 'ok' })
  })
})

describe('statistics', () => {
  it('both lines count what they do', async () => {
    const { client } = await clientOf((_request, count) => (count === 1 ? { status: 500 } : { body: 'fine' }))
    await client.get('/')
    await client.get('/')
    expect(client.getStats()).toMatchObject({
      circuitBreaker: { state: 'CLOSED', requestCount: 3, failureCount: 1 },
      rateLimiter: { totalRequests: 3, rateLimited: 0 },
    })
    expect(client.getRateLimiterStats().byEndpoint['GET /'].totalRequests).toBe(3)

    const server = await socketServer()
    const connection = await connectionTo(server)
    expect(connection.getStats()).toMatchObject({ connected: false, queuedMessages: 0, status: 'waiting' })
    await opened(connection)
    expect(connection.getStats()).toMatchObject({
      connected: true,
      reconnectAttempts: 0,
      connectionState: 'open',
    })
  })
})
