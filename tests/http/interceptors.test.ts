// Interceptors that take their time, that send again, that hear of streams and of fetch.

import { describe, expect, it } from 'vitest'
import { failureOf, json, serve, transports, virtual } from '../support/apiClients.ts'

const never = () => new Promise<never>(() => {})

describe.each(transports)('through %s', (_name, make) => {
  it('an error interceptor may send once more, changed; what that comes to is what the call comes to', async () => {
    const { client, server } = await serve(
      (request, response) => {
        if (request.headers['x-fixed'] === 'yes')
          json(response, { url: request.url, body: String(request.body) })
        else response.writeHead(409).end()
      },
      {},
      make,
    )
    const seen: unknown[] = []
    client.addRequestInterceptor((config) => {
      config.headers['x-kept'] = '1'
    })
    client.addResponseInterceptor(({ data, config }) => ({ ...data, kept: config.headers['x-kept'] }))
    client.addErrorInterceptor((error, { config, attempt, replay }) => {
      seen.push([error.status, config.method, attempt])
      // Not waited for, not returned: it counts all the same.
      void replay({ headers: { 'x-fixed': 'yes' }, url: '/again' })
    })
    expect(await client.post('/first', 'text')).toEqual({ url: '/again', body: 'text', kept: '1' })
    expect(seen).toEqual([[409, 'POST', 1]])
    expect(server.requests).toBe(2)
  })

  it('what it returns goes before its replay; one that fails is an error for the next', async () => {
    const { client, server } = await serve((_request, response) => response.writeHead(409).end(), {}, make)
    const attempts: number[] = []
    client.addErrorInterceptor((_error, { attempt, replay }) => {
      attempts.push(attempt)
      return replay()
    })
    client.addErrorInterceptor(async (_error, { attempt, replay }) => {
      attempts.push(attempt)
      await replay().catch(() => {})
      await expect(replay()).rejects.toThrow(/once/)
    })
    client.addErrorInterceptor((error, { attempt }) => {
      attempts.push(attempt)
      return { status: error.status }
    })
    expect(await client.get('/')).toEqual({ status: 409 })
    expect(attempts).toEqual([1, 2, 3])
    expect(server.requests).toBe(3)
  })

  it('hears of streams and fetches that do not start, and may send them again', async () => {
    const { client, server } = await serve(
      (request, response, count) => {
        if (count % 2 === 1) response.destroy()
        else if (request.url === '/events') {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.end('data: 1\n\n')
        } else json(response, { ok: true })
      },
      { retries: 0 },
      make,
    )
    const codes: string[] = []
    client.addErrorInterceptor((error, { replay }) => {
      codes.push(error.code)
      return replay()
    })
    const events: string[] = []
    for await (const { data } of client.stream('/events')) events.push(data)
    expect(events).toEqual(['1'])
    expect(await (await client.fetch(`${client.baseURL}/x`)).json()).toEqual({ ok: true })
    expect(codes).toEqual(['NETWORK', 'NETWORK'])
    expect(server.requests).toBe(4)
  })

  it('a key that is made up is the same in a replay', async () => {
    const keys: unknown[] = []
    const { client } = await serve(
      (request, response) => {
        keys.push(request.headers['idempotency-key'])
        response.writeHead(409).end()
      },
      { retries: 0 },
      make,
    )
    client.addErrorInterceptor((_error, { replay }) => replay())
    await failureOf(client.post('/', 'x', { idempotencyKey: true }))
    expect(keys).toHaveLength(2)
    expect(keys[1]).toBe(keys[0])
  })

  it('each Set-Cookie stays by itself', async () => {
    const cookies = ['a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT', 'b=2']
    const { client } = await serve(
      (_request, response) => {
        response.setHeader('set-cookie', cookies)
        json(response, 1)
      },
      {},
      make,
    )
    client.addResponseInterceptor(({ setCookie }) => setCookie)
    expect(await client.get('/')).toEqual(cookies)
  })
})

describe('signal and deadline hold while an interceptor is pending', () => {
  const at = {
    request: (client: ReturnType<typeof virtual>['client']) => client.addRequestInterceptor(never),
    response: (client: ReturnType<typeof virtual>['client']) => client.addResponseInterceptor(never),
    error: (client: ReturnType<typeof virtual>['client']) => client.addErrorInterceptor(never),
  }

  it.each(['request', 'response', 'error'] as const)('a %s interceptor', async (kind) => {
    const { client, clock } = virtual(() => ({ status: kind === 'error' ? 404 : 200, body: 1 }))
    at[kind](client)
    const controller = new AbortController()
    const aborted = failureOf(client.get('/', { signal: controller.signal }))
    const late = failureOf(client.get('/', { deadline: 500 }))
    await clock.advance(400)
    controller.abort('enough')
    expect(await aborted).toMatchObject({ code: 'ABORTED', cause: 'enough' })
    await clock.advance(100)
    expect(await late).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(clock.pending).toBe(0)
  })

  it('an asynchronous schema', async () => {
    const { client, clock } = virtual(() => ({ body: 1 }))
    const schema = { '~standard': { version: 1, vendor: 'test', validate: never } } as const
    const late = failureOf(client.get('/', { schema, deadline: 500 }))
    await clock.advance(500)
    expect(await late).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
  })

  it('time that interceptors took is time of the call, replays included', async () => {
    const { client, clock, transport } = virtual(() => ({ after: 300, status: 409 }))
    client.addRequestInterceptor(async () => {
      await new Promise<void>((resolve) => {
        clock.setTimeout(resolve, 300)
      })
    })
    client.addErrorInterceptor((_error, { replay }) => replay())
    const late = failureOf(client.get('/', { deadline: 800 }))
    await clock.advance(800)
    expect(await late).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(transport.asked).toHaveLength(2)
  })

  it('an error that came by the end of its time is looked at, and not held up', async () => {
    const { client, clock } = virtual(() => ({ after: Infinity }))
    const seen: string[] = []
    client.addErrorInterceptor((error) => {
      seen.push(error.code)
    })
    client.addErrorInterceptor(never)
    const late = failureOf(client.get('/', { deadline: 500 }))
    await clock.advance(500)
    expect(await late).toMatchObject({ code: 'TIMEOUT', phase: 'deadline' })
    expect(seen).toEqual(['TIMEOUT'])
  })
})
