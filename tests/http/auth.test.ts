// Tokens on real servers: set anew for each attempt, renewed once for all, in every way of calling.

import { describe, expect, it } from 'vitest'
import { Endpoint } from '../../src/Endpoint.ts'
import { bearerAuth } from '../../src/policies/index.ts'
import { clientFor, failureOf, json, serve, transports } from '../support/apiClients.ts'

/** Takes one token; asked for anything else it says 401. */
function guarded(valid: string) {
  const seen: (string | undefined)[] = []
  const handle: Parameters<typeof serve>[0] = (request, response) => {
    seen.push(request.headers.authorization)
    if (request.headers.authorization !== `Bearer ${valid}`) {
      json(response, { error: 'who are you?' }, 401)
    } else if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end('data: for you\n\n')
    } else json(response, { body: request.body.toString() })
  }
  return { seen, handle }
}

describe.each(transports)('through %s', (_name, make) => {
  it('hundreds of calls of every kind share one renewal, and each is sent once more', async () => {
    const { seen, handle } = guarded('new')
    let refreshes = 0
    const auth = bearerAuth({
      token: 'old',
      refresh: async () => {
        refreshes += 1
        await new Promise((resolve) => setTimeout(resolve, 50))
        return 'new'
      },
    })
    const { client } = await serve(handle, { auth }, make)
    const stream = async () => {
      const events: string[] = []
      for await (const { data } of client.stream('/events')) events.push(data)
      return events
    }
    const fetched = async () => {
      const response = await client.fetch(`${client.baseURL}/x`, { method: 'POST', body: 'mine' })
      return [response.status, await response.json()]
    }
    for (let round = 0; round < 2; round += 1) {
      const calls = Array.from({ length: 40 }, () => [client.post('/x', 'mine'), stream(), fetched()]).flat()
      const expected = Array.from({ length: 40 }, () => [
        { body: 'mine' },
        ['for you'],
        [200, { body: 'mine' }],
      ]).flat()
      expect(await Promise.all(calls)).toEqual(expected)
    }
    expect(refreshes).toBe(1)
    expect(seen.filter((header) => header === 'Bearer old').length).toBeLessThanOrEqual(120)
    expect(client.getStats()).toMatchObject({ inFlight: 0, retries: 0, failedRequests: 0 })
    expect(client.getCircuitBreakerState().failureCount).toBe(0)
  })

  it('a 401 that stays is the answer: an error of a call, a Response of fetch', async () => {
    const { handle, seen } = guarded('another')
    const { client } = await serve(handle, { auth: bearerAuth({ token: 'a', refresh: () => 'b' }) }, make)
    expect(await failureOf(client.get('/'))).toMatchObject({ code: 'HTTP_STATUS', status: 401 })
    const response = await client.fetch(`${client.baseURL}/`)
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({ error: 'who are you?' })
    expect(seen).toEqual(['Bearer a', 'Bearer b', 'Bearer b', 'Bearer b'])
  })

  it('`token`: text or function, asked for each attempt; a call’s own header goes before it', async () => {
    const seen: (string | undefined)[] = []
    let asked = 0
    const { client, server } = await serve(
      (request, response, count) => {
        seen.push(request.headers.authorization)
        if (count === 1) response.writeHead(503).end()
        else json(response, 1)
      },
      { token: async () => `t${++asked}`, headers: { 'x-other': '1' } },
      make,
    )
    await client.get('/')
    await client.get('/', { headers: { Authorization: 'Basic x' } })
    await client.get('/', { headers: { authorization: null } })
    await client.get('/', { auth: false })
    expect(seen).toEqual(['Bearer t1', 'Bearer t2', 'Basic x', undefined, undefined])
    const plain = clientFor({ baseURL: server.origin, token: 'text' }, make)
    await plain.get('/')
    const none = clientFor({ baseURL: server.origin, token: () => undefined }, make)
    await none.get('/')
    expect(seen.slice(5)).toEqual(['Bearer text', undefined])
  })

  it('a function that fails, hangs or gives nonsense ends the call; the server is not held responsible', async () => {
    const { client, server } = await serve((_request, response) => json(response, 1), {}, make)
    const withToken = (token: () => never) => clientFor({ baseURL: server.origin, token, retries: 1 }, make)
    const thrown = new Error('no keychain')
    const throwing = () => {
      throw thrown
    }
    for (const token of [throwing, async () => throwing()] as (() => never)[])
      expect(await failureOf(withToken(token).get('/'))).toMatchObject({
        code: 'CALLBACK_FAILED',
        message: 'token threw: no keychain',
        cause: thrown,
      })
    for (const token of [() => 7, async () => ({}), () => 'two\r\nlines'] as unknown as (() => never)[])
      expect(await failureOf(withToken(token).get('/'))).toMatchObject({ code: 'BAD_REQUEST' })
    const hanging = withToken((() => new Promise(() => {})) as () => never)
    expect(await failureOf(hanging.get('/', { timeout: 20 }))).toMatchObject({ code: 'TIMEOUT' })
    for (const each of [client, hanging])
      expect(each.getCircuitBreakerState()).toMatchObject({ requestCount: 0 })
    expect(server.requests).toBe(0)
  })

  it('what renews goes without a token, through the same client', async () => {
    const { handle } = guarded('new')
    const { client, server } = await serve(
      (request, response, count) => {
        if (request.url === '/login') json(response, { token: 'new' })
        else handle(request, response, count)
      },
      {
        auth: bearerAuth({
          token: 'old',
          refresh: async () => (await client.post<{ token: string }>('/login', {}, { auth: false })).token,
        }),
      },
      make,
    )
    expect(await client.put('/x', 'y')).toEqual({ body: 'y' })
    expect(server.requests).toBe(3)
  })

  it('in an Endpoint', async () => {
    const { handle } = guarded('new')
    const { server } = await serve(handle, {}, make)
    const endpoint = new Endpoint({
      WS_URL: 'ws://127.0.0.1:9/',
      API_BASE_URL: server.origin,
      token: 'of the line',
      connection: { autoConnect: false },
      api: { auth: bearerAuth({ token: 'old', refresh: () => 'new' }) },
    })
    expect(await endpoint.getHealth()).toEqual({ body: '' })
    endpoint.dispose()
  })
})

it('two ways to a token at once are refused', () => {
  expect(() => clientFor({ token: 'x', auth: bearerAuth({ token: 'y' }) })).toThrow(
    /option "token" must not be given together with "auth"/,
  )
})
